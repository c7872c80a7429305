"""`rate_limit` of a model as a worker counts it, on real counters."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

import pytest

from aiops.gateway.worker.limits import Full, Limits, limited, meters
from aiops.state.counters.meters import Meter, Unavailable
from aiops.state.counters.shared import Shared

BOTH = {"d1": meters("alpha", 3, 100)}


class Lost(Shared):
    """Counters that can be taken away."""

    away = False

    def _run(self, *arguments: Any, **more: Any) -> Any:
        if self.away:
            raise Unavailable("the disk is gone")
        return super()._run(*arguments, **more)


def run(act: Coroutine[Any, Any, None]) -> None:
    asyncio.run(act)


def used(counters: Shared) -> list[tuple[int, int]]:
    """Of requests and of tokens: used and reserved together, and reserved alone."""
    return [(level.used, level.reserved) for level in asyncio.run(counters.levels(BOTH["d1"]))]


def test_a_request_and_its_tokens_are_counted_by_all_who_have_these_counters(tmp_path: Path) -> None:
    counters = Shared(tmp_path)
    one, two = (Limits(BOTH, counters, owner, print) for owner in ("one", "two"))

    async def act() -> None:
        for worker in (one, two, one):
            held = await worker.take("d1", 20)
            assert held is not None
            await held.settle(15)
        with pytest.raises(Full, match="3 requests in 60 seconds") as full:
            await two.take("d1", 20)
        assert 59 < full.value.wait <= 60

    run(act())
    assert used(counters) == [(3, 0), (45, 0)], "a refusal writes nothing"


def test_what_failed_gives_its_tokens_back_once_and_stays_a_request(tmp_path: Path) -> None:
    counters = Shared(tmp_path)

    async def act() -> None:
        held = await Limits(BOTH, counters, "one", print).take("d1", 90)
        assert held is not None
        await held.void()
        await held.settle(50)

    run(act())
    assert used(counters) == [(1, 0), (0, 0)]


def test_tokens_that_others_have_reserved_refuse_for_a_second_at_a_time(tmp_path: Path) -> None:
    limits = Limits(BOTH, Shared(tmp_path), "one", print)

    async def act() -> None:
        await limits.take("d1", 90)
        with pytest.raises(Full, match="100 tokens in 60 seconds") as full:
            await limits.take("d1", 90)
        assert full.value.wait == 1.0

    run(act())


def test_without_counters_requests_pass_and_what_has_ended_is_counted_when_they_are_back(tmp_path: Path) -> None:
    counters, said = Lost(tmp_path), list[str]()
    limits = Limits(BOTH, counters, "one", said.append)

    async def act() -> None:
        held = await limits.take("d1", 20)
        assert held is not None
        counters.away = True
        await held.settle(15)
        for _ in range(5):
            assert await limits.take("d1", 20) is None
        await limits.say_again()
        counters.away = False
        await limits.say_again()
        assert await limits.take("d1", 20) is not None

    run(act())
    assert used(counters) == [(2, 0), (35, 20)]
    assert said == [
        "limits of models cannot be counted: the disk is gone; requests pass uncounted",
        "limits of models are counted again",
    ]


def test_a_settlement_that_was_broken_off_is_said_again(tmp_path: Path) -> None:
    class Slow(Shared):
        async def settle(self, *arguments: Any) -> Any:
            await asyncio.sleep(0.05)
            return await super().settle(*arguments)

    counters = Slow(tmp_path)
    limits = Limits(BOTH, counters, "one", print)

    async def act() -> None:
        held = await limits.take("d1", 20)
        assert held is not None
        task = asyncio.create_task(held.settle(15))
        await asyncio.sleep(0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await limits.say_again()

    run(act())
    assert used(counters) == [(1, 0), (15, 0)]


def test_counters_that_cannot_be_opened_limit_nobody() -> None:
    assert "d1" not in Limits(BOTH, None, "one", print)


def test_the_limits_are_those_of_the_configuration_wherever_a_generation_has_them() -> None:
    def model(name: str, params: dict[str, Any], **info: Any) -> dict[str, Any]:
        return {
            "model_name": name,
            "litellm_params": {"model": "openai/x", **params},
            "model_info": {"id": name, **info},
        }

    found = limited([model("now", {}, rpm=5), model("before", {"rpm": 6, "tpm": 7}), model("free", {})])
    assert found == {
        "now": (Meter(name="model:now:rpm", what="requests", limit=5, shown="model"),),
        "before": meters("before", 6, 7),
    }
