"""`aiops upgrade` on a real host: another LiteLLM in the gateway that systemd runs, watches and starts at boot.

The tests follow each other: a runtime takes most of a minute to build.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from aiops.supervise import requirements
from tests.lab.gateway import GENERATION, REQUESTS, Gateway, until
from tests.lab.lab import Lab
from tests.lab.wheels import other_litellm
from tests.load import BackgroundLoad, Mix

MIX = Mix(pause=0.0, idle_seconds=0.5)
HERE, OTHER = str(requirements.installed_version()), other_litellm()
RUNTIMES = "~/.local/state/aiops/runtimes"
DROP_INS = "~/.config/systemd/user/litellm.service.d"
WATCHDOG_SECONDS = 3  # shorter than any import of LiteLLM

pytestmark = pytest.mark.timeout(600)


@pytest.fixture(scope="module")
def gateway(lab: Lab) -> Iterator[Gateway]:
    """A gateway that systemd kills when it is silent for longer than a few seconds."""
    (host,) = lab.up("upgrade")
    host.run(
        f"mkdir -p {DROP_INS} && cat >{DROP_INS}/10-mine.conf", stdin=f"[Service]\nWatchdogSec={WATCHDOG_SECONDS}\n"
    )
    yield Gateway(host).make()
    lab.remove(host)


def runs(gateway: Gateway) -> tuple[str, str | None]:
    """LiteLLM and runtime of the gateway."""
    seen = gateway.status["gateway"]
    return seen["litellm"], seen["runtime"]


def executable(gateway: Gateway) -> str:
    """The interpreter that the master is right now, also while it imports and answers nobody."""
    pid = gateway.show("MainPID")
    return gateway.host.run(f"tr '\\0' '\\n' </proc/{pid}/cmdline | head -1", check=False).out.strip()


def all_agree(gateway: Gateway, version: str) -> None:
    """Status, systemd, the journal, doctor and the gateway itself say the same of what runs."""
    seen = gateway.status
    runtime = seen["gateway"]["runtime"]
    assert (seen["gateway"]["state"], seen["gateway"]["litellm"], seen["notes"]) == ("running", version, [])
    assert (runtime or HERE).startswith(version)
    assert (seen["generation"], seen["drift"]) == (seen["desired_generation"], [])
    assert gateway.show("MainPID") == str(seen["gateway"]["pid"])
    assert ("/runtimes/" in executable(gateway)) == (runtime is not None)
    shown = gateway.systemctl("status", "--no-pager", "litellm").out
    assert "active (running)" in shown
    assert f'"generation {seen["generation"]} serves"' in shown
    # What the master was granted while it could not answer is over.
    assert gateway.show("WatchdogUSec") == f"{WATCHDOG_SECONDS}s"
    assert gateway.findings() == []
    assert gateway.ask().status_code == 200
    assert int(gateway.ready().headers[GENERATION]) == seen["generation"]


def changed_under_load(gateway: Gateway, requests: int, *verb: str) -> dict[str, Any]:
    """Run a verb while clients ask, and on until ``requests`` were asked: none is lost, and the process stays."""
    master, before = gateway.master, gateway.status["generation"]
    with BackgroundLoad(gateway.target, MIX) as load:
        until(lambda: load.report.requests > 50, 20)
        done = gateway.must(*verb, timeout=400)
        during = load.report.requests
        until(lambda: load.report.requests >= max(requests, during + 50) or not load.alive, 120)
    assert load.report.clean, f"{json.dumps(load.report.as_dict(), indent=1)}\n{gateway.journal('-n', '60')}"
    assert load.report.requests >= requests
    assert set(load.report.generations) == {str(before), str(done["generation"])}
    (imported,) = [step["seconds"] for step in done["steps"] if step["name"] == "runtime"]
    assert imported > WATCHDOG_SECONDS, "the watchdog would have killed it"
    assert gateway.master == master
    assert gateway.show("NRestarts") == "0"
    took = f"{done['seconds']:.0f} s, {imported:.1f} s of them importing"
    print(f"{verb[0]}: {took}; {during} requests during it, {load.report.requests} in all, none lost")
    return done


def serving_after_a_power_cut(gateway: Gateway, old: int) -> int:
    """The generation that the host comes back with: in its own LiteLLM, and everything agrees."""
    gateway.host.power_cut()
    gateway.host.start()
    until(gateway.serves, 60, "the gateway")
    seen = int(gateway.ready().headers[GENERATION])
    gateway.must("up")
    assert gateway.status["generation"] == seen
    all_agree(gateway, HERE if seen == old else OTHER)
    assert gateway.must("verify")["ok"]
    return seen


def test_a_power_cut_while_a_runtime_is_built_leaves_the_old_one(gateway: Gateway) -> None:
    old = gateway.status["generation"]
    upgrading = gateway.begin(f"aiops upgrade {OTHER}")
    until(lambda: gateway.host.run(f"ls {RUNTIMES}/*/lib/*/site-packages/*/", check=False).ok, 60, "half a runtime")
    assert not gateway.host.run(f"ls {RUNTIMES}/*/runtime.json", check=False).ok
    assert serving_after_a_power_cut(gateway, old) == old
    upgrading.kill()
    upgrading.wait()


def test_an_upgrade_under_load_loses_nothing(gateway: Gateway) -> None:
    done = changed_under_load(gateway, REQUESTS, "upgrade", OTHER, "--reason", "a test")
    assert done["outcome"] == "applied"
    all_agree(gateway, OTHER)
    said = gateway.journal("--boot")
    assert f"becomes /home/ops/.local/state/aiops/runtimes/{OTHER}-" in said
    assert f"generation {done['generation']} serves" in said
    assert "Watchdog timeout" not in said
    entries = gateway.journal("-o", "json", f"AIOPS_GENERATION={done['generation']}").splitlines()
    assert ("upgrade", "applied") in [
        (entry.get("AIOPS_VERB"), entry.get("AIOPS_OUTCOME")) for entry in map(json.loads, entries)
    ]


def test_a_master_that_hangs_is_replaced_by_the_watchdog_in_the_runtime_of_the_upgrade(gateway: Gateway) -> None:
    before, master = runs(gateway), gateway.master
    gateway.host.run(f"kill -STOP {master}")
    until(lambda: gateway.master not in (0, master) and gateway.show("SubState") == "running", 120, "a new master")
    assert "Watchdog timeout" in gateway.journal("-n", "100")
    assert runs(gateway) == before
    all_agree(gateway, OTHER)  # doctor among them: a drop-in is an operator's right


def test_a_reboot_comes_up_in_the_runtime_of_the_upgrade(gateway: Gateway) -> None:
    before = runs(gateway)
    gateway.host.restart()
    assert gateway.ready(60).status_code == 200
    assert runs(gateway) == before
    all_agree(gateway, OTHER)


def test_a_rollback_under_load_brings_the_previous_runtime_back(gateway: Gateway) -> None:
    changed_under_load(gateway, 0, "rollback", "--reason", "it answers strangely")
    assert runs(gateway) == (HERE, None)
    all_agree(gateway, HERE)


@pytest.mark.parametrize("moment", ["importing", "promoted"])
def test_a_power_cut_in_the_middle_of_an_upgrade_leaves_the_old_or_the_new(gateway: Gateway, moment: str) -> None:
    def reached() -> bool:
        if moment == "importing":
            return OTHER in executable(gateway)
        return int(gateway.ready().headers[GENERATION]) != old

    old = gateway.status["generation"]
    upgrading = gateway.begin(f"aiops upgrade {OTHER}")
    until(reached, 90, moment)
    seen = serving_after_a_power_cut(gateway, old)
    upgrading.kill()
    upgrading.wait()
    assert moment == "promoted" or seen == old
    print(f"cut while {moment}: the {'old' if seen == old else 'new'} generation serves")
