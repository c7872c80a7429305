"""Counters in memory that all workers of a host share: LMDB in a directory, see docs/decisions/0026.

One write transaction is one decision. Keys of the main table: a letter and a name, see ``keys``. What has ended is kept
in two tables that take turns each ``KEPT`` seconds, so that forgetting it costs nothing.

Nothing here waits but for the lock, which a killed holder does not keep: the functions are ``async`` by contract only.
"""

from __future__ import annotations

import os
import struct
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar

import lmdb

from aiops.state.counters import files, keys, kinds, records
from aiops.state.counters.keys import meter_key, owner_key, reservation_key
from aiops.state.counters.kinds import CODES, MONEY_CODE, PARALLEL_CODE, TOKENS_CODE
from aiops.state.counters.meters import (
    OWNER_SECONDS,
    Decision,
    Demand,
    Granted,
    Level,
    Meter,
    Refused,
    Settled,
    Unavailable,
    Unseeded,
)
from aiops.state.counters.sliding import SECOND

SIZE, MOST = 4 << 20, 1 << 30  # bytes of the file: at first, and as it grows
KEPT = 3600  # seconds that ids which have ended are known at least; twice that at most
SCANNED, GIVEN_BACK, PRUNED = 1000, 256, 200  # at most in one sign of life
OVER_FOR = 86_400  # seconds that a money counter is kept when its window is over
SETTLED, VOIDED, EXPIRED = b"s", b"v", b"e"  # and more: counters that were not there, nothing, the reservation
OWNER_SPAN = int(OWNER_SECONDS * SECOND)

_TIME = struct.Struct("<q")
T = TypeVar("T")


def host_clock() -> int:
    """Microseconds since 1970."""
    return time.time_ns() // 1000


def _nowhere(line: str) -> None:
    """Who does not ask is not told."""


class Shared:
    """To be made after the fork: one for each process and directory. ``say`` hears one line when a file had to be set
    aside. Raises OSError when the directory cannot be written to, or the disk has no room for it."""

    _opened: files.Opened

    def __init__(
        self,
        directory: Path,
        *,
        size: int = SIZE,
        most: int = MOST,
        clock: Callable[[], int] = host_clock,
        say: Callable[[str], None] = _nowhere,
    ) -> None:
        self._directory, self._size, self._most, self._clock, self._say = directory, size, most, clock, say
        self._pid = os.getpid()
        self._at, self._pruned_at = b"", b""  # where the rounds of ``alive`` go on
        self._slot = 0
        self._open()

    def close(self) -> None:
        self._opened.env.close()

    async def epoch(self) -> str:
        epoch, birth = self._run(lambda txn, _: files.epoch_of(txn), write=False)  # another process may have begun one
        self._opened = replace(self._opened, epoch=epoch, birth=birth)
        return epoch

    async def reserve(self, demand: Demand) -> Decision:
        return self._run(self._reserve, demand)

    async def settle(self, id: str, tokens: int, cost: int) -> Settled:
        return self._run(self._settle, id, tokens, cost)

    async def void(self, id: str) -> bool:
        return self._run(self._void, id)

    async def post(self, id: str, costs: Mapping[str, int], ends: Mapping[str, int | None]) -> bool:
        return self._run(self._post, id, costs, ends)

    async def seed(self, meters: Mapping[str, int], ends: Mapping[str, int | None], epoch: str = "") -> None:
        if epoch in ("", self._opened.epoch):
            self._run(self._seed, meters, ends)

    async def levels(self, meters: Sequence[Meter]) -> tuple[Level, ...]:
        return self._run(self._levels, meters, write=False)

    async def gone(self, owner: str) -> None:
        while self._run(self._gone, owner):
            pass

    async def alive(self, owner: str) -> None:
        if files.is_moved(self._directory, self._opened):
            self._reopen()
        self._opened.env.reader_check()
        found, over = self._run(self._look, write=False)
        self._run(self._keep, owner, found, over)

    async def stand_in(self) -> None:
        """To be said when these counters begin to decide in the place of others, and each second or so while they do.
        Whoever says it first after a pause begins a new epoch: what was spent meanwhile, these have not seen."""
        epoch, birth = self._run(self._stand_in)
        self._opened = replace(self._opened, epoch=epoch, birth=birth)

    async def begin_epoch(self) -> None:
        """Forget everything: the ledger has what these counters have not seen."""
        epoch, birth = self._run(self._begin_epoch)
        self._opened = replace(self._opened, epoch=epoch, birth=birth)

    # Each of these is one transaction.

    def _reserve(self, txn: Any, now: int, demand: Demand) -> Decision:
        opened, get = self._opened, txn.get
        place = reservation_key(demand.id)
        if (live := get(place)) is not None or self._ended(txn, place) is not None:
            if live is not None and records.owner_and_deadline(live)[0] != demand.owner:
                txn.put(place, records.of_owner(live, demand.owner))
                self._own(txn, now, demand.owner)
            return Granted(opened.epoch, self._levels(txn, now, demand.meters))
        found = []
        missing = []
        for meter in demand.meters:
            key = meter_key(CODES[meter.what], meter.name)
            counter = kinds.counter(meter, get(key), now, opened.birth)
            if counter is None:
                missing.append(meter)
            else:
                found.append((key, counter))
        if missing:
            return Unseeded(tuple(missing), opened.epoch)
        full = [counter for _, counter in found if counter.full(demand)]
        refusing = [counter for counter in full if not counter.meter.shadow]
        if refusing:
            first, waits = refusing[0], [counter.wait(demand) for counter in refusing]
            known = [wait for wait in waits if wait is not None]
            wait = max(known) / SECOND if len(known) == len(waits) else None
            return Refused(first.level(), wait, first.for_good(), tuple(counter.level() for _, counter in found))
        over = tuple(counter.level() for counter in full)
        amounts = []
        put = txn.put
        for key, counter in found:
            amounts.append(counter.take(demand))
            put(key, counter.packed())
        deadline = now + int(demand.seconds * SECOND)
        put(place, records.packed(deadline, demand.owner, [counter for _, counter in found], amounts))
        self._own(txn, now, demand.owner)
        return Granted(opened.epoch, tuple([counter.level() for _, counter in found]), over)

    def _settle(self, txn: Any, now: int, id: str, tokens: int, cost: int) -> Settled:
        place, epoch = reservation_key(id), self._opened.epoch
        raw = txn.pop(place)
        if raw is None:
            ended = self._ended(txn, place)
            if ended is None or ended == VOIDED:
                return Settled("", False)
            if ended[:1] == SETTLED:
                return Settled(epoch, False)
            held, live = records.held(ended[1:]), False
        else:
            held, live = records.held(raw), True
        for code, shadow, amount, limit, name in held:
            key = meter_key(code, name)
            kept, back = txn.get(key), amount if live else 0  # what has expired was given back then
            if code == TOKENS_CODE:
                kept = kinds.use_tokens(kept, tokens, limit, bool(shadow), now, back)
            elif code == MONEY_CODE and kept is not None and len(kept) == kinds.MONEY.size:
                kept = kinds.spend(kept, cost, back)
            elif code == PARALLEL_CODE and kept is not None:
                kept = kinds.give_back(code, kept, back, now)
            if kept is not None:
                txn.put(key, kept)
        self._end(txn, place, SETTLED)
        return Settled(epoch, True)

    def _void(self, txn: Any, now: int, id: str) -> bool:
        place = reservation_key(id)
        raw = txn.pop(place)
        if raw is not None:
            self._give_back(txn, now, raw)
        ended = None if raw is not None else self._ended(txn, place)
        if raw is not None or ended is None or ended[:1] == EXPIRED:
            self._end(txn, place, VOIDED)
        return raw is not None

    def _post(self, txn: Any, now: int, id: str, costs: Mapping[str, int], ends: Mapping[str, int | None]) -> bool:
        place = reservation_key(id)
        raw = txn.pop(place)
        if raw is not None:
            self._give_back(txn, now, raw)
        ended = None if raw is not None else self._ended(txn, place)
        again = ended is not None and ended[:1] == SETTLED
        left = set(ended[1:].decode().split("\0")) if ended is not None and again else set(costs)
        counted = False
        for name in left & costs.keys():
            key = meter_key(MONEY_CODE, name)
            kept = txn.get(key)
            if kept is not None and len(kept) == kinds.MONEY.size:
                txn.put(key, kinds.spend(kept, costs[name]))
                left.discard(name)
                counted = True
            else:
                txn.put(key, kinds.OWED.pack(ends.get(name) or 0))
        if again and not counted:
            return False
        self._end(txn, place, SETTLED + "\0".join(left).encode())
        return True

    def _seed(self, txn: Any, now: int, meters: Mapping[str, int], ends: Mapping[str, int | None]) -> None:
        for name, spent in meters.items():
            key = meter_key(MONEY_CODE, name)
            kept = txn.get(key)
            if kept is None or len(kept) != kinds.MONEY.size:
                txn.put(key, kinds.MONEY.pack(spent, 0, ends.get(name) or 0))

    def _levels(self, txn: Any, now: int, meters: Sequence[Meter]) -> tuple[Level, ...]:
        found = []
        for meter in meters:
            raw = txn.get(meter_key(CODES[meter.what], meter.name))
            counter = kinds.counter(meter, raw, now, self._opened.birth) or kinds.Money(meter, meter.base, 0, now)
            found.append(counter.level())
        return tuple(found)

    def _gone(self, txn: Any, now: int, owner: str) -> bool:
        """Gives back some; whether there may be more."""
        txn.delete(owner_key(owner))
        every = files.below(txn, keys.RESERVATION)
        theirs = (key for key, raw in every if records.owner_and_deadline(raw)[0] == owner)
        some = list(islice(theirs, GIVEN_BACK))
        for key in some:
            self._expire(txn, now, key)
        return len(some) == GIVEN_BACK

    def _begin_epoch(self, txn: Any, now: int) -> tuple[str, int]:
        txn.delete(keys.STANDING_IN)
        return self._stand_in(txn, now)

    def _stand_in(self, txn: Any, now: int) -> tuple[str, int]:
        raw = txn.get(keys.STANDING_IN)
        if raw is None or _TIME.unpack(raw)[0] < now - OWNER_SPAN:
            for letter in (*keys.METERS, keys.RESERVATION):
                for key in [key for key, _ in files.below(txn, letter)]:
                    txn.delete(key)
            for table in self._opened.ended:
                txn.drop(table, delete=False)
            files.begin_epoch(txn, now)
        txn.put(keys.STANDING_IN, _TIME.pack(now))
        return files.epoch_of(txn)

    def _look(self, txn: Any, now: int) -> tuple[list[bytes], list[bytes]]:
        """Whose time has come, and counters that are over: some of them, and at the next call the next."""
        found: list[bytes] = []
        leases = {key: _TIME.unpack(raw)[0] for key, raw in files.below(txn, keys.OWNER)}
        last = b""
        for seen, (key, raw) in enumerate(files.below(txn, keys.RESERVATION, self._at)):
            if seen == SCANNED or len(found) == GIVEN_BACK:
                last = key
                break
            owner, deadline = records.owner_and_deadline(raw)
            if deadline <= now or leases.get(owner_key(owner), 0) < now - OWNER_SPAN:
                found.append(key)
        self._at = last
        over, last, seen = [], b"", 0
        for code, letter in enumerate(keys.METERS):
            if self._pruned_at[:1] > letter:
                continue
            for key, raw in files.below(txn, letter, self._pruned_at):
                if seen == PRUNED:
                    last = key
                    break
                seen += 1
                if kinds.is_over(code, raw, now, OVER_FOR):
                    over.append(key)
            if last:
                break
        self._pruned_at = last
        return found, over

    def _keep(self, txn: Any, now: int, owner: str, found: Sequence[bytes], over: Sequence[bytes]) -> None:
        txn.put(owner_key(owner), _TIME.pack(now))
        leases = {key: _TIME.unpack(raw)[0] for key, raw in files.below(txn, keys.OWNER)}
        for key in found:
            raw = txn.get(key)
            if raw is None:
                continue
            whose, deadline = records.owner_and_deadline(raw)
            if deadline <= now or leases.get(owner_key(whose), 0) < now - OWNER_SPAN:
                self._expire(txn, now, key)
        for key, seen in leases.items():
            if seen < now - OWNER_SPAN:
                txn.delete(key)
        for key in over:
            raw = txn.get(key)
            if raw is not None and kinds.is_over(keys.METERS.index(key[:1]), raw, now, OVER_FOR):
                txn.delete(key)
        self._turn(txn, now)

    # What they have in common.

    def _own(self, txn: Any, now: int, owner: str) -> None:
        seen = txn.get(owner_key(owner))
        if seen is None or _TIME.unpack(seen)[0] < now - OWNER_SPAN // 2:
            txn.put(owner_key(owner), _TIME.pack(now))

    def _give_back(self, txn: Any, now: int, raw: bytes) -> None:
        for each in records.unpacked(raw).held:
            key = meter_key(each.code, each.name)
            kept = txn.get(key)
            if kept is not None:
                txn.put(key, kinds.give_back(each.code, kept, each.amount, now))

    def _expire(self, txn: Any, now: int, place: bytes) -> None:
        raw = txn.pop(place)
        self._give_back(txn, now, raw)
        self._end(txn, place, EXPIRED + raw)

    def _ended(self, txn: Any, place: bytes) -> bytes | None:
        for table in self._opened.ended:
            kept: bytes | None = txn.get(place, db=table)
            if kept is not None:
                return kept
        return None

    def _end(self, txn: Any, place: bytes, how: bytes) -> None:
        current, before = self._opened.ended[self._slot], self._opened.ended[1 - self._slot]
        txn.put(place, how, db=current)
        if how[:1] == SETTLED:  # it may be there as expired or voided
            txn.delete(place, db=before)

    def _first_turn(self, txn: Any, now: int) -> int:
        txn.put(keys.TURN, _TIME.pack(now // (KEPT * SECOND)), overwrite=False)
        return int(_TIME.unpack(txn.get(keys.TURN))[0] % 2)

    def _turn(self, txn: Any, now: int) -> None:
        turn = now // (KEPT * SECOND)
        raw = txn.get(keys.TURN)
        if raw is None or _TIME.unpack(raw)[0] < turn:
            txn.drop(self._opened.ended[turn % 2], delete=False)
            txn.put(keys.TURN, _TIME.pack(turn))
        self._slot = turn % 2

    def _run(self, act: Callable[..., T], *arguments: Any, write: bool = True) -> T:
        if os.getpid() != self._pid:
            raise RuntimeError("the shared counters were opened before the fork")
        for _ in range(5):
            env = self._opened.env
            try:
                with env.begin(write=write) as txn:
                    # Inside: whoever has waited for the lock has the later time.
                    return act(txn, self._clock(), *arguments)
            except (lmdb.MapFullError, lmdb.MapResizedError):
                self._grow()
            except files.DAMAGED as error:
                files.set_aside(self._directory, self._opened, f"it is damaged ({error})", self._say)
                self._reopen()
            except lmdb.Error as error:
                raise Unavailable(f"{self._directory}: {error}") from error
        raise Unavailable(f"{self._directory / files.NAME} is full")

    def _grow(self) -> None:
        """More room, or what has ended is forgotten sooner."""
        opened = self._opened
        try:
            if files.grow(self._directory, opened, self._most):
                return
            with opened.env.begin(write=True) as txn:
                txn.drop(opened.ended[1 - self._slot], delete=False)
        except files.Moved:
            self._reopen()
        except lmdb.MapFullError as error:
            raise Unavailable(f"{self._directory / files.NAME} is full") from error

    def _open(self) -> None:
        self._opened = files.open_counters(self._directory, self._size, self._most, self._clock, self._say)
        self._slot = self._run(self._first_turn)

    def _reopen(self) -> None:
        self._opened.env.close()
        self._at, self._pruned_at = b"", b""
        self._open()
