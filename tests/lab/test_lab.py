"""The lab itself: the hosts are real, what is done to them happens, and nothing of them stays."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.lab.command import LabError
from tests.lab.host import Host
from tests.lab.lab import Lab
from tests.lab.places import CHECKOUT, RUN, locked, own_name
from tests.lab.traces import traces


def test_a_host_boots_to_running_and_is_a_plain_debian(host: Host) -> None:
    seen = host.testinfra_root
    assert host.run("systemctl is-system-running").out == "running\n"
    assert host.run("systemctl --failed --quiet").out == ""
    assert (seen.system_info.distribution, seen.system_info.release.split(".")[0]) == ("debian", "12")
    assert seen.service("ssh").is_running
    assert seen.socket("tcp://0.0.0.0:22").is_listening
    assert seen.file("/proc/1/comm").content_string == "systemd\n"


def test_ops_is_unprivileged_and_has_a_systemd_of_its_own(host: Host) -> None:
    assert host.testinfra.user("ops").groups == ["ops"]
    assert not host.run("sudo -n true", check=False).ok
    assert host.run("systemctl --user is-system-running").out == "running\n"


def test_a_user_unit_goes_on_when_its_session_has_ended_and_at_the_next_boot(own_host: Host) -> None:
    unit = "[Service]\nExecStart=sleep infinity\n[Install]\nWantedBy=default.target\n"
    own_host.run("mkdir -p ~/.config/systemd/user && cat >~/.config/systemd/user/stays.service", stdin=unit)
    own_host.run("systemctl --user daemon-reload && systemctl --user enable --now --quiet stays")
    subprocess.run(own_host.ssh_argv("-O", "exit"), check=True, capture_output=True)
    # From inside, where nobody logs in. The host is up before the last of the user's units is.
    runs = "for _ in $(seq 50); do pgrep --uid ops --exact sleep && exit; sleep 0.1; done; exit 1"
    assert own_host.inside(runs).ok
    own_host.restart()
    assert own_host.inside(runs).ok


def test_aiops_runs_on_a_host_from_the_checkout_with_debians_python(host: Host) -> None:
    assert host.run("aiops --version").out.startswith("aiops, version ")
    where = "import aiops, litellm, uvloop, xllamacpp, sys; print(aiops.__file__, sys.version.split()[0])"
    expected = ["/srv/aiops/aiops/__init__.py", host.run("/usr/bin/python3 --version").out.split()[1]]
    assert host.run(f"LITELLM_LOCAL_MODEL_COST_MAP=True /srv/venv/bin/python -c '{where}'").out.split() == expected
    assert not host.run("touch /srv/aiops/made-by-a-host", user="root", check=False).ok


def test_a_clone_is_the_working_tree_and_packages_come_from_the_mirror(own_host: Host) -> None:
    own_host.run("git clone --quiet /srv/aiops.git ~/aiops")
    assert own_host.run("cat ~/aiops/uv.lock").out == (CHECKOUT / "uv.lock").read_text()
    own_host.run("python3 -m venv ~/v && ~/v/bin/pip install --quiet -r ~/aiops/scripts/uv-requirements.txt")
    own_host.run("~/v/bin/uv venv --quiet ~/w && ~/v/bin/uv pip install --quiet --python ~/w/bin/python click")
    assert own_host.run("~/w/bin/python -c 'import click; print(click.__name__)'").out == "click\n"


def test_a_call_to_the_world_outside_fails_at_once_instead_of_hanging(host: Host) -> None:
    unresolved, unreachable = 6, 7  # curl(1); 28 is a time-out
    assert host.run("curl --silent --max-time 2 http://192.0.2.1/", check=False).code == unreachable
    assert host.run("curl --silent --max-time 2 https://example.com/", check=False).code == unresolved


def test_a_power_cut_keeps_the_disk_and_the_journal_of_the_last_boot(own_host: Host) -> None:
    own_host.run("echo written >~/file && logger --id said-before && journalctl --sync", user="root")
    boot = own_host.run("cat /proc/sys/kernel/random/boot_id").out
    own_host.power_cut()
    assert not own_host.running
    with pytest.raises(TimeoutError):
        socket.create_connection((own_host.address, 22), timeout=0.5)
    own_host.start()
    assert own_host.run("cat /root/file", user="root").out == "written\n"
    assert own_host.run("cat /proc/sys/kernel/random/boot_id").out != boot
    assert "said-before" in own_host.run("journalctl --boot=-1 --no-pager", user="root").out


def test_a_shutdown_lets_services_finish_and_a_kill_does_not(own_host: Host) -> None:
    start = (
        "systemd-run --quiet --user -p Type=oneshot -p RemainAfterExit=yes -p ExecStop='touch /home/ops/finished' true"
    )
    own_host.run(start)
    own_host.kill()
    own_host.start()
    assert not own_host.testinfra.file("/home/ops/finished").exists
    own_host.run(start)
    own_host.restart()
    assert own_host.testinfra.file("/home/ops/finished").exists


def test_a_reboot_from_inside_is_seen(own_host: Host) -> None:
    own_host.run("systemctl reboot", user="root", check=False)
    own_host.wait_down()
    own_host.start()
    assert own_host.run("systemctl is-system-running").out == "running\n"


def test_a_frozen_host_accepts_and_does_not_answer(own_host: Host) -> None:
    own_host.freeze()
    with socket.create_connection((own_host.address, 22), timeout=2) as connection:
        connection.settimeout(0.5)
        with pytest.raises(TimeoutError):
            connection.recv(1)
        own_host.thaw()
        connection.settimeout(5)
        assert connection.recv(4) == b"SSH-"
    own_host.freeze()
    own_host.kill()
    assert not own_host.running


def test_a_cut_host_is_silent_and_runs_on_until_it_is_healed(own_host: Host) -> None:
    own_host.cut()
    with pytest.raises(TimeoutError):
        socket.create_connection((own_host.address, 22), timeout=0.5)
    assert own_host.inside("systemctl is-system-running").out == "running\n"
    own_host.heal()
    assert own_host.run("hostname").out == f"{own_host.name}\n"


def began_to_boot(host: Host) -> int:
    """When its systemd took over, in microseconds of the clock that all hosts have from this machine."""
    return int(host.run("systemctl show --property=UserspaceTimestampMonotonic --value").out)


def finished_booting(host: Host) -> int:
    return int(host.run("systemctl show --property=FinishTimestampMonotonic --value").out)


def test_hosts_boot_side_by_side_know_each_other_and_can_lose_each_other(
    lab: Lab, new_host: Callable[[], Host]
) -> None:
    one, other = new_host(), new_host()
    for host in (one, other):
        host.kill()
    lab.up(one.name, other.name)
    assert began_to_boot(one) < finished_booting(other), "not one after the other"
    assert began_to_boot(other) < finished_booting(one)
    reach = f"curl --silent --max-time 1 --http0.9 http://{other.name}:22/"
    assert "SSH-2.0" in one.run(reach, check=False).out
    one.cut_from(other)
    assert one.run(reach, check=False).code == 28, "a time-out, not a refusal"
    assert one.run("hostname").out == f"{one.name}\n", "this machine still reaches it"
    one.heal_from(other)
    assert "SSH-2.0" in one.run(reach, check=False).out


def test_down_leaves_nothing() -> None:
    with Lab(own_name("d")) as lab:
        up, off = lab.up("up", "off")
        up.run("true")
        off.power_cut()
        kinds = {trace.split()[0] for trace in traces(lab.name)}
        assert kinds == {"directory", "namespace", "interface", "process", "mount"}, "the check sees what there is"
    assert traces(lab.name) == []


def test_two_labs_of_one_name_are_refused_and_two_names_do_not_meet(lab: Lab, host: Host) -> None:
    with pytest.raises(LabError, match="another process is using"):
        Lab(lab.name).up("h1")
    with Lab(own_name("d")) as neighbour:
        (h1,) = neighbour.up("h1")
        assert h1.address.rsplit(".", 1)[0] != host.address.rsplit(".", 1)[0]
        assert host.run("hostname").ok
    assert host.run("hostname").ok


@pytest.fixture
def owner(lab: Lab) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """A lab of another process, by name, with a host that is up and a connection open."""
    name = own_name("c")
    program = f"from tests.lab.lab import Lab; import time; lab = Lab('{name}'); (h,) = lab.up('h1'); h.run('true')"
    argv = [sys.executable, "-c", f"{program}; print('up', flush=True); time.sleep(60)"]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True, cwd=CHECKOUT) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "up\n"
        yield name, process
        process.kill()
    Lab(name).down()


def test_hosts_die_with_the_process_that_owns_them_and_the_next_lab_sweeps_the_rest(
    lab: Lab, owner: tuple[str, subprocess.Popen[str]]
) -> None:
    crashed, process = owner
    assert any("systemd-nspawn" in trace for trace in traces(crashed))
    with locked(RUN / "lock"):  # somebody else's lab would sweep it under our eyes
        process.send_signal(signal.SIGKILL)
        deadline = time.monotonic() + 5
        while any("systemd-nspawn" in trace for trace in traces(crashed)):
            assert time.monotonic() < deadline, traces(crashed)
            time.sleep(0.05)
        assert traces(crashed), "namespaces and directories cannot die by themselves"
    with Lab(own_name("d")) as other_name:
        other_name.up("h1")
        assert traces(crashed) == []


def test_a_person_plays_with_scripts_lab() -> None:
    name = own_name("s")
    environment = {**os.environ, "AIOPS_LAB_NAME": name}

    def scripts_lab(*words: str) -> str:
        argv = [str(Path(CHECKOUT, "scripts/lab")), *words]
        done = subprocess.run(argv, env=environment, text=True, capture_output=True, timeout=120)
        assert done.returncode == 0, done.stderr
        return done.stdout

    try:
        scripts_lab("up", "a", "b")
        assert scripts_lab("ssh", "b", "hostname; aiops --version").startswith("b\naiops, version")
        scripts_lab("power-cut", "a")
        assert [line.split()[::2] for line in scripts_lab("status").splitlines()] == [["a", "off"], ["b", "running"]]
        scripts_lab("up", "a")
        assert scripts_lab("ssh", "a", "ping -c1 b >/dev/null && echo there") == "there\n"
    finally:
        scripts_lab("down")
    assert traces(name) == []
