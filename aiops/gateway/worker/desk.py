"""What a worker keeps of keys, limits and usage, wired together: the front, its counters, its spool, the accountant."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from aiops.gateway.shared import accounting
from aiops.gateway.shared.deployment import REDIS_VARIABLE
from aiops.gateway.shared.steady import Condition
from aiops.gateway.worker import dispatch as dispatching
from aiops.gateway.worker.accountant import Accountant, Away
from aiops.gateway.worker.dispatch import Dispatch
from aiops.gateway.worker.extension import Extension
from aiops.gateway.worker.figures import Figures, without_accountant
from aiops.gateway.worker.front.account import Account
from aiops.gateway.worker.front.cached.cache import Cache
from aiops.gateway.worker.front.cached.question import Routes
from aiops.gateway.worker.front.doors import Doors
from aiops.gateway.worker.front.front import Front
from aiops.gateway.worker.front.known import Known
from aiops.gateway.worker.front.once.once import Once
from aiops.gateway.worker.front.reserve import Reserve
from aiops.gateway.worker.lanes.direct.attempt import Attempts
from aiops.gateway.worker.lanes.direct.direct import Direct
from aiops.gateway.worker.lanes.lanes import Lanes
from aiops.gateway.worker.lanes.plan import Planner
from aiops.gateway.worker.lanes.upstream.client import Upstream
from aiops.gateway.worker.limits import Limits
from aiops.gateway.worker.lookout import Lookout
from aiops.gateway.worker.prices import Prices
from aiops.gateway.worker.settings import Settings
from aiops.gateway.worker.telling import Telling
from aiops.spec.lanes import table
from aiops.state.counters.meters import Counters, Meter, Unavailable
from aiops.state.replica import replica
from aiops.state.usage.spool import Spool

if TYPE_CHECKING:
    from collections.abc import Callable

    from aiops.gateway.worker.readiness import Readiness

log = logging.getLogger("aiops.keys")

SIGN_SECONDS = 1.0
NONE = table.Lanes()
"""Of a generation that says nothing of lanes: LiteLLM answers all."""


class Models(dispatching.Models, Protocol):
    """And what is asked of them once, at the start."""

    def deployments(self) -> frozenset[str]:
        """The id of each."""

    def prices(self, free: Iterable[str] | None) -> Prices:
        """Of all deployments; ``free``: providers that send no bill."""

    def places(self) -> dict[str, str]:
        """What each provider is called where others listen."""

    def limited(self) -> dict[str, tuple[Meter, ...]]:
        """The meters of each deployment that has some."""

    def definitions(self) -> dict[str, str]:
        """By the id of each deployment all that says how it is asked, but for its key."""


class Desk:
    """To be made after the fork. ``health``: of the doors, those that need no key. ``replica``: which gateway this is,
    as the ledger and the other ones know it. ``says``: what the worker says of itself. Raises OSError when the state
    cannot be read."""

    def __init__(
        self,
        app: Extension,
        doors: Doors,
        health: frozenset[str],
        settings: Settings,
        models: Models,
        dispatch: Dispatch,
        *,
        state: Path,
        run: Path,
    ) -> None:
        deployment, cache = settings.deployment, settings.cache
        prices = models.prices(settings.free)
        self._known = Known(log.warning)
        self._accountant = Accountant(run, settings.generation, settings.url, self._forget)
        self._known.ask = self._accountant
        self._telling = Telling(dispatch.board, models.places(), self._accountant.tell)
        self._accountant.elsewhere = self._telling.hear
        if deployment is not None and deployment.closed:
            self._known.doubt = self._doubt
        self._spool = Spool(state, log.warning)
        counters = open_counters(state, os.environ[REDIS_VARIABLE] if deployment is not None else None)
        owner = self._spool.owner
        self.limits = Limits(models.limited(), counters, owner, log.warning)
        self._reserve = Reserve(counters, prices, dispatch.ways, owner, log.warning)
        self._reserve.seeder = self._seed
        self._reserve.over_budget_status = settings.over_budget_status
        self._lookout = Lookout(self._accountant, counters, self._reserve, self._spool)
        self._state = state
        self._figures = figures = Figures(state, owner, log.warning)
        self.says: Callable[[], Readiness] | None = None
        self.replica = replica(state)
        account = Account(self._spool, prices, settings.generation, self.replica, figures=figures)
        self._once = Once(self._accountant, log.warning)
        self._cache = None
        if deployment is not None and cache is not None:
            from aiops.state.answers.kept import Kept  # hardly any gateway has one

            kept = Kept(os.environ[REDIS_VARIABLE], cache.ttl, cache.most_bytes, log.warning)
            self._cache = Cache(kept, Routes(dispatch.ways, prices, models.definitions()))
        self._upstream = Upstream()
        planner = Planner(dispatch, settings.lanes or NONE)
        lanes = Lanes(app, planner, Direct(Attempts(self._upstream, dispatch, self.limits), planner))
        self.front = Front(
            app,
            doors,
            health,
            self._known,
            self._reserve,
            account,
            self._accountant.manage,
            self._once,
            cache=self._cache,
            apart=settings.admin is not None,
            same=dispatch.table.same,
            metrics=self._scrape,
            host=settings.host,
            figures=figures,
            lanes=lanes,
        )

    @property
    def closed(self) -> bool:
        """A key is refused that nobody can vouch for now."""
        return self._known.doubt is not None

    def conditions(self) -> Mapping[str, Condition]:
        """How what this worker can do without for a while is, by check."""
        return self._lookout.conditions()

    def start(self) -> list[asyncio.Task[None]]:
        """What goes on beside the requests, until it is cancelled."""
        return [
            asyncio.create_task(self._accountant.stay_connected()),
            asyncio.create_task(self._give_signs()),
            asyncio.create_task(self._once.keep()),
            asyncio.create_task(self._telling.go_on()),
        ]

    async def finish(self, seconds: float) -> None:
        """The last client is gone. What goes on without one has ``seconds``."""
        await self._once.leave(seconds)

    async def leave(self) -> None:
        """The last request is over."""
        if self._cache is not None:
            await self._cache.leave()
        await self._upstream.close()
        await self._reserve.leave()
        self._spool.close()

    async def _give_signs(self) -> None:
        while True:
            try:
                await self._reserve.sign_of_life()
                await self.limits.say_again()
                self._spool.flush()
                self._lookout.look()
                self._stand()
            except Exception:
                log.exception("a sign of life was not given; the next one is in a second")
            await asyncio.sleep(SIGN_SECONDS)

    def _stand(self) -> None:
        self._figures.stand(
            reservations=self._reserve.live,
            waiting=self._spool.waiting,
            stands_in=self._lookout.stands_in,
            state=self.says().status if self.says is not None else "",
        )

    async def _scrape(self) -> str:
        try:
            return await self._accountant.scrape()
        except Away:
            return without_accountant(self._state)

    def _doubt(self) -> str:
        """Why nobody can vouch for a key now, empty when somebody can."""
        store = self._accountant.store
        return "" if store.state == accounting.WELL else f"the database is {store.state}"

    def _forget(self, changed: accounting.Changed) -> None:
        self._known.forget(changed.hashes, changed.seq)

    async def _seed(self, counters: Sequence[accounting.Unseeded], epoch: str) -> None:
        try:
            await self._accountant.seed(counters, epoch)
        except Away as away:
            raise Unavailable(str(away)) from away


def open_counters(state: Path, redis_url: str | None = None) -> Counters:
    """Raises ValueError for a URL that cannot be Redis'."""
    from aiops.state.counters.opened import opened

    return opened(state, redis_url, log.warning).deciding
