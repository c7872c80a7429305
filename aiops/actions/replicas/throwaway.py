"""Keys that are made for one run: they say so in their names, end by themselves, and are revoked when the run ends.

What they used stays in the ledger, as of these keys and with a tag of its own; they have neither a team nor a user.
"""

from __future__ import annotations

import secrets
import time
from typing import Any, TypeVar

from sqlalchemy import Connection, Engine, select

from aiops.actions.change.administer import Act, administer
from aiops.actions.change.terms import Terms
from aiops.actions.instance.database import engine
from aiops.host.instance import Instance
from aiops.output import Output
from aiops.state.administration import find, keys
from aiops.state.administration.journal import Actor
from aiops.state.administration.requests import KeyRequest
from aiops.state.store import clock, rows, tables
from aiops.verify.replicas.tenant import Tenant

T = TypeVar("T")

PREFIX = "aiops-verify-"
TAG = "aiops-verify"
MINUTES = 15  # a run takes one or two
REASON = "aiops verify --suite distributed"


class Throwaway:
    """The keys of one run. ``model``: the only one that they may ask for, empty until it is chosen. ``timeout``:
    seconds that it has."""

    def __init__(self, instance: Instance, database: Engine, timeout: float) -> None:
        self._instance = instance
        self._database = database
        self.model = ""
        self._timeout = timeout
        self._name = f"{PREFIX}{secrets.token_hex(3)}-"
        self.tenants: list[Tenant] = []

    def make(self, what: str, **limits: Any) -> Tenant:
        """``limits``: by the columns of a key; money in nano-dollars."""
        alias = f"{self._name}{what}"
        models = (self.model,) if self.model else ()
        asked = KeyRequest(alias=alias, lifetime=MINUTES * 60, models=models, tags=(TAG,), **limits)
        made = _act(self._database, lambda connection, by: keys.create(connection, asked, by))
        tenant = Tenant(made.row.id, alias, made.key, self.model, self._timeout)
        self.tenants.append(tenant)
        return tenant

    def block(self, tenant: Tenant) -> float:
        """When it was, by ``time.monotonic``."""
        _act(self._database, lambda connection, by: keys.block(connection, find.key(connection, tenant.alias), by))
        return time.monotonic()

    def remove(self) -> list[str]:
        """Revoke those that are left, and those of a run that was killed and that have expired since; their names.

        By a connection of its own: whoever was interrupted may have left the other one in the middle of something.
        """
        with engine(self._instance) as database:
            return _act(database, self._revoke)

    def _revoke(self, connection: Connection, by: Actor) -> list[str]:
        table = tables.keys.c
        mine = select(tables.keys).where(table.alias.startswith(PREFIX, autoescape=True), table.revoked_at.is_(None))
        found = [rows.read(rows.Key, row) for row in connection.execute(mine).mappings().all()]
        now = clock.read(connection)
        done = []
        for key in found:
            name, ends = key.alias or "", key.expires_at or 0
            if name.startswith(self._name) or ends < now:
                keys.revoke(connection, key, by)
                done.append(name)
        return done


def _act(database: Engine, act: Act[T]) -> T:
    return administer(database, act, lambda _: [], Terms(REASON, assume_yes=True), Output(quiet=True))
