"""A connection to Postgres that loses patience: a server that is frozen, or cut off by something that still says that
all has arrived, is seen neither by ``statement_timeout``, which is the server's, nor by the kernel."""

from __future__ import annotations

from typing import Any, TypeVar

import psycopg
from psycopg.abc import PQGen

T = TypeVar("T")
BEYOND_SECONDS = 1.0  # the server's own time-out, of which it says more, is to come first


class Patient(psycopg.Connection[Any]):
    """``patience``: seconds that one answer may take; None: for ever. Later than that the connection is closed, and the
    question raises OperationalError."""

    patience: float | None = None

    def wait(self, gen: PQGen[T], interval: float = 0.1, timeout: float | None = None) -> T:
        limit = self.patience if timeout is None else timeout
        try:
            return super().wait(gen, interval, limit)
        except psycopg.errors._WaitTimeout:
            if timeout is not None:
                raise  # of somebody who knows what to do then
            self.close()  # what it still says would be taken for the answer to something else
            raise psycopg.OperationalError(f"no answer within {limit:g} s") from None
