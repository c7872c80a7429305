"""What goes wrong on real hosts. Each time: nobody loses a request who need not, and a person is told what to type."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from tests.lab.gateway import GENERATION, Gateway, until
from tests.lab.host import Host
from tests.lab.lab import Lab

UNITS = "~/.config/systemd/user"
STATE = "/home/ops/.local/state/aiops"


@pytest.fixture(scope="module")
def made(lab: Lab) -> Iterator[Gateway]:
    (host,) = lab.up("bad")
    # A file system of its own, which a test can make as small as it likes while the gateway runs.
    host.inside(f"mkdir -p {STATE} && mount -t tmpfs -o size=20g,mode=700 none {STATE}")
    host.inside("chown -R ops: /home/ops")
    gateway = Gateway(host).make()
    # So slow to prove itself that something can happen in the middle of a change.
    gateway.provider("slow", 8003, "slow", latency=2.0)
    yield gateway
    lab.remove(host)


@pytest.fixture
def gateway(made: Gateway) -> Iterator[Gateway]:
    """The module's gateway; a test leaves it so that `up` brings it back."""
    yield made
    if not made.serves() or made.findings():
        made.must("up")
        assert made.findings() == []


# --- before there is a gateway ---------------------------------------------------------------------------------------


def test_without_linger_or_a_session_auto_is_a_process_and_systemd_says_what_to_type(
    new_host: Callable[..., Host],
) -> None:
    host = new_host()
    host.inside("loginctl disable-linger ops; systemctl stop user@1000")
    asked = "env -i HOME=/home/ops PATH=/usr/local/bin:/usr/bin:/bin LANG=C.UTF-8"
    host.inside(f"runuser -u ops -- {asked} aiops init --port 4000")
    host.inside(f"runuser -u ops -- {asked} aiops up", timeout=120)
    status = host.inside(f"runuser -u ops -- {asked} aiops --json status").out
    assert '"supervisor": "process"' in status
    host.inside(f"runuser -u ops -- {asked} aiops down")
    host.inside("sed -i 's/^# supervisor: auto/supervisor: systemd/' ~ops/.config/aiops/aiops.yaml")
    host.inside("rm -r ~ops/.local/state/aiops/current")
    refused = host.inside(f"runuser -u ops -- {asked} aiops up", check=False)
    assert refused.code == 4
    assert "the user's systemd does not answer" in refused.err
    assert "`sudo loginctl enable-linger ops` starts it" in refused.err


def test_a_port_that_is_taken_is_named_with_its_owner_who_is_left_alone(own_host: Host) -> None:
    gateway = Gateway(own_host)
    own_host.run("systemd-run --user --quiet --unit=other python3 -m http.server 4000")
    until(lambda: "4000" in own_host.run("ss -ltn").out, 10)
    gateway.init("systemd")
    code, message, hint = gateway.refused("up")
    assert code == 4
    assert message.startswith("port 4000 is taken by pid ")
    assert "http.server 4000) of other.service" in message
    assert "gateway.port" in hint
    assert gateway.systemctl("is-active", "other").out == "active\n"


# --- somebody changes the service ------------------------------------------------------------------------------------


def test_a_missing_or_masked_unit_is_found_and_up_puts_it_back_where_it_may(gateway: Gateway) -> None:
    gateway.must("down")
    gateway.host.run(f"rm {UNITS}/litellm.service && systemctl --user daemon-reload")
    assert "litellm.service is missing" in gateway.findings()
    gateway.host.run("systemctl --user mask --quiet litellm.service")
    try:
        assert gateway.refused("up") == (
            4,
            "litellm.service is masked",
            "`systemctl --user unmask litellm.service` allows it again",
        )
        assert "litellm.service is masked" in gateway.findings()
    finally:
        gateway.systemctl("unmask", "litellm.service")
    assert not gateway.host.run(f"ls {UNITS}/litellm.service", check=False).ok
    gateway.must("up")
    assert gateway.ask().status_code == 200


def test_a_unit_edited_by_hand_is_found_and_up_writes_it_again(gateway: Gateway) -> None:
    master = gateway.master
    gateway.host.run(f"sed -i 's/^RestartSec=.*/RestartSec=9/' {UNITS}/litellm.service")
    found = gateway.findings()
    assert any(what.startswith("litellm.service is not what aiops would write") for what in found)
    assert "a unit was changed and systemd has not read it yet" in found
    told = gateway.aiops("up", check=True).err
    assert "changed: litellm.service (wrote" in told
    assert "changed: daemon-reload" in told
    assert gateway.master == master, "a unit that is written again restarts nobody"
    assert gateway.findings() == []


def test_linger_off_is_found_and_up_turns_it_on_where_it_may(gateway: Gateway) -> None:
    gateway.host.run("loginctl disable-linger ops", user="root")
    try:
        (found,) = gateway.findings()
        assert found.startswith("linger is off: the gateway ends with the last login of ops")
        assert gateway.status["systemd"]["linger"] is False
        told = gateway.aiops("up", check=True).err
        assert "linger of ops" in told
    finally:
        gateway.host.run("loginctl enable-linger ops", user="root")


def test_a_stopped_socket_unit_is_found_and_breaks_neither_the_gateway_nor_a_restart(gateway: Gateway) -> None:
    gateway.systemctl("stop", "litellm.socket")
    assert gateway.ask().status_code == 200
    assert gateway.state == "running"
    assert "litellm.socket is stopped while litellm.service runs" in gateway.findings()
    gateway.must("restart")
    assert gateway.ask().status_code == 200
    gateway.must("down")


def test_without_a_bus_in_the_shell_it_is_still_found(gateway: Gateway) -> None:
    bare = "env -u XDG_RUNTIME_DIR -u DBUS_SESSION_BUS_ADDRESS aiops --json status"
    assert '"supervisor": "systemd"' in gateway.host.run(bare).out
    assert '"reachable": true' in gateway.host.run(bare).out


def test_a_runtime_directory_that_is_wrong_does_not_mislead(gateway: Gateway) -> None:
    master = gateway.master
    wrong = "mkdir -p /tmp/nowhere && env -u DBUS_SESSION_BUS_ADDRESS XDG_RUNTIME_DIR=/tmp/nowhere aiops --json"
    assert '"outcome": "unchanged"' in gateway.host.run(f"{wrong} up").out
    assert gateway.master == master


def test_a_manager_that_does_not_answer_is_said_and_nothing_is_started_beside_it(gateway: Gateway) -> None:
    asked = "runuser -u ops -- env -i HOME=/home/ops PATH=/usr/local/bin:/usr/bin:/bin aiops"
    gateway.host.inside("rm /var/lib/systemd/linger/ops; systemctl stop user@1000.service", timeout=150)
    try:
        refused = gateway.host.inside(f"{asked} up", check=False)
        assert refused.code == 4
        assert "the user's systemd does not answer" in refused.err
        assert "`sudo loginctl enable-linger ops` starts it" in refused.err
        assert "the user's systemd does not answer" in gateway.host.inside(f"{asked} doctor", check=False).out
        assert gateway.processes() == []
    finally:
        gateway.host.inside("loginctl enable-linger ops; systemctl start user@1000.service")


# --- in the middle of a change ---------------------------------------------------------------------------------------


def consistent(gateway: Gateway, old: int) -> int:
    """The generation that serves is the old or the next one, and files, pointer and gateway agree after `up`."""
    gateway.must("up")
    seen = gateway.status
    assert seen["generation"] == seen["desired_generation"] == int(gateway.ready().headers[GENERATION])
    assert seen["drift"] == []
    assert seen["generation"] >= old
    gateway.must("verify")
    return int(seen["generation"])


ADD = "aiops add-provider slow --type openai_compatible --base-url http://127.0.0.1:8003 --model slow"


def test_stopping_the_service_in_the_middle_of_a_change_leaves_the_old_generation(gateway: Gateway) -> None:
    old = gateway.status["generation"]
    changing = gateway.begin(ADD)
    until(lambda: gateway.show("ActiveState") == "reloading", 20, "a change that has begun")
    gateway.systemctl("stop", "litellm")
    out, err = changing.communicate(timeout=90)
    assert changing.returncode != 0, out
    assert "error: " in err
    assert consistent(gateway, old) == old
    assert "slow" not in gateway.status["models"]


@pytest.mark.parametrize(
    ("options", "completes"),
    [
        # Nothing tells a command without a terminal that nobody listens any more.
        ([], True),
        # A person's session: the terminal hangs up, the command dies, and the gateway takes the change back.
        (["-tt"], False),
    ],
    ids=["without a terminal it completes", "with a terminal it is taken back"],
)
def test_a_lost_ssh_connection_in_the_middle_of_a_change_leaves_the_old_or_the_new(
    gateway: Gateway, options: list[str], completes: bool
) -> None:
    # Slow enough that the change is still under way when all below has been asked and done over ssh; then no more.
    gateway.provider("slower", 8004, "slow")
    gateway.control(8004, delay=10, paths=["/v1/chat"])  # its list of models has five seconds to arrive
    old = gateway.status["generation"]
    changing = gateway.begin(ADD.replace("aiops", "aiops --yes", 1).replace("8003", "8004"), *options)
    until(lambda: gateway.show("ActiveState") == "reloading", 60, "a change that has begun")
    command = "pgrep --uid ops --full 'bin/aiops --yes add-provide[r]'"
    pid = gateway.host.inside(f"{command} | head -1").out.strip()
    session = gateway.host.inside(f"ps -o ppid= -p {pid}").out.strip()
    # The server's end goes first, without a word to anybody: as for a laptop that was shut.
    gateway.host.inside(f"kill -9 $(ps -o ppid= -p {session}) {session}")
    changing.kill()
    changing.wait()
    if completes:
        assert gateway.host.inside(f"ps -o stat= -p {pid}").out, "it goes on"
        assert gateway.show("ActiveState") == "reloading", "the change was still under way"
    gateway.control(8004, delay=0)
    until(lambda: not gateway.host.inside(f"{command}", check=False).ok, 90, "the end of the command")
    until(lambda: gateway.show("ActiveState") == "active", 90, "the end of the change")
    assert gateway.ask().status_code == 200
    new = consistent(gateway, old)
    said = gateway.aiops("logs", "-n", "60").out
    assert (new > old, "slow" in gateway.status["models"]) == (completes, completes), said
    if completes:
        gateway.must("remove-provider", "slow")


# --- the machine ------------------------------------------------------------------------------------------------------


def test_a_full_disk_refuses_a_change_and_the_gateway_serves_on(gateway: Gateway) -> None:
    old = gateway.status["generation"]
    try:
        gateway.host.inside(f"mount -o remount,size=$(($(du -sk {STATE} | cut -f1) + 256))k {STATE}")
        gateway.host.run(f"dd if=/dev/zero of={STATE}/fill bs=4k 2>/dev/null; true")
        code, message, hint = gateway.refused("remove-provider", "demo", "--force")
        assert (code, "the disk is full" in hint) == (4, True), message
        assert gateway.ask().status_code == 200
        assert int(gateway.ready().headers[GENERATION]) == old
        assert any(what.startswith("0.0 GB free for the state") for what in gateway.findings())
    finally:
        gateway.host.run(f"rm {STATE}/fill")
        gateway.host.inside(f"mount -o remount,size=20g {STATE}")
    assert consistent(gateway, old) == old


def test_a_read_only_home_refuses_a_change_and_the_gateway_serves_on(gateway: Gateway) -> None:
    old = gateway.status["generation"]
    # Private, so that what is below it is still there when it has gone.
    gateway.host.inside("mount --rbind /home /home && mount --make-rprivate /home")
    gateway.host.inside(f"mount -o remount,ro,bind /home && mount -o remount,ro,bind {STATE}")
    try:
        done = gateway.aiops("--json", "remove-provider", "demo", "--force")
        assert done.code == 4, done.out
        assert "read-only" in done.out.lower()
        assert gateway.ask().status_code == 200
        assert int(gateway.ready().headers[GENERATION]) == old
    finally:
        gateway.host.inside("umount -l /home")
    assert consistent(gateway, old) == old


def test_files_of_somebody_else_are_found_and_refused(gateway: Gateway) -> None:
    key = "/home/ops/.config/aiops/secrets/master_key"
    gateway.host.inside(f"chown root: {key}")
    try:
        assert any("master_key" in what and "belongs to user 0" in what for what in gateway.findings())
        code, message, _ = gateway.refused("remove-provider", "demo", "--force")
        assert code in (3, 4)
        assert "master_key" in message or "master key" in message
        assert gateway.state == "running"
    finally:
        gateway.host.inside(f"chown ops: {key}")


def test_without_journald_it_serves_and_changes_and_restarts(gateway: Gateway) -> None:
    sockets = "systemd-journald.socket systemd-journald-dev-log.socket"
    gateway.host.inside(f"systemctl stop {sockets} systemd-journald.service")
    try:
        assert gateway.ask().status_code == 200
        gateway.provider("second", 8002, "beta")
        gateway.add("second", 8002, "beta")
        gateway.must("remove-provider", "second")
        gateway.must("restart")
        assert gateway.ask().status_code == 200
    finally:
        gateway.host.inside(f"systemctl start {sockets} systemd-journald.service")


def test_a_clock_that_is_not_synchronised_although_it_should_be_is_found(gateway: Gateway) -> None:
    """A time service that runs and reaches nobody: no route leads out of the lab."""
    service = "[Service]\nExecStart=/bin/sleep infinity\n[Install]\nWantedBy=multi-user.target\n"
    units, known = "/etc/systemd/system", "/usr/lib/systemd/ntp-units.d"
    assert not [what for what in gateway.findings() if "clock" in what]
    gateway.host.inside(f"mkdir -p {known} && echo keeper.service >{known}/50-keeper.list")
    gateway.host.inside(f"printf '{service}' >{units}/keeper.service && systemctl daemon-reload")
    gateway.host.inside("systemctl enable --quiet --now keeper && systemctl restart systemd-timedated")
    try:
        assert gateway.host.run("timedatectl show --property=NTP --value").out == "yes\n"
        assert gateway.findings() == ["the clock is not synchronised"]
    finally:
        gateway.host.inside(f"systemctl disable --quiet --now keeper; rm {known}/50-keeper.list {units}/keeper.service")
        gateway.host.inside("systemctl daemon-reload; systemctl restart systemd-timedated")


def test_a_clock_that_was_set_back_is_found_by_files_from_the_future(gateway: Gateway) -> None:
    gateway.host.run("touch -d '+2 hours' ~/.local/state/aiops")
    try:
        (found,) = gateway.findings()
        assert found.startswith("the clock is wrong: files here are 7")
    finally:
        gateway.host.run("touch ~/.local/state/aiops")
