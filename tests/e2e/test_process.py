"""The processes: up, down, restart, and what happens when one of them is killed."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from aiops.demo.child import DemoProvider
from aiops.gateway.shared.protocol import SUCCEEDED
from aiops.host import master as control
from tests.kit.gateway import Gateway, Poller
from tests.kit.waiting import until
from tests.kit.warm.session import starts
from tests.load import BackgroundLoad, Mix, Target

MIX = Mix(pause=0.02, idle_seconds=0.5)


@pytest.fixture
def gateway(running: Gateway) -> Iterator[Gateway]:
    """The module's gateway, up again when a test took it down; that start is no part of what a test is about."""
    yield running
    starts.masters_for_real = False
    running.must("up")


def target(gateway: Gateway) -> Target:
    return Target(gateway.url, gateway.key, "alpha")


def test_up_twice_starts_nothing_twice(gateway: Gateway) -> None:
    pids = until(lambda: len(gateway.pids()) == 3 and gateway.pids(), 20, "leaving of the generation before")
    assert gateway.must("up")["outcome"] == "unchanged"
    assert gateway.pids() == pids
    assert f"generation {gateway.generation} serves already at {gateway.url}/v1" in gateway.say("up").out


def test_a_second_master_started_by_hand_beside_a_living_one_refuses_and_takes_nothing_over(gateway: Gateway) -> None:
    pids = until(lambda: len(gateway.pids()) == 3 and gateway.pids(), 20, "leaving of the generation before")
    argv = [sys.executable, "-m", "aiops.gateway", "--host", "127.0.0.1", "--port", str(gateway.port)]
    for place in ("state", "run", "secrets"):
        argv += [f"--{place}", str(gateway.home / place)]
    second = subprocess.run(argv, env=gateway.env, capture_output=True, text=True, timeout=60, check=False)
    assert (second.returncode, second.stdout) == (SUCCEEDED, "")
    said = f"a gateway of this instance runs already (pid {gateway.master}): see `aiops status`\n"
    assert second.stderr.endswith(said)
    assert gateway.pids() == pids
    assert gateway.ask("alpha").status_code == 200


def test_a_worker_that_is_killed_is_replaced(gateway: Gateway) -> None:
    generation, (worker,) = gateway.generation, gateway.workers()
    os.kill(worker, signal.SIGKILL)
    until(lambda: gateway.workers() not in ([], [worker]), 10, "another worker")
    assert gateway.generation == generation
    assert gateway.ask("alpha").status_code == 200
    assert gateway.status["gateway"]["groups"][0]["crashes"] == 1


def test_connections_wait_while_a_worker_is_replaced_and_are_answered(gateway: Gateway) -> None:
    """The master holds the listening socket: the kernel keeps who comes while nobody accepts."""
    with Poller(gateway) as poller:
        (worker,) = gateway.workers()
        os.kill(worker, signal.SIGKILL)
        until(lambda: gateway.workers() not in ([], [worker]), 10, "another worker")
        answered = poller.statuses["200"]
        until(lambda: poller.statuses["200"] > answered + 2, 10, "answers of the other worker")
    refused = {what: count for what, count in poller.statuses.items() if "ConnectError" in what}
    assert refused == {}


def test_workers_that_keep_dying_are_restarted_less_and_less_often_and_status_says_so(gateway: Gateway) -> None:
    release = (gateway.home / "state" / "current" / "release" / "litellm-unified.yaml").resolve()
    hidden = release.with_suffix(".hidden")
    release.rename(hidden)
    try:
        os.kill(gateway.workers()[0], signal.SIGKILL)
        group = until(lambda: looping(gateway), 30, "a crash loop")
        assert group["crashes"] >= 3
        status = gateway.status
        assert status["gateway"]["state"] == "degraded"
        (note,) = [note for note in status["notes"] if "keep dying" in note]
        assert note.startswith(f"workers of generation {status['desired_generation']} keep dying: ")
        assert note.split(": ", 1)[1]
        said = [line for line in gateway.must("logs", "-n", "5000")["lines"] if "; again in " in line]
        waits = [float(line.rsplit("; again in ", 1)[1].split()[0]) for line in said]
        assert waits[-3:] == sorted(waits[-3:])
        assert waits[-1] >= 4 * waits[-3]
    finally:
        hidden.rename(release)
    until(lambda: gateway.status["gateway"]["groups"][0]["workers"], 40, "a worker that lives")
    until(lambda: gateway.ask("alpha").status_code == 200, 20)


def looping(gateway: Gateway) -> dict[str, int] | None:
    groups = gateway.status["gateway"]["groups"]
    return groups[0] if groups and groups[0]["crash_loop"] else None


@pytest.mark.real_start
def test_requests_are_answered_while_the_master_is_dead_and_up_takes_over(gateway: Gateway) -> None:
    generation, workers = gateway.generation, gateway.workers()
    with BackgroundLoad(target(gateway), MIX) as load:
        time.sleep(0.3)
        os.kill(gateway.master, signal.SIGKILL)
        until(lambda: gateway.status["gateway"]["state"] == "degraded", 20)
        status = gateway.status
        assert status["generation"] == generation
        start = f"`aiops --home {gateway.home} up` starts a new master"
        assert status["notes"] == [f"the master is gone; {len(workers)} worker(s) serve on; {start}"]
        assert gateway.ask("alpha").status_code == 200
        ready = gateway.get("/_health/ready").json()
        assert (ready["status"], ready["checks"]["master"]) == ("degraded", "lost")
        assert gateway.must("up")["outcome"] == "applied"
        until(lambda: not set(workers) & set(gateway.pids()), 10, "leaving of the old workers")
        time.sleep(0.3)
    assert load.report.clean, load.report.as_dict()
    assert load.report.requests > 50
    status = gateway.status
    assert (status["gateway"]["state"], status["notes"]) == ("running", [])
    assert gateway.generation == generation


@pytest.mark.real_start
@pytest.mark.parametrize("good", [False, True], ids=["a bad change", "a good change"])
def test_a_change_before_the_next_master_serves_meets_only_workers_of_the_one_before(
    gateway: Gateway, two: DemoProvider, good: bool
) -> None:
    before, workers = gateway.generation, gateway.workers()
    with BackgroundLoad(target(gateway), MIX) as load:
        os.kill(gateway.master, signal.SIGKILL)
        until(lambda: gateway.status["gateway"]["state"] == "degraded", 20)
        up = starts.popen(gateway.argv("up"), env=gateway.env)
        starting = until(lambda: boot_workers(gateway), 60, "the start of the committed generation")
        for pid in starting:
            os.kill(pid, signal.SIGSTOP)
        up.kill()
        up.wait()
        done = gateway.cli(*gateway.adding("two", two.url, "gamma" if good else "not-there"))
        assert done.code == (0 if good else 7), done
        until(lambda: gateway.status["gateway"]["state"] == "running", 30, "what was committed serves")
        until(lambda: not set(workers) & set(gateway.pids()), 10, "leaving of the old workers")
        assert (gateway.generation > before) == good
    if good:
        gateway.must("remove-provider", "two", "--force")
    assert load.report.clean, load.report.as_dict()


def boot_workers(gateway: Gateway) -> list[int]:
    """The workers of the generation that the master starts by itself, while they start."""
    told = control.status(gateway.home / "run")
    if told is None or told.change is None:
        return []
    return [worker.pid for group in told.groups for worker in group.workers if worker.role == "starting"]


def test_a_change_while_the_master_is_dead_is_refused(gateway: Gateway, two: DemoProvider) -> None:
    os.kill(gateway.master, signal.SIGKILL)
    until(lambda: gateway.status["gateway"]["state"] == "degraded", 20)
    before = gateway.snapshot()
    refused = gateway.cli(*gateway.adding("two", two.url, "gamma"))
    assert (refused.code, refused.message, refused.hint) == (
        4,
        "the gateway is not running",
        f"`aiops --home {gateway.home} up` starts it",
    )
    after = gateway.snapshot()
    assert {name: after[name] for name in before} == before
    assert gateway.ask("alpha").status_code == 200


@pytest.mark.real_start
def test_restart_under_load_refuses_nobody(gateway: Gateway) -> None:
    master, workers, generation = gateway.master, gateway.workers(), gateway.generation
    with BackgroundLoad(target(gateway), MIX) as load:
        time.sleep(0.3)
        assert gateway.must("restart")["outcome"] == "applied"
        time.sleep(0.3)
    assert load.report.clean, load.report.as_dict()
    assert load.report.requests > 50
    assert gateway.master != master
    assert gateway.generation == generation
    until(lambda: not set(workers) & set(gateway.pids()), 10, "leaving of the old workers")


def test_down_leaves_no_process_and_a_second_one_has_nothing_to_do(gateway: Gateway) -> None:
    until(lambda: len(gateway.pids()) == 3, 20, "a master, its accountant and one worker")
    assert gateway.must("down")["outcome"] == "applied"
    assert gateway.pids() == []
    assert sorted(path.name for path in (gateway.home / "run").iterdir()) == []
    status = gateway.status
    assert (status["gateway"]["state"], status["generation"]) == ("stopped", None)
    assert status["desired_generation"] is not None
    assert gateway.must("down")["outcome"] == "unchanged"
    assert "was not running" in gateway.say("down").out
    assert gateway.cli("verify").code == 7


def test_down_ends_workers_that_have_no_master(gateway: Gateway) -> None:
    os.kill(gateway.master, signal.SIGKILL)
    until(lambda: gateway.status["gateway"]["state"] == "degraded", 20)
    assert gateway.must("down", "--drain", "2")["outcome"] == "applied"
    assert gateway.pids() == []


def test_down_lets_a_stream_finish(gateway: Gateway, one: DemoProvider) -> None:
    import httpx

    one.control(tokens=12, chunk_delay=0.1)
    body = {"model": "alpha", "messages": [{"role": "user", "content": "slowly"}], "stream": True}
    try:
        with httpx.stream(
            "POST", f"{gateway.url}/v1/chat/completions", json=body, headers=gateway.auth, timeout=30
        ) as stream:
            lines = stream.iter_lines()
            first = next(lines)
            down = starts.popen(gateway.argv("--json", "down"), env=gateway.env, stdout=subprocess.DEVNULL)
            rest = list(lines)
    finally:
        one.control(tokens=8, chunk_delay=0)
    assert first.startswith("data:")
    assert [line for line in rest if line][-1] == "data: [DONE]"
    assert sum('"content":"w' in line for line in (first, *rest)) == 12
    assert down.wait(20) == 0
    assert gateway.pids() == []


@pytest.mark.real_start
def test_stale_pid_files_and_sockets_are_no_obstacle(gateway: Gateway) -> None:
    """As a power cut leaves them: the numbers may belong to somebody else by now."""
    gateway.must("down")
    run = gateway.home / "run"
    stranger = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    try:
        (run / "master.pid").write_text(f"{stranger.pid}\n")
        for name in ("control.sock", f"{stranger.pid}.fd", f"{stranger.pid}.http"):
            with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as stale:
                stale.bind(str(run / name))
        assert gateway.status["gateway"]["state"] == "stopped"
        assert gateway.must("down")["outcome"] == "unchanged"
        assert gateway.must("up")["outcome"] == "applied"
        assert gateway.ask("alpha").status_code == 200
        gateway.must("down")
        assert stranger.poll() is None, "a stranger's process was ended"
    finally:
        stranger.kill()
        stranger.wait()


def test_a_port_that_is_taken_is_reported_with_who_has_it(gateway: Gateway) -> None:
    gateway.must("down")
    listen = "import socket, sys, time; s = socket.create_server(('127.0.0.1', int(sys.argv[1])));"
    argv = [sys.executable, "-c", f"{listen} print(flush=True); time.sleep(60)", str(gateway.port)]
    owner = subprocess.Popen(argv, stdout=subprocess.PIPE)
    try:
        assert owner.stdout is not None
        owner.stdout.readline()
        refused = gateway.cli("up")
        assert refused.code == 4
        assert refused.message.startswith(
            f"port {gateway.port} is taken by pid {owner.pid} ({sys.executable} -c import"
        )
        assert "gateway.port" in refused.hint
        assert gateway.pids() == []
        found = gateway.cli("doctor")
        assert (found.code, found.data["ok"]) == (4, False)
        assert f"port {gateway.port} is taken by pid {owner.pid}" in found.out
        assert owner.poll() is None
    finally:
        owner.kill()
        owner.wait()


def test_a_gateway_that_cannot_start_says_why_and_leaves_nothing(gateway: Gateway) -> None:
    gateway.must("down")
    path = gateway.home / "secrets" / "master_key"
    key = path.read_text()
    path.write_text("sk-1234\n")
    try:
        refused = gateway.cli("up")
    finally:
        path.write_text(key)
    assert refused.code == 3
    assert "the master key is weak: it has 7 characters, at least 20 are needed" in refused.message
    assert gateway.pids() == []


@pytest.mark.real_start
def test_up_after_the_mend_tries_again_at_once(gateway: Gateway) -> None:
    """The master waits longer after each failed start; whoever has mended the cause does not."""
    gateway.must("down")
    release = (gateway.home / "state" / "current" / "release" / "litellm-unified.yaml").resolve()
    hidden = release.with_suffix(".hidden")
    release.rename(hidden)
    try:
        for _ in range(2):
            refused = gateway.cli("up")
            assert refused.code == 4
            assert refused.message.startswith("the gateway runs, but the committed generation does not start: ")
    finally:
        hidden.rename(release)
    assert gateway.must("up")["generation"] == gateway.generation
    assert gateway.ask("alpha").status_code == 200


def test_the_audit_log_knows_of_starts_and_stops(gateway: Gateway) -> None:
    lines = Path(gateway.home / "logs" / "audit.jsonl").read_text().splitlines()
    verbs = {json.loads(line)["verb"] for line in lines}
    assert {"up", "down", "restart"} <= verbs
