"""A request that another worker is to answer: what it holds, until that has it or nobody does."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from aiops.gateway.worker.front.beyond import NeedsLiteLLM
from aiops.state.shapes import Limits
from tests.unit.gateway.front.place import Place, account, identity


def test_it_holds_its_slot_until_it_is_said_that_nobody_answers_it(tmp_path: Path) -> None:
    place = Place(tmp_path, identity(account(limits=Limits(parallel=1))))

    async def needs() -> None:
        raise NeedsLiteLLM

    async def story() -> None:
        place.app.before_piece = lambda number: needs()
        with pytest.raises(NeedsLiteLLM) as raised:
            await place.ask()
        place.app.before_piece = lambda number: None
        assert (await place.ask()).status == 429, "it waits, and counts as long as it does"
        assert raised.value.id and raised.value.give_back is not None
        await raised.value.give_back()
        assert (await place.ask()).status == 200

    asyncio.run(story())
    assert len(place.records.passed_on_) == 1
    assert [ended.outcome for ended in place.records.ended_] == ["answered"]
