"""A request that needs LiteLLM, where there is none: another worker answers it by the same id, or nobody does."""

from __future__ import annotations

import asyncio
from pathlib import Path

from aiops.gateway.worker.front.asgi import Receive, Scope, Send
from aiops.gateway.worker.front.beyond import NeedsLiteLLM
from aiops.state.shapes import Limits
from aiops.state.usage.spool import Accepted
from tests.unit.gateway.front.place import Place, account, identity


class Without:
    """A front with nothing of LiteLLM behind it, and a key that may ask one thing at a time."""

    def __init__(self, directory: Path) -> None:
        self.place = Place(directory, identity(account(limits=Limits(parallel=1))))
        self.passed_on: list[Accepted] = []
        self.place.records.passed_on = self.passed_on.append  # type: ignore[attr-defined]
        self.place.front._app = self._app

    @staticmethod
    async def _app(scope: Scope, receive: Receive, send: Send) -> None:
        raise NeedsLiteLLM

    async def ask(self) -> NeedsLiteLLM | int:
        try:
            return (await self.place.ask()).status
        except NeedsLiteLLM as needs:
            return needs


def test_what_was_let_in_is_held_for_the_worker_that_answers_it(tmp_path: Path) -> None:
    without = Without(tmp_path)
    needs = asyncio.run(without.ask())
    assert isinstance(needs, NeedsLiteLLM)
    assert [each.id for each in without.passed_on] == [needs.id]
    assert asyncio.run(without.ask()) == 429


def test_what_nobody_answers_is_given_back(tmp_path: Path) -> None:
    async def story() -> NeedsLiteLLM | int:
        without = Without(tmp_path)
        needs = await without.ask()
        assert isinstance(needs, NeedsLiteLLM)
        await needs.give_up()
        return await without.ask()

    assert isinstance(asyncio.run(story()), NeedsLiteLLM)


def test_of_a_key_without_limits_there_is_nothing_to_give_back(tmp_path: Path) -> None:
    async def story() -> None:
        without = Without(tmp_path)
        without.place.look_up.known = {each.hash: each for each in (identity(),)}
        needs = await without.ask()
        assert isinstance(needs, NeedsLiteLLM)
        await needs.give_up()

    asyncio.run(story())
