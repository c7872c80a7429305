"""The gateway as a service of `ops` on a real host: every way people start, stop, change and break it."""

from __future__ import annotations

import json
import shlex
import time
from collections.abc import Iterator

import httpx
import pytest

from tests.lab.gateway import GENERATION, REQUESTS, Gateway, adding, until
from tests.lab.lab import Lab
from tests.load import BackgroundLoad, Mix, Target

MIX = Mix(pause=0.0, idle_seconds=0.5)
# The number of the next generation: one that a power cut took is not used again.
NEXT = """
from pathlib import Path
from aiops.apply.store import GenerationStore
print(GenerationStore(Path.home() / ".local/state/aiops").next_number())
"""
EDIT = r"sed -i 's/^  \(# \)\?retries: [0-9]*/  retries: {0}/' ~/.config/aiops/aiops.yaml"


@pytest.fixture(scope="module")
def made(lab: Lab) -> Iterator[Gateway]:
    (host,) = lab.up("systemd")
    gateway = Gateway(host).make()
    gateway.provider("second", 8002, "beta")
    gateway.add("second", 8002, "beta")
    yield gateway
    lab.remove(host)


@pytest.fixture
def gateway(made: Gateway) -> Iterator[Gateway]:
    """The module's gateway, up again when a test took it down."""
    yield made
    if not made.serves():
        made.must("up")


def edit(gateway: Gateway, retries: int) -> None:
    gateway.host.run(EDIT.format(retries))


# --- what `up` makes ------------------------------------------------------------------------------------------------


@pytest.mark.shows("aiops.yaml: supervisor")
def test_up_makes_a_service_that_systemd_and_status_agree_on(gateway: Gateway) -> None:
    seen = gateway.status
    assert (seen["supervisor"], seen["gateway"]["state"], seen["notes"]) == ("systemd", "running", [])
    units = seen["systemd"]
    assert (units["state"], units["enabled"], units["socket"]) == ("active (running)", True, "active")
    assert (units["linger"], units["reload_pending"], units["restarts"]) == (True, False, 0)
    assert units["status"] == f"generation {seen['generation']} serves"
    assert gateway.show("MainPID") == str(seen["gateway"]["pid"])
    for unit in ("litellm.service", "litellm.socket"):
        assert gateway.systemctl("is-enabled", unit).out == "enabled\n"
    assert gateway.systemctl("is-active", "aiops-verify.timer").out == "active\n"
    assert gateway.findings() == []


def test_a_second_up_changes_nothing_and_says_why(gateway: Gateway) -> None:
    pids = gateway.processes()
    done = gateway.aiops("up", check=True)
    gateway.aiops("status", check=True)
    told = done.err.splitlines()
    assert [line for line in told if not line.startswith("as it was: ")] == []
    assert len(told) >= 12
    assert "as it was: daemon-reload (systemd has read the units as they are)" in told
    assert "serves already" in done.out
    assert gateway.processes() == pids


def test_systemd_finds_nothing_to_object_to_in_the_units(gateway: Gateway) -> None:
    units = "litellm.socket litellm.service aiops-verify.service aiops-verify.timer"
    seen = gateway.host.run(f"cd ~/.config/systemd/user && systemd-analyze --user --man=no verify {units}")
    assert (seen.out, seen.err) == ("", "")


def test_the_journal_knows_generation_verb_and_provider(gateway: Gateway) -> None:
    generation = gateway.status["generation"]
    lines = gateway.journal("-o", "json", f"AIOPS_GENERATION={generation}").splitlines()
    said = [json.loads(line) for line in lines]
    from_master = next(line for line in said if line["MESSAGE"].endswith(f"generation {generation} serves"))
    assert from_master["AIOPS_VERB"] == "add-provider"
    assert from_master["AIOPS_PROVIDER"] == "second"
    from_cli = next(line for line in said if line["SYSLOG_IDENTIFIER"] == "aiops")
    assert (from_cli["AIOPS_VERB"], from_cli["AIOPS_OUTCOME"]) == ("add-provider", "applied")
    assert f"generation {generation} serves" in gateway.aiops("logs", "-n", "200").out


def test_logs_follow(gateway: Gateway) -> None:
    following = gateway.begin("timeout 120 aiops logs -f -n 0")
    assert following.stdout is not None
    until(
        lambda: gateway.host.run("pgrep -f 'journalct[l].*--follow'", check=False).ok, 20, "the journal being followed"
    )
    edit(gateway, 1)
    number = gateway.must("apply")["generation"]
    said = any(f"generation {number} serves" in line for line in following.stdout)
    gateway.host.run("pkill --uid ops journalctl", check=said)
    _, errors = following.communicate(timeout=20)
    assert said, errors


# --- changes --------------------------------------------------------------------------------------------------------


def test_reload_makes_a_hand_edit_live_and_a_bad_edit_is_refused(gateway: Gateway) -> None:
    before = gateway.status["generation"]
    edit(gateway, 2)
    gateway.systemctl("reload", "litellm")
    assert gateway.status["generation"] == before + 1
    master = gateway.master
    gateway.host.run("cp ~/.config/aiops/aiops.yaml ~/good.yaml && echo 'nonsense: 1' >>~/.config/aiops/aiops.yaml")
    try:
        assert not gateway.systemctl("reload", "litellm", check=False).ok
        assert "unknown key" in gateway.journal() or "nonsense" in gateway.journal()
        assert gateway.systemctl("is-active", "litellm").out == "active\n"
        assert (gateway.master, int(gateway.ready().headers[GENERATION])) == (master, before + 1)
    finally:
        gateway.host.run("cp ~/good.yaml ~/.config/aiops/aiops.yaml")


def test_changes_and_reloads_under_load_lose_nothing(gateway: Gateway) -> None:
    changes = 0
    with BackgroundLoad(gateway.target, MIX) as load:
        # Spread over all of it. One after the other they would take the processor that the requests need.
        for asked in range(0, REQUESTS, 1000):
            until(lambda least=asked: load.report.requests >= least or not load.alive, 120)
            gateway.must("remove-provider", "second", "--force")
            edit(gateway, 3 + changes % 5)
            gateway.systemctl("reload", "litellm")
            gateway.add("second", 8002, "beta")
            changes += 3
        until(lambda: load.report.requests >= REQUESTS or not load.alive, 120)
    assert load.report.clean, json.dumps(load.report.as_dict(), indent=1)
    assert load.report.requests >= REQUESTS


@pytest.mark.parametrize("restart", ["systemctl --user restart litellm", "aiops restart"])
def test_a_restart_refuses_nobody_and_cuts_no_stream(gateway: Gateway, restart: str) -> None:
    master = gateway.master
    with BackgroundLoad(gateway.target, MIX) as load:
        until(lambda: load.report.requests > 50, 20)
        gateway.host.run(restart, timeout=150)
        at = load.report.requests
        until(lambda: load.report.requests > at + 50, 20)
    assert load.report.clean, json.dumps(load.report.as_dict(), indent=1)
    assert gateway.master != master
    assert gateway.state == "running"


# --- stopping -------------------------------------------------------------------------------------------------------


def test_down_leaves_nothing_and_start_brings_it_back(gateway: Gateway) -> None:
    gateway.must("down")
    assert gateway.processes() == []
    assert gateway.is_refused()
    seen = gateway.status
    assert (seen["gateway"]["state"], seen["systemd"]["state"]) == ("stopped", "inactive (dead)")
    gateway.systemctl("start", "litellm")
    assert gateway.ask().status_code == 200
    assert gateway.state == "running"


def test_stop_lets_streams_finish_and_the_next_connection_starts_it_again(gateway: Gateway) -> None:
    gateway.provider("slow", 8003, "slow", latency=2.0)
    gateway.add("slow", 8003, "slow")
    asked = gateway.begin(
        f"curl -s -o /dev/null -w '%{{http_code}}' -H 'authorization: Bearer {gateway.key}' "
        "-H 'content-type: application/json' http://127.0.0.1:4000/v1/chat/completions "
        """-d '{"model":"slow","messages":[{"role":"user","content":"hello"}]}'"""
    )
    client = "ss --no-header --tcp --numeric state established '( dport = :4000 )'"
    until(lambda: gateway.host.run(client).out, 30, "the client's connection")
    time.sleep(0.3)  # the gateway accepts it, and asks the model server, which takes 2 s
    gateway.systemctl("stop", "litellm")
    assert asked.communicate(timeout=10)[0] == "200"
    assert gateway.processes() == []
    seen = gateway.status
    assert seen["gateway"]["state"] == "stopped"
    assert "litellm.socket holds the port: the next connection starts the gateway" in seen["notes"][0]
    assert gateway.ask().status_code == 200
    gateway.must("remove-provider", "slow", "--force")


# --- what breaks ----------------------------------------------------------------------------------------------------


def test_a_killed_master_is_replaced_without_an_operator_and_nobody_notices(gateway: Gateway) -> None:
    master = gateway.master
    with BackgroundLoad(gateway.target, MIX) as load:
        until(lambda: load.report.requests > 50, 20)
        gateway.host.run(f"kill -9 {master}")
        until(lambda: gateway.master not in (0, master) and gateway.show("SubState") == "running", 60)
    assert load.report.clean, json.dumps(load.report.as_dict(), indent=1)
    assert gateway.status["systemd"]["restarts"] >= 1
    assert gateway.findings() == []


def test_when_every_process_is_killed_connections_wait_until_it_serves_again(gateway: Gateway) -> None:
    gateway.systemctl("reset-failed", "litellm")
    gateway.systemctl("kill", "--signal=KILL", "--kill-who=all", "litellm")
    assert gateway.ask(timeout=60).status_code == 200
    until(lambda: gateway.state == "running", 10)


def test_a_crash_loop_surfaces(gateway: Gateway) -> None:
    where = "~/.config/systemd/user/litellm.service.d"
    broken = "[Service]\\nExecStart=\\nExecStart=/bin/false\\nRestartSec=50ms\\n"
    gateway.host.run(f"mkdir -p {where} && printf '{broken}' >{where}/10-mine.conf")
    gateway.must("down")
    gateway.systemctl("daemon-reload")
    try:
        gateway.systemctl("start", "litellm", check=False)
        until(lambda: gateway.show("ActiveState") == "failed", 30)
        seen = gateway.status
        assert seen["gateway"]["state"] == "failed"
        assert any(note.startswith("litellm.service has failed (") for note in seen["notes"])
        code, message, _ = gateway.refused("up")
        assert (code, message.splitlines()[0].partition(":")[0]) == (4, "litellm.service did not start")
    finally:
        gateway.host.run(f"rm -r {where}")
        gateway.systemctl("daemon-reload")
    gateway.must("up")
    assert gateway.ask().status_code == 200


def test_it_serves_after_a_reboot_before_anybody_logs_in(gateway: Gateway) -> None:
    generation = gateway.status["generation"]
    key = gateway.key
    gateway.host.restart()
    headers = {"authorization": f"Bearer {key}"}
    answer = httpx.get(f"{gateway.url}/v1/models", headers=headers, timeout=60, trust_env=False)
    assert (answer.status_code, int(answer.headers[GENERATION])) == (200, generation)
    assert gateway.state == "running"


@pytest.mark.parametrize("moment", ["begun", "promoted"])
def test_a_power_cut_in_the_middle_of_a_change_leaves_the_old_or_the_new(gateway: Gateway, moment: str) -> None:
    """Kills at every change of the disk are in tests/faults; here all of the host goes, and it boots again."""

    def reached() -> bool:
        if moment == "begun":
            return gateway.show("ActiveState") == "reloading"
        return int(gateway.ready().headers[GENERATION]) == new

    gateway.provider("third", 8004, "gamma", latency=1.0)
    old = gateway.status["generation"]
    new = int(gateway.host.run(f"/srv/venv/bin/python -c '{NEXT}'").out)
    changing = gateway.begin("aiops " + shlex.join(adding("third", 8004, "gamma")))
    until(reached, 30, moment)
    gateway.host.power_cut()
    changing.kill()
    changing.wait()
    gateway.host.start()
    until(gateway.serves, 60, "the gateway")
    seen = int(gateway.ready().headers[GENERATION])
    assert seen in (old, new)
    gateway.must("up")
    after = gateway.status
    assert (after["generation"], after["desired_generation"], after["drift"]) == (seen, seen, [])
    gateway.must("verify")
    if seen == new:
        gateway.must("remove-provider", "third", "--force")


# --- another port: last, because the gateway keeps it ---------------------------------------------------------------


def move(gateway: Gateway, port: int) -> None:
    gateway.host.run(f"sed -i 's/^  port: [0-9]*/  port: {port}/' ~/.config/aiops/aiops.yaml")


def answers(gateway: Gateway, port: int, seconds: int = 2) -> str:
    """curl's word: 200, or 000 when nobody answers within so many seconds; and its exit code, 7 for "refused"."""
    ask = f"curl -s -m {seconds} -o /dev/null -w '%{{http_code}} ' http://127.0.0.1:{port}/_health/ready; echo $?"
    return gateway.host.run(ask).out.strip()


def test_another_port_is_served_at_once_and_the_old_one_is_let_go(gateway: Gateway) -> None:
    """Nobody is refused where they were told to go: on the old port until the new one serves, then there."""
    master = gateway.master
    move(gateway, 4100)
    with BackgroundLoad(gateway.target, MIX) as load:
        until(lambda: load.report.requests > 50, 20)
        told = gateway.aiops("apply", check=True).err
    assert gateway.master == master, "nothing was restarted"
    assert "changed: litellm.socket (wrote" in told
    assert "the gateway holds the new port itself" in told
    assert answers(gateway, 4100) == "200 0"
    assert answers(gateway, 4000) == "000 7", "refused, not left waiting"
    assert load.report.truncated == 0, json.dumps(load.report.as_dict(), indent=1)
    assert "imeout" not in json.dumps(load.report.as_dict()), "refused, not left waiting"
    assert any("litellm.socket is inactive while the service runs" in note for note in gateway.status["notes"])
    assert gateway.status["systemd"]["reload_pending"] is False
    assert "serves already" in gateway.aiops("up", check=True).out, "the socket cannot be started now: no error"
    away = Target(f"http://{gateway.host.address}:4100", gateway.key, "alpha")
    with BackgroundLoad(away, MIX) as load:
        until(lambda: load.report.requests > 50, 20)
        gateway.must("restart")
        gateway.systemctl("restart", "litellm")
    assert load.report.clean, json.dumps(load.report.as_dict(), indent=1)
    gateway.must("down")
    gateway.systemctl("start", "litellm.socket")
    assert answers(gateway, 4100, 20) == "200 0", "it waits for the gateway that it starts, which is there in a second"
    gateway.must("up")
    assert gateway.findings() == []


def test_a_reload_moves_the_port_too(gateway: Gateway) -> None:
    old = int(gateway.host.run("sed -n 's/^  port: //p' ~/.config/aiops/aiops.yaml").out)
    move(gateway, 4200)
    gateway.systemctl("reload", "litellm")
    assert (answers(gateway, 4200), answers(gateway, old)) == ("200 0", "000 7")
    assert "4200" in gateway.host.run("cat ~/.config/systemd/user/litellm.socket").out
