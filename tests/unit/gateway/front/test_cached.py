"""The response cache of a worker: who gets an answer that was given before, and what it costs."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from aiops.gateway.worker import call
from aiops.gateway.worker.front.once import recording
from aiops.state.money import nano
from aiops.state.shapes import Budget, Limits
from tests.unit.gateway.front.place import ANSWER, KEY, MASTER, Answered, Place, account, chat, hash_of, identity

OTHER = "sk-of-somebody-else-0123"


class Memory:
    """Whoever keeps answers; ``away``: nobody does now."""

    def __init__(self) -> None:
        self.kept: dict[str, bytes] = {}
        self.away = False

    async def get(self, name: str) -> bytes | None:
        return None if self.away else self.kept.get(name)

    async def put(self, name: str, answer: bytes) -> None:
        if not self.away:
            self.kept[name] = answer


def made(tmp_path: Path, *accounts: Any, memory: Memory | None = None) -> Place:
    other = replace(identity(key=OTHER), id="k2", accounts=(account(id="k2"),))
    return Place(tmp_path, identity(*accounts), other, store=memory or Memory())


def ask(place: Place, *args: Any, **more: Any) -> Answered:
    async def once() -> Answered:
        found = await place.ask(*args, **more)
        await asyncio.sleep(0)  # what goes on beside it
        await asyncio.sleep(0)
        return found

    return asyncio.run(once())


def test_the_same_is_answered_once_and_the_second_time_it_is_free_and_says_so(tmp_path: Path) -> None:
    place = made(tmp_path, account(budgets=(Budget(most=nano(100)),), limits=Limits(rpm=10, tpm=10_000)))
    first, second = ask(place), ask(place)
    assert (first.headers["x-cache"], second.headers["x-cache"]) == ("miss", "hit")
    assert len(second.headers["x-litellm-cache-key"]) == 64
    assert second.json == first.json == ANSWER
    assert len(place.app.seen) == 1
    paid, free = place.records.ended_
    assert (paid.outcome, paid.cost, paid.prompt_tokens) == ("answered", nano(0.02), 10)
    assert (free.outcome, free.cost, free.prompt_tokens, free.completion_tokens) == ("cached", 0, 0, 0)
    assert (free.status, free.provider, free.estimated) == (200, "", False)
    assert second.headers["x-ratelimit-remaining-requests"] == "8", "it is a request all the same"


def test_no_key_sees_what_another_was_answered_nor_what_the_master_key_was(tmp_path: Path) -> None:
    place = made(tmp_path)
    for key in (KEY, OTHER, MASTER):
        assert ask(place, key=key).headers["x-cache"] == "miss"
    for key in (KEY, OTHER, MASTER):
        assert ask(place, key=key).headers["x-cache"] == "hit"
    assert len(place.app.seen) == 3


def test_a_key_that_is_blocked_or_may_ask_for_less_gets_nothing_that_was_kept(tmp_path: Path) -> None:
    place = made(tmp_path)
    assert ask(place).status == 200
    for changed, status in ((account(blocked=True), 401), (account(models=("beta",)), 403)):
        place.look_up.known[hash_of(KEY)] = identity(changed, version=place.look_up.seq + 1)
        place.look_up.seq += 1
        place.known.forget([hash_of(KEY)], place.look_up.seq)
        assert ask(place).status == status
    assert len(place.app.seen) == 1


def test_whoever_is_over_a_limit_or_a_budget_gets_nothing_that_was_kept(tmp_path: Path) -> None:
    place = made(tmp_path, account(limits=Limits(rpm=2)))
    assert [ask(place).status for _ in range(3)] == [200, 200, 429]
    (tmp_path / "poor").mkdir()
    poor = made(tmp_path / "poor", account(budgets=(Budget(most=nano(0.02)),)))
    assert [ask(poor, body=chat(max_tokens=1)).status for _ in range(2)] == [200, 429]


ELSEWHERE: dict[str, dict[str, Any]] = {
    "another path": {"path": "/chat/completions"},
    "another question": {"body": chat(messages=[{"role": "user", "content": "otherwise"}])},
    "another temperature": {"body": chat(temperature=0.1)},
    "another end user": {"body": chat(user="ann")},
    "a query": {"query": b"x=1"},
    "a header that a rule may ask for": {"headers": {"x-quality-tier": "premium"}},
}


@pytest.mark.parametrize("name", ELSEWHERE)
def test_what_is_not_the_same_is_asked(tmp_path: Path, name: str) -> None:
    place = made(tmp_path)
    ask(place, body=chat())
    assert ask(place, **{"body": chat(), **ELSEWHERE[name]}).headers["x-cache"] == "miss"
    assert len(place.app.seen) == 2


def test_the_same_said_otherwise_is_the_same(tmp_path: Path) -> None:
    place = made(tmp_path)
    ask(place, body=chat())
    turned = json.dumps(dict(reversed(list(chat().items()))), indent=3).encode()
    noise = {"x-request-id": "7", "user-agent": "x", "x-stainless-retry-count": "1", "traceparent": "00-1"}
    assert ask(place, body=turned, headers=noise).headers["x-cache"] == "hit"


def test_a_model_that_leads_somewhere_else_begins_anew(tmp_path: Path) -> None:
    memory = Memory()
    place = made(tmp_path, memory=memory)
    ask(place)
    (tmp_path / "next").mkdir()
    after = made(tmp_path / "next", memory=memory)
    assert ask(after).headers["x-cache"] == "hit", "another generation, the same route"
    after.routes._definitions = {"d1": "with another temperature"}
    after.routes._known.clear()
    assert ask(after).headers["x-cache"] == "miss"


CONTROLS: dict[str, tuple[dict[str, Any], str | None, str | None]] = {
    # how it is asked -> what it says, and what the next one says that asks without
    "no-cache": ({"headers": {"cache-control": "no-cache"}}, "miss", "hit"),
    "max-age": ({"headers": {"cache-control": "max-age=0"}}, "miss", "hit"),
    "no-store": ({"headers": {"cache-control": "no-store"}}, None, "miss"),
    "LiteLLM's no-cache": ({"body": chat(cache={"no-cache": True})}, "miss", "hit"),
    "LiteLLM's no-store": ({"body": chat(cache={"no-store": True})}, None, "miss"),
    "what is not known": ({"body": chat(cache={"ttl": 5})}, None, "miss"),
}


@pytest.mark.parametrize("name", CONTROLS)
def test_a_client_says_what_it_wants(tmp_path: Path, name: str) -> None:
    place = made(tmp_path)
    how, says, then = CONTROLS[name]
    assert ask(place, **{"body": chat(), **how}).headers.get("x-cache") == says
    assert ask(place, body=chat()).headers.get("x-cache") == then
    assert ask(place, **{"body": chat(), **how}).headers.get("x-cache") == says, "although there is one now"


def test_a_stream_is_given_again_as_a_stream_to_the_byte(tmp_path: Path) -> None:
    place = made(tmp_path)
    pieces = (b'data: {"choices":[{"delta":{"content":"hel"}}]}\n\n', b'data: {"choices":[]}\n\n', b"data: [DONE]\n\n")
    place.app.streams(*pieces)
    first, second = (ask(place, body=chat(stream=True)) for _ in range(2))
    assert second.headers["x-cache"] == "hit"
    assert second.headers["content-type"].startswith("text/event-stream")
    assert second.body == first.body
    assert "content-length" not in second.headers


def test_a_stream_that_is_cut_is_not_kept(tmp_path: Path) -> None:
    place = made(tmp_path)
    place.app.streams(b'data: {"choices":[{"delta":{"content":"hel"}}]}\n\n')
    assert [ask(place, body=chat(stream=True)).headers["x-cache"] for _ in range(2)] == ["miss", "miss"]


@pytest.mark.parametrize("status", [400, 429, 500])
def test_a_failure_is_not_kept(tmp_path: Path, status: int) -> None:
    place = made(tmp_path)
    place.app.status = status
    assert ask(place).status == status
    place.app.status = 200
    assert ask(place).headers["x-cache"] == "miss"


def test_what_a_fallback_answered_is_not_kept(tmp_path: Path) -> None:
    place = made(tmp_path)

    async def fell(number: int) -> None:
        current = call.current.get()
        assert current is not None
        current.fallbacks = 1

    place.app.before_piece = fell
    assert [ask(place).headers["x-cache"] for _ in range(2)] == ["miss", "miss"]


def test_a_large_answer_is_not_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recording, "LARGEST", 20)
    place = made(tmp_path)
    assert [ask(place).headers["x-cache"] for _ in range(2)] == ["miss", "miss"]


NOT_TWICE = ("/v1/responses", "/v1/images/generations", "/v1/moderations", "/v1/messages/count_tokens")


@pytest.mark.parametrize("path", NOT_TWICE)
def test_elsewhere_every_request_is_asked(tmp_path: Path, path: str) -> None:
    place = made(tmp_path)
    for _ in range(2):
        assert "x-cache" not in ask(place, path).headers
    assert len(place.app.seen) == 2


def test_an_answer_does_not_say_what_it_cost_and_how_long_it_took_then(tmp_path: Path) -> None:
    place = made(tmp_path)
    said: Mapping[bytes, bytes] = {
        b"x-litellm-response-cost": b"0.5", b"x-litellm-call-id": b"1", b"x-litellm-response-duration-ms": b"9",
        b"x-litellm-model-id": b"m", b"set-cookie": b"a=b",
    }  # fmt: skip
    place.app.headers = [*place.app.headers, *said.items()]
    ask(place)
    second = ask(place)
    assert second.headers["x-cache"] == "hit" and second.headers["x-litellm-model-id"] == "m"
    assert not {name.decode() for name in said if name != b"x-litellm-model-id"} & second.headers.keys()


def test_without_whoever_keeps_them_everything_is_asked(tmp_path: Path) -> None:
    memory = Memory()
    place = made(tmp_path, memory=memory)
    memory.away = True
    assert [ask(place).status for _ in range(2)] == [200, 200]
    assert len(place.app.seen) == 2
    memory.away = False
    ask(place)
    for name in memory.kept:
        memory.kept[name] = b'{"of": "another version"}'
    assert ask(place).headers["x-cache"] == "miss"
