"""What stands behind the front: the lanes, for whoever asks a model."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from aiops.gateway.shared import proof
from aiops.gateway.worker.front import front, passage
from aiops.gateway.worker.front.asgi import Application, Message, Receive, Scope, Send
from aiops.gateway.worker.front.asked import Asked
from tests.unit.gateway.front.place import MASTER, Place, account, chat, identity


class Lanes:
    def __init__(self, app: Application) -> None:
        self.asked: list[Asked] = []
        self.proofs: list[Asked] = []
        self._app = app

    def of(self, asked: Asked) -> Application:
        self.asked.append(asked)
        return self._app

    def of_proof(self, asked: Asked) -> Application:
        self.proofs.append(asked)
        return self._app


@pytest.fixture
def place(tmp_path: Path) -> Place:
    made = Place(tmp_path, identity(account()))
    made.lanes = Lanes(made.app)  # type: ignore[attr-defined]
    made.front._lanes = made.lanes  # type: ignore[attr-defined]
    return made


def lanes(place: Place) -> Lanes:
    found: Lanes = place.lanes  # type: ignore[attr-defined]
    return found


def test_a_request_to_a_model_goes_through_the_lanes_with_what_was_read_of_it(place: Place) -> None:
    assert asyncio.run(place.ask(body=chat(stream=True))).status == 200
    (asked,) = lanes(place).asked
    assert asked.said["model"] == "alpha" and asked.with_usage is not None
    assert not lanes(place).proofs


def test_a_proof_by_the_public_port_goes_through_the_lanes_and_is_not_counted(place: Place) -> None:
    headers = {proof.HEADER: proof.mark(MASTER)}
    assert asyncio.run(place.ask(body=chat(stream=True), key=MASTER, headers=headers)).status == 200
    (asked,) = lanes(place).proofs
    assert asked.with_usage is None, "nobody would take the usage out again"
    assert not place.records.accepted_


def private(place: Place, key: str | None, path: str = "/v1/chat/completions", body: bytes = b"") -> int:
    raw = body or b'{"model":"alpha","messages":[]}'
    headers = [(b"content-type", b"application/json")]
    if key is not None:
        headers.append((b"authorization", f"Bearer {key}".encode()))
    scope: Scope = {
        "type": "http",
        "method": "POST",
        "path": path,
        "query_string": b"",
        "headers": headers,
        "client": None,
        "server": ("/run/worker.http", None),
    }
    status = 0

    async def receive() -> Message:
        return {"type": "http.request", "body": raw, "more_body": False}

    async def send(message: Message) -> None:
        nonlocal status
        status = message.get("status", status)

    asyncio.run(place.front(scope, receive, send))
    return status


def test_what_aiops_asks_by_the_private_socket_goes_through_the_lanes(place: Place) -> None:
    assert private(place, MASTER) == 200
    assert len(lanes(place).proofs) == 1


@pytest.mark.parametrize("key", [None, "sk-0123456789abcdefghijkl"])
def test_the_private_socket_asks_for_the_master_key(place: Place, key: str | None) -> None:
    assert private(place, key) == 401
    assert not place.app.seen


@pytest.mark.parametrize(("key", "status"), [(MASTER, 413), (None, 401)])
def test_what_is_too_large_is_said_to_aiops_too(
    place: Place, key: str | None, status: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(front, "LARGEST_BODY", 10)
    assert private(place, key) == status, "and a stranger is not read at all"
    assert not place.app.seen and not lanes(place).proofs


def test_what_nobody_can_read_is_litellms_to_refuse(place: Place) -> None:
    assert private(place, MASTER, body=b"{") == 200
    assert not lanes(place).proofs and place.app.seen[0][1] == b"{"


def test_what_an_answer_cost_stands_in_its_head_when_nobody_else_says_it(place: Place) -> None:
    place.app.in_one = True
    answer = asyncio.run(place.ask())
    assert answer.headers["x-litellm-response-cost"] == "0.02"
    place.app.headers.append((b"x-litellm-response-cost", b"0.25"))
    answer = asyncio.run(place.ask())
    assert answer.headers["x-litellm-response-cost"] == "0.25"


@pytest.mark.parametrize("at_once", [True, False])
def test_who_hangs_up_stops_the_direct_lane_at_once(
    place: Place, at_once: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(passage, "GRACE", 3600)
    ended: list[str] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        scope[passage.STOPS_AT_ONCE] = at_once
        try:
            await asyncio.sleep(0.2)
        except asyncio.CancelledError:
            ended.append("cut off")
            raise
        ended.append("by itself")

    lanes(place)._app = app
    said: list[Message] = [{"type": "http.disconnect"}, {"type": "http.request", "more_body": False}]

    async def receive() -> Message:
        message = said.pop() if len(said) > 1 else said[0]
        return {**message, "body": b'{"model":"alpha","messages":[],"stream":true}'}

    asyncio.run(place.ask(receive=receive))
    assert ended == ["cut off" if at_once else "by itself"]
