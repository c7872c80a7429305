"""What is put into LiteLLM's request."""

from __future__ import annotations

import asyncio
import random
from dataclasses import replace
from typing import Any

import pytest

from aiops.gateway.worker.board import Board
from aiops.gateway.worker.call import Call
from aiops.gateway.worker.dispatch import Dispatch
from aiops.gateway.worker.slots import Slots
from aiops.spec.choosing.rules import (
    Group,
    Member,
    MetadataRule,
    PatternRule,
    ProviderFacts,
    RoutingTable,
    Special,
    Strategy,
)

A, B = Member("d-a", "a", "m"), Member("d-b", "b", "m")
POOL = Group("pool", "exact", Strategy.DIRECT, (A, B), ("plain",))
PASSING = Group("^q", "pattern", Strategy.DIRECT, (Member("d-any", "b", None),), ("pool", "plain"))
TABLE = RoutingTable(
    names={"pool": POOL},
    patterns=(PatternRule("^q", PASSING),),
    providers={"a": ProviderFacts(1, True), "b": ProviderFacts(1, True), "p": ProviderFacts(1, True)},
    special=Special(rate_limited=60.0),
)


class Litellm:
    """Serves two plain names, of provider p."""

    def knows(self, name: str) -> bool:
        return name in ("plain", "qwen-plain")

    def provider(self, name: str) -> str | None:
        return "p" if self.knows(name) else None


class Desk:
    def __init__(self, table: RoutingTable = TABLE) -> None:
        self.board = Board(table, Slots(1, len(table.providers)))
        self.dispatch = Dispatch(self.board, Litellm(), random.Random(7).random)

    def limits(self, provider: str) -> None:
        call = Call()
        self.board.begin(call, "d", provider)
        self.board.failed(call, 429, "HTTP 429")
        self.board.over(call)

    def route(self, name: str, headers: dict[str, str] | None = None, **body: Any) -> dict[str, Any] | None:
        call = Call([(key.encode(), value.encode()) for key, value in (headers or {}).items()])
        call.name = name
        data = {"model": name, **body}
        changed = asyncio.run(self.dispatch.route(call, data))
        self.rule = call.rule
        return data if changed else None


def test_a_group_becomes_its_first_member_and_the_others_are_fallbacks() -> None:
    desk = Desk()
    assert desk.route("pool") == {"model": "d-a", "fallbacks": ["d-b", "plain"]}
    assert desk.rule == b"exact pool"


def test_a_plain_name_is_left_to_litellm_even_when_a_pattern_matches_it() -> None:
    assert Desk().route("qwen-plain") is None


def test_a_name_nobody_knows_is_left_to_litellm_which_refuses_it() -> None:
    assert Desk().route("nobody") is None


def test_a_pattern_serves_a_name_that_nobody_listed() -> None:
    desk = Desk()
    routed = desk.route("qwen-unlisted")
    assert routed is not None
    assert routed["model"] == "d-any"
    assert desk.rule == b"pattern ^q"
    assert desk.dispatch.passing == {"d-any"}


def test_a_fallback_that_is_a_group_is_put_in_order_too() -> None:
    routed = Desk().route("qwen-unlisted")
    assert routed is not None
    assert routed["fallbacks"] == ["d-a", "d-b", "plain"]


def test_a_fallback_goes_before_a_member_that_is_avoided() -> None:
    desk = Desk()
    desk.limits("a")
    assert desk.route("pool") == {"model": "d-b", "fallbacks": ["plain", "d-a"]}
    desk.limits("b")
    assert desk.route("pool") == {"model": "plain", "fallbacks": ["d-a", "d-b"]}
    desk.limits("p")
    assert desk.route("pool") == {"model": "d-a", "fallbacks": ["d-b", "plain"]}


def test_fallbacks_a_client_names_replace_those_of_the_rule() -> None:
    routed = Desk().route("pool", fallbacks=["mine"])
    assert routed is not None
    assert routed["fallbacks"] == ["d-b", "mine"]


def test_fallbacks_of_both_of_litellms_kinds_are_not_mixed() -> None:
    mine = {"model": "mine", "messages": []}
    routed = Desk().route("pool", fallbacks=[mine])
    assert routed is not None
    assert routed["fallbacks"] == [{"model": "d-b"}, mine]


def test_a_long_row_of_fallbacks_is_tried_to_its_end() -> None:
    names = tuple(f"plain-{number}" for number in range(9))
    routed = Desk(replace(TABLE, names={"pool": replace(POOL, fallbacks=names)})).route("pool")
    assert routed is not None
    assert routed["max_fallbacks"] == len(routed["fallbacks"]) == 10


def test_a_header_rule_moves_the_request() -> None:
    desk = Desk(replace(TABLE, metadata=(MetadataRule("eu", "b", "header.x-region == 'eu'"),)))
    moved, stayed = desk.route("pool", {"x-region": "eu"}), desk.route("pool", {"x-region": "us"})
    assert moved and stayed
    assert (moved["model"], stayed["model"]) == ("d-b", "d-a")


def test_a_rule_with_any_character_in_its_name_is_a_header() -> None:
    odd = replace(POOL, name="^ä\n.*")
    desk = Desk(replace(TABLE, names={"pool": odd}))
    desk.route("pool")
    assert desk.rule == b"exact ^%C3%A4%0A.*"


@pytest.mark.parametrize("seconds", [0.05])
def test_a_request_waits_for_the_first_health_check_no_longer_than_configured(seconds: float) -> None:
    desk = Desk(replace(TABLE, special=Special(warm_check=seconds)))

    async def ask() -> dict[str, Any]:
        desk.dispatch.checked = asyncio.Event()  # that never comes
        call, data = Call(), {"model": "pool"}
        call.name = "pool"
        await asyncio.wait_for(desk.dispatch.route(call, data), 5)
        return data

    assert asyncio.run(ask())["model"] == "d-a"


def test_the_same_beginning_goes_to_the_same_member_and_is_remembered_of_whoever_was_asked() -> None:
    kept = replace(POOL, strategy=Strategy.CACHE_AWARE, fallbacks=())
    table = replace(TABLE, names={"pool": kept})
    said = [{"role": "user", "content": "once upon a time " * 40}]
    firsts = {Desk(table).route("pool", messages=said)["model"] for _ in range(5)}  # type: ignore[index]
    assert len(firsts) == 1, "workers that know nothing agree"
    [first] = firsts
    other = {"d-a": "d-b", "d-b": "d-a"}[first]

    desk = Desk(table)
    call = Call()
    call.name = "pool"
    asyncio.run(desk.dispatch.route(call, {"model": "pool", "messages": said}))
    desk.board.begin(call, other, "b")  # the first one had failed
    desk.board.answered(call)
    desk.board.over(call)
    went_on = [*said, {"role": "assistant", "content": "yes?"}, {"role": "user", "content": "go on"}]
    assert desk.route("pool", messages=went_on)["model"] == other  # type: ignore[index]


def test_a_prompt_is_looked_at_only_where_somebody_is_chosen_by_it() -> None:
    call = Call()
    call.name = "pool"
    asyncio.run(Desk().dispatch.route(call, {"model": "pool", "messages": [{"role": "user", "content": "x" * 999}]}))
    assert call.prefix is None
