"""Short ways to ask the direct lane, and what must be so after whatever went wrong."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.e2e.lanes.place import Place
from tests.e2e.lanes.wire import Answer, Client, client, request
from tests.kit.waiting import until

ALONE, FALLS_BACK, SHORT = "chat-d", "chain-d", "short-d"
"""Models of the direct lane: nobody else answers; `spare` does; the same, after a second."""
CHAT = "/v1/chat/completions"
SOON = 10.0


def headers(place: Place, *more: tuple[str, str]) -> list[tuple[str, str]]:
    key = ("authorization", f"Bearer {place.key}")
    return [("host", "gateway.test"), key, ("content-type", "application/json"), *more]


def chat(model: str, /, **fields: Any) -> bytes:
    said = {"model": model, "messages": [{"role": "user", "content": "hello"}], **fields}
    return json.dumps({name: value for name, value in said.items() if value is not None}).encode()


def head_and_body(place: Place, model: str, *more: tuple[str, str], path: str = CHAT, **fields: Any) -> bytes:
    return request(path, chat(model, **fields), headers(place, *more))


def ask(place: Place, model: str, *more: tuple[str, str], path: str = CHAT, **fields: Any) -> Answer:
    with client(place.gateway.port) as connection:
        connection.send(head_and_body(place, model, *more, path=path, **fields))
        return connection.answer()


@contextmanager
def asking(place: Place, model: str, **fields: Any) -> Iterator[Client]:
    """Somebody who has asked, and reads when they like."""
    with client(place.gateway.port) as connection:
        connection.send(head_and_body(place, model, **fields))
        yield connection


def by(answer: Answer) -> str | None:
    """Who answered."""
    return answer.header("x-aiops-provider")


def require_error(answer: Answer, *statuses: int) -> dict[str, Any]:
    """In OpenAI's shape, and without a word of where the provider is."""
    assert answer.status in statuses, (answer.status, answer.body[:500])
    assert answer.whole
    error = answer.json["error"]
    assert set(error) >= {"message", "type", "param", "code"}, error
    assert "127.0.0.1" not in answer.unpacked.decode() and "10.0.0.7" not in answer.unpacked.decode()
    assert isinstance(error, dict)
    return error


def require_rest(place: Place) -> None:
    """Nothing is in flight, no slot is held, and requests are answered each with its own, on one connection and on
    several."""
    place.forget()
    place.at_rest()
    marks = [uuid.uuid4().hex for _ in range(4)]
    for mark in marks[:2]:
        assert ask(place, ALONE, user=mark).said.endswith(f" for {mark}")
    with client(place.gateway.port) as connection:
        for mark in marks[2:]:
            connection.send(head_and_body(place, ALONE, user=mark, stream=mark == marks[3]))
            assert connection.answer().said.endswith(f" for {mark}")
    assert [each.said["user"] for each in place.upstreams["direct"].posted] == marks
    place.at_rest()


def require_exact(place: Place) -> None:
    """The ledger says what the counters say, and nothing is reserved."""
    until(lambda: _is_exact(place), 30, "ledger = counters, and nothing reserved")


def _is_exact(place: Place) -> bool:
    proved = place.gateway.cli("usage", "prove").data
    assert proved["budgets"], "nothing to prove"
    return bool(proved["ok"] and all(each["reserved_nano_usd"] == 0 for each in proved["budgets"]))


def resident(pid: int) -> int:
    """Bytes of memory that are its own or shared."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * 4096
