"""A start without LiteLLM: what is asked directly is answered at once, what needs LiteLLM waits for it, and nobody is
lost when full workers take over."""

from __future__ import annotations

import json
import os
import signal
import socket
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import pytest

from aiops.demo.child import DemoProvider
from tests.e2e.held import Import
from tests.kit.gateway import Gateway
from tests.kit.waiting import until
from tests.kit.warm.session import starts

pytestmark = pytest.mark.real_start
LANE = "x-aiops-lane"
BY_LITELLM = "    lane: litellm\n"


@pytest.fixture(scope="module")
def made(one: DemoProvider, two: DemoProvider) -> Iterator[Gateway]:
    """`alpha` is asked directly, `gamma` by way of LiteLLM. Made by a warm gateway, and down."""
    starts.masters_for_real = False
    gateway = Gateway()
    try:
        gateway.init()
        gateway.up()
        gateway.add("one", one.url, "alpha")
        gateway.add("two", two.url, "gamma")
        gateway.edit("providers.yaml", f"    base_url: {two.url}\n", f"    base_url: {two.url}\n{BY_LITELLM}")
        gateway.must("apply")
        gateway.must("down", "--drain", "0")
        yield gateway
    finally:
        gateway.destroy()


@pytest.fixture
def litellm(made: Gateway, tmp_path: Path) -> Iterator[Import]:
    """Held at the next start, which is for real."""
    held = Import(tmp_path)
    held.hold()
    yield held
    held.go_on()
    made.end()


def start(gateway: Gateway, litellm: Import, *, serves: bool = True) -> None:
    """The master itself: a supervisor hands nothing of a shell's Python on. Returns when somebody serves."""
    argv = [sys.executable, "-P", "-m", "aiops.gateway", "--host", "127.0.0.1", "--port", str(gateway.port)]
    for place in ("state", "run", "secrets"):
        argv += [f"--{place}", str(gateway.home / place)]
    (gateway.home / "logs").mkdir(exist_ok=True)
    with (gateway.home / "logs" / "gateway.log").open("ab") as log:
        environment = {**gateway.env, **litellm.environment}
        subprocess.Popen(
            argv, env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
        )
    wanted = ("running", "degraded") if serves else ("starting",)
    until(lambda: gateway.status["gateway"]["state"] in wanted, 60, "a gateway that serves")


def light(gateway: Gateway) -> list[bool]:
    """Of each generation's workers that serve, whether they have no LiteLLM."""
    return [group["light"] for group in gateway.status["gateway"]["groups"] if group["role"] == "serving"]


def test_what_is_asked_directly_is_answered_before_litellm_is_there_and_what_is_not_waits_for_it(
    made: Gateway, litellm: Import
) -> None:
    with ThreadPoolExecutor() as pool, Line(made) as line, Line(made) as other:
        start(made, litellm)
        key = made.must("keys", "create", "--alias", "waits", "--rpm-limit", "100")["key"]
        until(lambda: litellm.has_begun, 20, "the import")
        direct = made.ask("alpha")
        assert (direct.status_code, direct.headers[LANE]) == (200, "direct")
        assert light(made) == [True]
        assert made.models() == ["alpha", "gamma"]

        waiting = pool.submit(ask, made, key, "gamma", "x" * 300_000)
        line.send("gamma", "alpha")  # the second one behind the first, before that is answered
        other.send("alpha")
        assert other.answers(1) == ["direct"]
        stream = pool.submit(ask, made, key, "alpha", "hello", stream=True, max_tokens=60)
        assert made.ask("alpha").status_code == 200
        assert not waiting.done()

        litellm.go_on()
        until(lambda: light(made) == [False], 60, "full workers")
        answer = waiting.result(30)
        assert (answer.status_code, answer.headers[LANE]) == (200, "litellm"), answer.text
        assert line.answers(2) == ["litellm", "direct"]
        other.send("gamma")  # a connection that was idle meanwhile
        assert other.answers(1) == ["litellm"]
        assert stream.result(30).text.rstrip().endswith("data: [DONE]")
        until(lambda: len(made.workers()) == 1 and len(made.pids()) == 3, 20, "leaving of the light worker")
    third = ask(made, key, "alpha", "hello")
    assert third.headers["x-ratelimit-remaining-requests"] == "97"  # each was counted once
    rows = until(lambda: len(found := usage(made)) >= 3 and found, 20, "the ledger")
    assert sorted(rows) == [("alpha", "answered"), ("alpha", "answered"), ("gamma", "answered")]


def usage(gateway: Gateway) -> list[tuple[str, str]]:
    """What the ledger has of requests by a key: the model and how it ended."""
    with closing(sqlite3.connect(gateway.home / "state" / "aiops.db", timeout=10)) as database:
        return database.execute("SELECT model, outcome FROM usage WHERE key_id != ''").fetchall()


def ask(gateway: Gateway, key: str, model: str, text: str, **more: Any) -> httpx.Response:
    body = {"model": model, "messages": [{"role": "user", "content": text}], "max_tokens": 4, **more}
    headers = {"authorization": f"Bearer {key}"}
    url = f"{gateway.url}/v1/chat/completions"
    return httpx.post(url, json=body, headers=headers, timeout=90, trust_env=False)


def test_a_light_worker_that_is_killed_while_litellm_is_imported_is_replaced(made: Gateway, litellm: Import) -> None:
    start(made, litellm)
    until(lambda: litellm.has_begun, 20, "the import")
    (worker,) = made.workers()
    os.kill(worker, signal.SIGKILL)
    until(lambda: made.workers() not in ([], [worker]), 20, "another worker")
    assert made.ask("alpha").headers[LANE] == "direct"
    assert light(made) == [True]
    litellm.go_on()
    until(lambda: light(made) == [False], 60, "full workers")
    assert made.ask("gamma").headers[LANE] == "litellm"


def test_a_gateway_that_is_stopped_while_litellm_is_imported_stops(made: Gateway, litellm: Import) -> None:
    start(made, litellm)
    until(lambda: litellm.has_begun, 20, "the import")
    with Line(made) as waiting:
        waiting.send("gamma")
        assert made.ask("alpha").status_code == 200  # by the one worker, which has the other request by then
        os.kill(made.master, signal.SIGTERM)
        status, error = waiting.refusal()
        assert (status, error["type"]) == (503, "service_unavailable_error")
        assert "the gateway is stopping" in error["message"]
        until(lambda: not made.pids(), 20, "the end of every process")  # the import is held still


def test_a_litellm_that_is_broken_leaves_the_direct_lane_serving_and_everybody_is_told(
    made: Gateway, litellm: Import
) -> None:
    litellm.breaks()
    litellm.go_on()
    start(made, litellm)
    until(lambda: made.get("/_health/ready").json()["status"] == "degraded", 60, "degraded")
    assert made.ask("alpha").headers[LANE] == "direct"
    refused = made.ask("gamma")
    assert refused.status_code == 503
    said = "This request needs LiteLLM, which does not serve now: it cannot be started."
    assert refused.json()["error"]["message"] == said  # why is the operator's to know
    (lack,) = made.get("/_health/ready").json()["why"]
    assert lack["check"] == "litellm"
    assert "it is broken" not in json.dumps(lack)  # what ails us is nothing for whoever has no key
    status = until(lambda: (now := made.status)["gateway"]["state"] == "degraded" and now, 30, "status says so, too")
    assert any("ImportError: it is broken" in note for note in status["notes"]), status["notes"]
    assert any("LiteLLM cannot be imported" in line for line in made.must("logs", "-n", "50")["lines"])


def test_a_master_that_finds_workers_and_no_litellm_stays_beside_them_and_tries_again(
    made: Gateway, litellm: Import
) -> None:
    litellm.go_on()
    start(made, litellm)
    until(lambda: light(made) == [False], 60, "full workers")
    workers, master = made.workers(), made.master
    litellm.breaks()
    os.kill(master, signal.SIGKILL)
    until(lambda: master not in made.pids(), 10, "the end of the master")
    start(made, litellm)
    until(lambda: "it is broken" in json.dumps(made.status["notes"]), 60, "status says what is wrong")
    status = made.status
    assert (status["health"], status["gateway"]["state"]) == ("degraded", "degraded")
    assert f"{len(workers)} worker(s) of the master before serve on meanwhile" in status["notes"]
    assert made.workers() == []
    assert set(workers) <= set(made.pids())
    assert made.ask("gamma").headers[LANE] == "litellm"  # light workers would refuse it
    litellm.breaks(really=False)
    until(lambda: light(made) == [False], 90, "full workers of the new master")
    assert made.ask("gamma").headers[LANE] == "litellm"
    until(lambda: not set(workers) & set(made.pids()), 20, "leaving of the old workers")


def test_after_everything_was_killed_the_next_start_answers_before_litellm_is_there(
    made: Gateway, litellm: Import
) -> None:
    start(made, litellm)
    until(lambda: litellm.has_begun, 20, "the import")
    for pid in made.pids():
        os.kill(pid, signal.SIGKILL)
    until(lambda: not made.pids(), 10, "the end of every process")
    start(made, litellm)
    assert made.ask("alpha").headers[LANE] == "direct"
    assert light(made) == [True]


def test_a_gateway_that_needs_no_litellm_has_none_until_a_request_does(
    made: Gateway, one: DemoProvider, tmp_path: Path
) -> None:
    litellm, gateway = Import(tmp_path), Gateway()
    litellm.hold()
    try:
        gateway.init()
        start(gateway, litellm, serves=False)
        gateway.up()  # an empty generation
        gateway.add("one", one.url, "alpha")
        assert (gateway.ask("alpha").headers[LANE], light(gateway)) == ("direct", [True])
        gateway.must("add-model", "one", "beta", "--fallback", "alpha")
        assert (gateway.ask("beta").headers[LANE], light(gateway)) == ("direct", [True])
        unknown = gateway.ask("betta")
        assert (unknown.status_code, "model=betta" in unknown.json()["error"]["message"]) == (400, True)
        assert gateway.get("/v1/models/betta").status_code == 404
        assert not litellm.has_begun  # a slip of somebody's does not bring it either
        assert "LiteLLM" in gateway.say("status").out
        litellm.go_on()
        answer = ask(gateway, gateway.key, "alpha", "hi", num_retries=1)  # of which LiteLLM is the reader
        assert (answer.status_code, answer.headers[LANE]) == (200, "litellm")
        assert light(gateway) == [False]
    finally:
        litellm.go_on()
        gateway.destroy()


class Line:
    """One connection, on which several requests are sent. Connected when it is first used."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway
        self._sock: socket.socket | None = None

    def send(self, *models: str) -> None:
        if self._sock is None:
            self._sock = socket.create_connection(("127.0.0.1", self._gateway.port), 60)
            self._file = self._sock.makefile("rb")
        said = b""
        for model in models:
            body = json.dumps({"model": model, "messages": [{"role": "user", "content": "hi"}], "max_tokens": 4})
            head = f"authorization: Bearer {self._gateway.key}\r\ncontent-type: application/json\r\n"
            said += f"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\n{head}".encode()
            said += f"content-length: {len(body)}\r\n\r\n{body}".encode()
        self._sock.sendall(said)

    def answers(self, many: int) -> list[str]:
        """Over which lane each came; HTTP 200 all of them."""
        found = []
        for _ in range(many):
            status, headers, said = self._answer()
            assert status == 200, said
            found.append(headers[LANE])
        return found

    def refusal(self) -> tuple[int, dict[str, Any]]:
        status, _, said = self._answer()
        return status, said["error"]

    def _answer(self) -> tuple[int, dict[str, str], dict[str, Any]]:
        status = int(self._file.readline().split()[1])
        headers = {}
        while line := self._file.readline().strip():
            name, _, value = line.decode().partition(": ")
            headers[name.lower()] = value
        return status, headers, json.loads(self._file.read(int(headers["content-length"])))

    def __enter__(self) -> Line:
        return self

    def __exit__(self, *_: object) -> None:
        if self._sock is not None:
            self._file.close()
            self._sock.close()
