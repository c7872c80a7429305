"""``python -m tests.faults.scribe STATE RUN HASH``: a worker without a gateway. It does for each request what one does,
and says on stdout what it has done as soon as it is done."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import sys
import time
import uuid
from dataclasses import replace
from pathlib import Path

from aiops.gateway.shared import accounting
from aiops.gateway.worker.accountant import Accountant, Away
from aiops.state import rules
from aiops.state.counters.meters import Demand, Granted, Unseeded
from aiops.state.counters.shared import Shared
from aiops.state.shapes import Identity
from aiops.state.usage import settled
from aiops.state.usage.record import Usage
from aiops.state.usage.spool import Accepted, Spool
from aiops.state.usage.writer import this_process

AT_ONCE = 8
MODEL = "alpha"


class Scribe:
    def __init__(self, state: Path, run: Path) -> None:
        self._owner = this_process()
        self._counters = Shared(state / "counters")
        self._spool = Spool(state, lambda line: print(line, file=sys.stderr, flush=True))
        self.accountant = Accountant(run, 1, "", lambda changed: None)
        self._over = asyncio.Event()

    async def work(self, hash: str) -> None:
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGTERM, self._over.set)
        connected = asyncio.create_task(self.accountant.stay_connected())
        who = await self._identity(hash)
        signs = asyncio.create_task(self._signs())
        await asyncio.gather(*(self._ask_on(who) for _ in range(AT_ONCE)))
        self._spool.close()
        for task in (connected, signs):
            task.cancel()

    async def _identity(self, hash: str) -> Identity:
        while True:
            try:
                found, _ = await self.accountant.identity(hash)
            except Away:
                continue
            assert found is not None
            return found

    async def _signs(self) -> None:
        while True:
            await self._counters.alive(self._owner)
            self._spool.flush()
            await asyncio.sleep(1.0)

    async def _ask_on(self, who: Identity) -> None:
        while not self._over.is_set():
            await self._ask(who)

    async def _ask(self, who: Identity) -> None:
        id = uuid.uuid4().hex
        now = time.time()
        settles = await self._reserve(id, who, now)
        if settles is None:
            return
        accepted = Accepted(id=id, key=who.id, model=MODEL, path="/", started=int(now * 1e6), generation=1, replica="r")
        self._spool.accepted(accepted)
        _say(f"accepted {id}")
        await asyncio.sleep(random.uniform(0.0, 0.01))
        cost = random.randint(1, 5000)
        usage = Usage(
            **vars(accepted), provider="p", served="s", seconds=time.time() - now, first=None, status=200,
            outcome="answered", prompt_tokens=1, completion_tokens=1, cached_tokens=0, cost=cost, estimated=False,
            epoch=settles,
        )  # fmt: skip
        self._spool.ending(usage)
        done = await self._counters.settle(id, 2, cost)
        if done.epoch != settled.epoch(settles):
            usage = replace(usage, epoch=settled.unsure(settles))
        self._spool.ended(usage)
        _say(f"ended {id} {cost}")

    async def _reserve(self, id: str, who: Identity, now: float) -> str | None:
        """Where it is to be settled; None: it may not pass."""
        counts = rules.counts(who, MODEL, now)
        for _ in range(3):
            decision = await self._counters.reserve(
                Demand(id=id, owner=self._owner, meters=counts.meters, tokens=2, cost=3000)
            )
            if isinstance(decision, Granted):
                return settled.settled(decision.epoch, [meter.mark for meter in counts.meters if meter.what == "money"])
            if isinstance(decision, Unseeded):
                missing = {meter.name for meter in decision.meters}
                asked = [_unseeded(each) for each in counts.counted if each.meter.name in missing]
                try:
                    await self.accountant.seed(asked, decision.epoch)
                except Away:
                    return None
        return None


def _unseeded(of: rules.Counted) -> accounting.Unseeded:
    meter = of.meter
    begins = max(meter.window, of.account.base_at)
    return accounting.Unseeded(
        meter.name, of.account.kind, of.account.id, begins, meter.ends, of.model, meter.base, meter.mark
    )


def _say(line: str) -> None:
    os.write(1, line.encode() + b"\n")


if __name__ == "__main__":
    asyncio.run(Scribe(Path(sys.argv[1]), Path(sys.argv[2])).work(sys.argv[3]))
