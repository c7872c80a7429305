"""Taking along what is in one database, while a change of the gateway goes on: begun, landed with it, or undone."""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Sequence
from contextlib import ExitStack, closing, suppress
from pathlib import Path

from sqlalchemy import Connection, Engine, text

from aiops.actions.instance.heeded import LIVE_SECONDS
from aiops.errors import AiopsError
from aiops.host import accountant
from aiops.host.instance import Instance
from aiops.output import Output
from aiops.state import money, moving
from aiops.state.moving import Counted
from aiops.state.replica import replica
from aiops.state.store import freeze, marker, open, replicas, schema
from aiops.verify.check import Check

FREEZE_SECONDS = 20.0  # without a sign of life of this process
RENEW_SECONDS = 4.0
ARRIVAL_SECONDS = 30.0


def put_aside(path: Path, generation: int) -> Path:
    """A database of this gateway's own, out of the way of what generation ``generation`` uses. Raises OSError."""
    aside = path.with_name(f"{path.name}.before-{generation}")
    try:
        with closing(sqlite3.connect(path, isolation_level=None)) as connection:
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")  # what was written last is in the journal alone
    except sqlite3.Error as error:
        raise OSError(0, str(error), str(path)) from error
    path.rename(aside)
    marker.forget(path)
    for rest in ("-wal", "-shm"):
        path.with_name(path.name + rest).unlink(missing_ok=True)
    return aside


class Move:
    """Out of ``source`` into ``target``: paths or URLs. ``why``: for who cannot change anything meanwhile."""

    def __init__(self, instance: Instance, source: Path | str, target: Path | str, why: str, out: Output) -> None:
        self._instance, self._out, self._why = instance, out, why
        self._source = open.engine(source, connections=3)
        self._target_place = target
        self._target: Engine | None = None
        self._open = ExitStack()
        self._from: Connection | None = None
        self._to: Connection | None = None
        self._over = threading.Event()
        self._renewing: threading.Thread | None = None
        self._frozen = False
        self._newest = 0
        self.counted: Sequence[Counted] = ()

    def begin(self) -> None:
        """The lock is held. Raises AiopsError; ``undo`` is to be called then."""
        self._target = open.engine(self._target_place, connections=2)
        schema.migrate(self._target)
        accountant.ingest(self._instance.run)
        self._freeze(FREEZE_SECONDS)
        self._renewing = threading.Thread(target=self._renew, daemon=True)
        self._renewing.start()
        self._from = self._open.enter_context(open.reading(self._source))
        self._to = self._target.connect()
        self._to.begin()
        for connection in (self._from, self._to):
            if open.is_postgres(connection):
                connection.execute(text("SET LOCAL statement_timeout = 0"))
                connection.execute(text("SET LOCAL idle_in_transaction_session_timeout = 0"))
        with self._out.progress("bringing keys and usage over"):
            self.counted = moving.bring(self._from, self._to, replica(self._instance.state))

    def land(self) -> list[Check]:
        """The new generation serves, and is about to be committed."""
        assert self._from is not None
        assert self._to is not None
        self.counted = [*self.counted, *moving.land(self._from, self._to, replica(self._instance.state))]
        self._newest = moving.newest(self._to)
        self._to.commit()
        return [Check("moved", "pass", self.sentence)]

    @property
    def sentence(self) -> str:
        rows = {each.table: each for each in self.counted}
        keys, usage = rows["keys"], rows["usage"]
        counted = f"{keys.rows:,} keys, {usage.rows:,} requests, {money.shown(usage.money)}"
        return f"{counted}: the same on both sides"

    def undo(self) -> None:
        """What was not landed was never there."""
        self._close()
        if self._frozen:
            with suppress(AiopsError), open.writing(self._source) as connection:
                freeze.thaw(connection)
        self._dispose()

    @property
    def again(self) -> bool:
        """Whether it was there before, and its counters have not seen what was spent since."""
        assert self._to is not None
        return moving.has_come(self._to, replica(self._instance.state))

    def finish(self, new: Path | str, *, goes_on: bool) -> bool:
        """The change is live. ``goes_on``: the old database can be used again, also to come back to; else it stays
        frozen until somebody puts it aside. False when the accountant did not come to the new one in time."""
        came = self._arrives(new)
        self._close()
        if goes_on:
            with open.writing(self._source) as connection:
                freeze.thaw(connection)
                moving.came(connection, replica(self._instance.state), self._newest)
        self._dispose()
        return came

    def _arrives(self, new: Path | str) -> bool:
        made, id = open.engine(new, connections=1), replica(self._instance.state)
        deadline = time.monotonic() + ARRIVAL_SECONDS
        try:
            while time.monotonic() < deadline:
                with suppress(AiopsError), open.reading(made) as connection:
                    if any(each.id == id and each.workers for each in replicas.live(connection, LIVE_SECONDS)):
                        return True
                time.sleep(0.05)
            return False
        finally:
            made.dispose()

    def _freeze(self, seconds: float) -> None:
        with open.writing(self._source) as connection:
            freeze.freeze(connection, seconds, self._why)
        self._frozen = True

    def _renew(self) -> None:
        while not self._over.wait(RENEW_SECONDS):
            with suppress(AiopsError):
                self._freeze(FREEZE_SECONDS)

    def _close(self) -> None:
        self._over.set()
        if self._renewing is not None:
            self._renewing.join()  # it would freeze again what is thawed next
        if self._to is not None:
            self._to.close()  # what is not committed is gone
        self._from = self._to = None
        self._open.close()

    def _dispose(self) -> None:
        self._source.dispose()
        if self._target is not None:
            self._target.dispose()
