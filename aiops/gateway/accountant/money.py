"""A money counter says what the ledger says and what is reserved, also after the counters were lost or changed.

A row of the ledger says which counters it is settled in (``usage/settled.py``). In any other, also that of a budget
which was given when it was under way, it is counted here: by ``post`` when it is entered, where the counter is there
already; by ``seed`` when the counter is made. The two never run at the same time, so that nothing is counted twice,
and nothing not at all.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, replace
from typing import Any, TypeVar, cast

from sqlalchemy import Connection

from aiops.gateway.accountant import repeats
from aiops.gateway.accountant.database import Database, Unusable
from aiops.gateway.shared.accounting import Unseeded
from aiops.state import rules
from aiops.state.counters.meters import Unavailable
from aiops.state.counters.opened import Opened
from aiops.state.shapes import Identity, Kind
from aiops.state.store import changes, identity, usage
from aiops.state.usage import settled as marks
from aiops.state.usage.record import Usage
from aiops.state.usage.spool import Accepted, Record

T = TypeVar("T")
COUNTERS_SECONDS = 5.0
REMEMBERED = 8192  # keys


@dataclass(frozen=True)
class Post:
    """``cost``, nano-dollars, on each counter of ``ends``: by name, when its window ends. ``id``: under which it is
    counted once."""

    id: str
    cost: int
    ends: Mapping[str, int | None]


class Money:
    """``counters``: of the committed generation."""

    def __init__(self, database: Database, counters: Opened) -> None:
        self._database = database
        self._counters = counters.deciding
        self._lasting = counters.lasting
        self._known: dict[str, Identity | None] = {}
        self._seq: int | None = None
        self.spent: Callable[[set[str]], None] = lambda ids: None
        """Called with the ids of keys that have spent something, when it is in the ledger."""

    async def enter(self, records: Sequence[Usage]) -> None:
        """Into the ledger, and into counters that do not have it. Raises Unusable: then it is to be done again."""
        loop = asyncio.get_running_loop()
        # What nobody has a budget for is written also while nobody counts. That others stand in for a while is no
        # reason not to tell the counters that come back.
        if any(each.cost and each.key for each in records):
            await self._here(self._lasting.epoch())  # whoever cannot ask for it later holds up nobody until then

        def enter(connection: Connection) -> None:
            inserted = set(usage.ingest(connection, records))
            new = [each for each in records if each.id in inserted and each.cost and each.key]
            if not new:
                return
            # Now that nothing is seeded: counters that were lost while this waited for its turn are others.
            epoch = _in(loop, lambda: self._here(self._lasting.epoch()))
            who = self._identities(connection, {each.key for each in new})
            posts = [post for each in new for post in _posts(who[each.key], each, epoch)]
            if posts:  # before the commit: killed in between, it is done again, and counted once
                _in(loop, lambda: self._post(posts))

        await self._database.write(enter)
        self.spent({each.key for each in records if each.cost and each.key})

    async def settle(self, owner: str, records: Sequence[Record]) -> list[Usage]:
        """What a dead process had under way: what it had begun to settle is settled, if it was not; of the rest nobody
        knows what it used, and what it reserved is given back. ``owner``: of the reservations. Raises Unusable."""
        settled = []
        for each in records:
            if isinstance(each, Accepted):
                await self._here(self._counters.void(each.id))
                settled.append(each.lost())
            else:
                tokens = each.prompt_tokens + each.completion_tokens
                done = await self._here(self._counters.settle(each.id, tokens, each.cost or 0))
                has_it = done.epoch == marks.epoch(each.epoch)
                settled.append(each if has_it else replace(each, epoch=marks.unsure(each.epoch)))
        await self._here(self._counters.gone(owner))
        await repeats.bury(self._database, records)
        return settled

    async def seed(self, counters: Sequence[Unseeded], of: Opened, epoch: str = "") -> None:
        """Tell these counters what the ledger says. ``of``: the generation that asks; ``epoch``: of its counters, where
        it says that. Raises Unusable."""
        loop = asyncio.get_running_loop()
        if not epoch:  # whoever asks waits: those of this host are not to wait for a Redis that does not answer
            epoch = await self._here(of.deciding.epoch())
        ends = {each.name: each.ends for each in counters}

        def seed(connection: Connection) -> None:
            usage.seeding(connection)
            amounts = {each.name: each.base + _spent(connection, each, epoch) for each in counters}
            _in(loop, lambda: self._here(of.deciding.seed(amounts, ends, epoch)))

        await self._database.write(seed)

    def _identities(self, connection: Connection, keys: Set[str]) -> Mapping[str, Identity | None]:
        """As they are now; asked for again when anything was changed."""
        if not keys:
            return {}
        seq = changes.newest(connection)
        if seq != self._seq or len(self._known) > REMEMBERED:
            self._seq, self._known = seq, {}
        for key in keys - self._known.keys():
            self._known[key] = identity.by_id(connection, key)
        return self._known

    async def _post(self, posts: Sequence[Post]) -> None:
        for post in posts:
            amounts = dict.fromkeys(post.ends, post.cost)
            await self._here(self._counters.post(post.id, amounts, post.ends))

    async def _here(self, call: Coroutine[Any, Any, T]) -> T:
        try:
            async with asyncio.timeout(COUNTERS_SECONDS):
                return await call
        except (Unavailable, TimeoutError) as error:
            raise Unusable(f"the counters cannot be reached: {error}") from error


def _in(loop: asyncio.AbstractEventLoop, call: Callable[[], Awaitable[T]]) -> T:
    """From the thread that writes. Raises what it raises, and RuntimeError when the loop has ended."""

    async def begin() -> T:
        return await call()

    begun = begin()
    try:
        return asyncio.run_coroutine_threadsafe(begun, loop).result()
    except RuntimeError:
        begun.close()  # it was never begun, which is not to be complained of
        raise


def _spent(connection: Connection, of: Unseeded, epoch: str) -> int:
    kind = cast(Kind, of.kind)
    return usage.spent(connection, kind, of.account, of.begins, of.ends, model=of.model, not_in=(epoch, of.mark))


def _posts(who: Identity | None, record: Usage, epoch: str) -> Iterator[Post]:
    """What counters of this ``epoch`` do not have of a request yet.

    Where it was reserved the counters may have heard of its end without an answer, so it is told under its own id; a
    counter that it was never reserved in knows nothing of that id, and is told under one for the two of them.
    """
    if who is None:
        return
    began, cost = record.started / 1e6, record.cost or 0
    missing = [
        each.meter
        for each in rules.counts(who, record.model, began).counted
        if each.meter.what == "money"
        and began >= each.account.base_at
        and not marks.has(record.epoch, epoch, each.meter.mark)
    ]
    reserved = marks.reserved(record.epoch)
    own = {meter.name: meter.ends for meter in missing if meter.mark in reserved}
    if own:
        yield Post(record.id, cost, own)
    for meter in missing:
        if meter.name not in own:
            yield Post(f"{record.id}:{meter.name}", cost, {meter.name: meter.ends})
