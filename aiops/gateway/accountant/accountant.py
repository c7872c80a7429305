"""The parts put together, from the first look at the database to the last record."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from aiops.gateway.accountant import checking, managing, repeats
from aiops.gateway.accountant.changes import Changes
from aiops.gateway.accountant.counters import CountersOf, Probe
from aiops.gateway.accountant.database import Database, Unusable
from aiops.gateway.accountant.holding import Holding
from aiops.gateway.accountant.ingest import Ingest
from aiops.gateway.accountant.metrics import Metrics
from aiops.gateway.accountant.money import Money
from aiops.gateway.accountant.presence import Presence
from aiops.gateway.accountant.proving import Proving
from aiops.gateway.accountant.say import say
from aiops.gateway.accountant.server import Peer, Server
from aiops.gateway.accountant.sharing import Sharing
from aiops.gateway.accountant.upkeep import keep_house
from aiops.gateway.shared import accounting, deployment
from aiops.gateway.shared.accounting import Answer, Changed, Question, Store
from aiops.gateway.shared.deployment import Deployment
from aiops.gateway.shared.metrics.memory import Memory
from aiops.gateway.shared.sightings import Sightings
from aiops.gateway.shared.steady import Condition
from aiops.state import plain
from aiops.state.replica import replica
from aiops.state.store import identity
from aiops.state.usage.writer import this_process

DATABASE = "aiops.db"
LAST_SECONDS = 2.0  # at the end, to write what is in the spools
NO_CHANGE = -1  # a number that no change has: whoever was told it forgets everything again at the next welcome
SIGN_SECONDS = 1.0  # between two signs of life for the workers
LOOK_UP_SECONDS = 1.8  # a worker waits for two
ALONE_SECONDS = 60.0  # without a master and without workers, until there is nothing more to do


@dataclass(frozen=True)
class Options:
    """``database_url`` and ``redis_url`` None: SQLite and shared memory, in the state directory."""

    state: Path
    run: Path
    secrets: Path
    database_url: str | None = None
    redis_url: str | None = None
    deployment: Deployment | None = None

    @classmethod
    def of(cls, state: Path, run: Path, secrets: Path) -> Options:
        """As the generation wants it that was committed last. Raises OSError or ValueError when that is damaged."""
        found = deployment.current(state)
        if found is None:
            return cls(state, run, secrets)
        return cls(state, run, secrets, found.database_url(secrets), found.redis_url(secrets), found)


class Accountant:
    def __init__(self, options: Options) -> None:
        self._options = options
        self._replica = replica(options.state)
        self._parent = os.getppid()
        where = options.database_url or options.state / DATABASE
        self._database = Database(where, self._say_how)
        self._changes = Changes(self._database, where, self._changed)
        self._counters = CountersOf(options.state, options.secrets, options.redis_url)
        self._probe = Probe(self._counters.committed, options.state, self._say_how)
        self._money = Money(self._database, self._counters.committed)
        self._sharing = Sharing(self._replica, self._counters.committed.redis)
        self._memory = Memory(options.state, this_process(), say)
        self._ingest = Ingest(options.state, self._money, lambda many: self._metrics.lost(many))
        self._proving = Proving(self._database, self._counters.committed, self._ingest.once)
        self._money.spent = self._proving.used
        self._presence = Presence(self._database, self._replica, options.deployment)
        self._server = Server(options.run, self._reply, self._presence.is_news)
        self._metrics = Metrics(options.state, self._memory, self._database, self._probe, self._server, self._proving)
        self._over = asyncio.Event()

    async def run(self) -> None:
        """Until it is told to end, or there is nobody left to work for."""
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, self._over.set)
        await asyncio.gather(self._database.check(), self._probe.check())
        Holding(self._options.state)  # nobody else writes from here on
        await self._server.listen()
        say("serves")
        work = [
            asyncio.create_task(each)
            for each in (
                checking.keep(self._database.check),
                checking.keep(self._probe.check),
                self._give_signs(),
                self._proving.forever(),
                self._metrics.keep(),
                self._database.until_gone(),
                self._changes.follow(),
                self._ingest.forever(),
                self._presence.keep_true(self._server, self._changes),
                self._sharing.go_on(lambda: self._server.workers),
                self._watch_for_loneliness(),
                keep_house(self._database, self._options.state),
            )
        ]
        work.append(asyncio.create_task(self._told_to_end()))
        done, _ = await asyncio.wait(work, return_when=asyncio.FIRST_COMPLETED)
        if self._database.is_gone:  # what workers know is void as soon as there is another one
            self._server.tell(Changed(NO_CHANGE, None if self._database.is_replaced else ()))
        for task in work:
            task.cancel()
        await asyncio.gather(*work, return_exceptions=True)
        with suppress(TimeoutError):
            async with asyncio.timeout(LAST_SECONDS):
                await self._ingest.once()
        # Or it is retired, and the next one is about to say that they are there: but in another database.
        if not self._server.workers or self._is_elsewhere():
            await self._presence.leave()
        await self._server.close()
        self._database.close()
        for task in done:
            task.result()  # a part that failed: the master starts all of it again

    def _is_elsewhere(self) -> bool:
        with suppress(OSError, ValueError):
            return deployment.current(self._options.state) != self._options.deployment
        return False

    async def _told_to_end(self) -> None:
        await self._over.wait()

    # --- what workers ask -------------------------------------------------------------------------------------

    async def _reply(self, peer: Peer, question: Question) -> Answer | None:
        match question:
            case accounting.Hello():
                return self._welcome(peer, question)
            case accounting.LookUp():
                return await self._look_up(question.hash)
            case accounting.Seen():
                self._sharing.seen(peer, Sightings.of(question.sightings))
                return None
            case accounting.Seed():
                of = self._counters.generation(peer.hello.generation if peer.hello else 0)
                await self._money.seed(question.counters, of, question.epoch)
                return accounting.Done()
            case accounting.Ingest():
                if not await self._ingest.once(again=True):
                    raise Unusable("not everything can be written to the ledger now")
                return accounting.Done()
            case accounting.Manage():
                return await managing.manage(self._database, question)
            case accounting.Begin():
                return await repeats.begin(self._database, question)
            case accounting.Finish():
                return await repeats.finish(self._database, question)
            case accounting.Abandon():
                return await repeats.abandon(self._database, question)
            case accounting.Renew():
                return await repeats.renew(self._database, question)
            case accounting.Scrape():
                return accounting.Scraped(self._metrics.text(self._ingest))
            case _:
                return None

    def _welcome(self, peer: Peer, hello: accounting.Hello) -> Answer:
        # Before it is told of changes: it applies what it is welcomed with, and says so.
        peer.hello, peer.applied = hello, None
        peer.say(self._how())
        self._presence.is_news()
        return accounting.Welcome(self._replica, self._changes.seq, shares=True)

    async def _look_up(self, hash: str) -> Answer:
        # Before the look-up: what is changed meanwhile is told afterwards, and looked up again.
        seq = self._changes.seq or 0
        found = await self._database.read(lambda connection: identity.by_hash(connection, hash), LOOK_UP_SECONDS)
        return accounting.Known(plain.of(found) if found is not None else None, seq)

    # --- what workers are told --------------------------------------------------------------------------------

    def _say_how(self, _: Condition) -> None:
        self._server.tell(self._how())

    def _how(self) -> Store:
        store, counters = self._database.condition, accounting.Condition(**vars(self._probe.condition))
        return Store(store.state, store.why, store.since, counters, SIGN_SECONDS)

    async def _give_signs(self) -> None:
        while True:
            await asyncio.sleep(SIGN_SECONDS)
            self._server.tell(self._how())

    def _changed(self, changed: Changed) -> None:
        self._server.tell(changed)
        self._presence.is_news()

    async def _watch_for_loneliness(self) -> None:
        """A master that died is replaced by another one, which has an accountant of its own. Without any, and without
        workers, nobody is left to work for."""
        alone_since = time.monotonic()
        while True:
            if os.getppid() == self._parent or self._server.workers:
                alone_since = time.monotonic()
            if time.monotonic() - alone_since > ALONE_SECONDS:
                say("there is neither a master nor a worker any more")
                self._over.set()
            await asyncio.sleep(1.0)
