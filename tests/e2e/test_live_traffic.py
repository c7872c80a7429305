"""Clients do not notice a change: not the new connections, not the old ones, not the streams."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import threading
import time
from pathlib import Path

import httpx
import pytest

from aiops.demo.child import DemoProvider
from aiops.host import master
from tests.kit.gateway import GENERATION, Gateway, Poller
from tests.kit.waiting import free_port, until
from tests.load import BackgroundLoad, LoadReport, Mix, Target

MIX = Mix(pause=0.01, idle_seconds=0.7)


def test_ten_changes_in_a_row_lose_no_request_and_cut_no_stream(
    gateway: Gateway, one: DemoProvider, two: DemoProvider
) -> None:
    one.control(tokens=6, chunk_delay=0.02)
    changes = [
        gateway.adding("two", two.url, "gamma", fallback="alpha"),
        ["disable", "two"],
        ["enable", "two"],
        ["add-model", "two", "delta"],
        ["rollback", "--reason", "under load"],
    ] * 2
    changes.insert(5, ["remove-provider", "two", "--force"])
    first = gateway.generation
    with BackgroundLoad(Target(gateway.url, gateway.key, "alpha", 6), MIX) as load:
        time.sleep(0.3)
        for change in changes:
            assert gateway.must(*change)["outcome"] == "applied"
        time.sleep(0.5)
    report = load.report
    assert (report.failed, report.truncated) == (0, 0), explained(gateway, report)
    assert report.requests > 300
    assert report.streams > 50
    assert all(kind.requests for kind in report.kinds.values())
    assert {str(first), str(gateway.generation)} <= set(report.generations)
    assert set(report.generations) <= {str(number) for number in range(first, gateway.generation + 1)}


def explained(gateway: Gateway, report: LoadReport) -> str:
    """What the clients saw and what the gateway said meanwhile, for when it is not what it should be."""
    log = "\n".join(gateway.must("logs", "-n", "60")["lines"])
    return f"{json.dumps(report.as_dict(), indent=1)}\n{log}"


class Stream(threading.Thread):
    """One long answer, read to its end in the background."""

    def __init__(self, gateway: Gateway) -> None:
        super().__init__(daemon=True)
        self._gateway = gateway
        self.generation = ""
        self.pieces = 0
        self.done = False
        self.error = ""

    def run(self) -> None:
        body = {"model": "alpha", "messages": [{"role": "user", "content": "slowly"}], "stream": True}
        url = f"{self._gateway.url}/v1/chat/completions"
        try:
            with httpx.stream("POST", url, json=body, headers=self._gateway.auth, timeout=60) as answer:
                self.generation = answer.headers[GENERATION]
                for line in answer.iter_lines():
                    self.pieces += '"content":"w' in line
                    self.done = self.done or line == "data: [DONE]"
        except httpx.HTTPError as error:
            self.error = repr(error)


def test_a_slow_stream_outlives_the_change_and_is_served_to_its_end(
    gateway: Gateway, one: DemoProvider, two: DemoProvider
) -> None:
    before = gateway.generation
    one.control(tokens=30, chunk_delay=0.15)
    stream = Stream(gateway)
    stream.start()
    until(lambda: stream.pieces, 10, "the first piece")
    one.control(tokens=8, chunk_delay=0)
    number = gateway.add("two", two.url, "gamma")["generation"]
    assert gateway.generation == number
    assert gateway.ask("gamma").status_code == 200
    assert stream.is_alive(), "the stream is to be longer than the change"
    (note,) = gateway.status["notes"]
    assert f"generation {before} is finishing" in note
    assert well(gateway)[note], "finishing is nothing to mend"
    stream.join(20)
    assert (stream.generation, stream.pieces, stream.done, stream.error) == (str(before), 30, True, "")
    until(lambda: len(gateway.pids()) == 3, 20, "leaving of the old generation")
    until(lambda: gateway.status["notes"] == [], 20, "the master's notice of it")


def well(gateway: Gateway) -> dict[str, bool]:
    """What `aiops doctor` says, and whether it is well."""
    return {finding["what"]: finding["ok"] for finding in gateway.cli("doctor").data["findings"]}


def test_a_keep_alive_connection_goes_over_to_the_new_generation(gateway: Gateway, two: DemoProvider) -> None:
    before = gateway.generation
    with httpx.Client(base_url=gateway.url, headers=gateway.auth, trust_env=False) as client:
        assert client.get("/v1/models").headers[GENERATION] == str(before)
        (mine,) = open_connections(gateway.port)
        number = gateway.add("two", two.url, "gamma")["generation"]
        until(lambda: len(gateway.pids()) == 3, 20, "leaving of the old generation")
        answer = client.get("/v1/models")
        assert mine in open_connections(gateway.port), "it is the same connection"
    assert answer.headers[GENERATION] == str(number)
    assert "gamma" in answer.text


def open_connections(port: int) -> set[int]:
    """Our ends of established connections to ``port``: their local port numbers, from /proc/net/tcp."""
    found = set()
    for fields in map(str.split, Path("/proc/net/tcp").read_text().splitlines()[1:]):
        if fields[3] == "01" and int(fields[2].rpartition(":")[2], 16) == port:
            found.add(int(fields[1].rpartition(":")[2], 16))
    return found


@pytest.mark.shows("aiops.yaml: gateway.drain_seconds")
def test_the_drain_limit_is_respected(gateway: Gateway, one: DemoProvider, two: DemoProvider) -> None:
    """A stream longer than `drain_seconds` is cut at the limit, and its worker leaves."""
    gateway.edit("aiops.yaml", "  # drain_seconds: 3600", "  drain_seconds: 3")
    old = gateway.must("apply")["generation"]
    until(lambda: len(gateway.pids()) == 3, 20, "leaving of the generation before")
    one.control(tokens=80, chunk_delay=0.1)
    stream = Stream(gateway)
    stream.start()
    until(lambda: stream.pieces, 10, "the first piece")
    one.control(tokens=8, chunk_delay=0)
    gateway.add("two", two.url, "gamma")
    began = time.monotonic()
    assert len(gateway.pids()) == 4
    stream.join(10)
    assert stream.generation == str(old)
    assert not stream.done
    assert stream.error
    assert time.monotonic() - began > 0.3, "it is not cut before the limit"
    until(lambda: len(gateway.pids()) == 3, 20, "leaving of the old generation")


def test_a_worker_that_does_not_leave_when_its_time_is_over_is_found(
    gateway: Gateway, one: DemoProvider, two: DemoProvider
) -> None:
    gateway.edit("aiops.yaml", "  # drain_seconds: 3600", "  drain_seconds: 2")
    old = gateway.must("apply")["generation"]
    until(lambda: len(gateway.pids()) == 3, 20, "leaving of the generation before")
    (stuck,) = gateway.workers()
    one.control(tokens=200, chunk_delay=0.1)
    stream = Stream(gateway)
    stream.start()
    until(lambda: stream.pieces, 10, "the first piece")
    one.control(tokens=8, chunk_delay=0)
    adding = subprocess.Popen(
        gateway.argv(*gateway.adding("two", two.url, "gamma")), env=gateway.env, stderr=subprocess.DEVNULL
    )
    until(lambda: stuck in draining(gateway), 60, "the old generation's leaving")
    os.kill(stuck, signal.SIGSTOP)
    try:
        assert adding.wait(60) == 0
        said = until(lambda: [each for each in well(gateway) if "should have finished" in each], 30, "the finding")
        assert said[0].startswith(f"generation {old} should have finished ")
        assert said[0].endswith(f"do not leave; `kill -9 {stuck}` ends them")
        assert gateway.cli("doctor").code == 4
    finally:
        os.kill(stuck, signal.SIGKILL)
    until(lambda: not [each for each in well(gateway) if "should have finished" in each], 10, "the end of it")
    stream.join(10)


def draining(gateway: Gateway) -> list[int]:
    status = master.status(gateway.home / "run")
    groups = status.groups if status else ()
    return [worker.pid for group in groups if group.role == "draining" for worker in group.workers]


def test_when_the_port_moves_the_old_one_answers_until_then_and_is_refused_after(
    running: Gateway, one: DemoProvider
) -> None:
    """Nobody is left waiting on it either, although a stream that began there is still served to its end."""
    gateway, old, new = running, running.port, free_port()
    one.control(tokens=60, chunk_delay=0.15)
    stream = Stream(gateway)
    stream.start()
    until(lambda: stream.pieces, 10, "the first piece")
    one.control(tokens=8, chunk_delay=0)
    gateway.edit("aiops.yaml", f"port: {old}", f"port: {new}")
    try:
        with Poller(gateway) as poller:
            gateway.must("apply")
            until(lambda: set(poller.statuses) - {"200"}, 20, "the old port being refused")
        assert stream.is_alive(), "the stream is to be longer than the change"
        refused = set(poller.statuses) - {"200"}
        assert all("Connect" in kind or "reset" in kind or "Read" in kind for kind in refused), poller.statuses
        assert not any("Timeout" in kind for kind in refused), poller.statuses
        gateway.port = new
        assert gateway.ask("alpha").status_code == 200
        stream.join(30)
        assert (stream.done, stream.error) == (True, "")
    finally:
        gateway.port = new
        gateway.must("rollback", "--reason", "back")
        gateway.port = old
    assert gateway.ask("alpha").status_code == 200


def test_an_address_that_overlaps_the_one_in_use_is_refused_with_the_way_round(running: Gateway) -> None:
    gateway = running
    text = gateway.source("aiops.yaml").read_text()
    gateway.source("aiops.yaml").write_text(text.replace("  # host: 127.0.0.1", "  host: 0.0.0.0"))
    try:
        refused = gateway.cli("apply")
        assert refused.code == 4, refused
        assert "they overlap" in refused.message
        assert "another `gateway.port` first" in refused.hint
        gateway.source("aiops.yaml").write_text(text.replace("  # host: 127.0.0.1", "  host: localhost"))
        assert gateway.must("apply")["outcome"] == "applied", "another name for the same address"
    finally:
        gateway.source("aiops.yaml").write_text(text)
        gateway.must("apply")
