"""Keys of a running gateway, written where it keeps them, and what its ledger says of them."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
from sqlalchemy import Engine

from aiops.demo.child import DemoProvider
from aiops.state.store import keys, teams, usage
from aiops.state.store.open import engine, reading, transact
from aiops.state.store.rows import Key, Team
from aiops.state.usage.record import Usage
from tests.kit.gateway import Gateway, serving
from tests.kit.tls import TLS
from tests.kit.waiting import until

HEARD_SECONDS = 20.0


class Shown(str):
    """A key as its owner has it; ``id`` is what the ledger calls it."""

    id: str


class Keys:
    """Of one gateway, whose database they are written into as ``aiops keys`` does it."""

    def __init__(self, gateway: Gateway, database: Engine) -> None:
        self._gateway = gateway
        self._database = database

    def make(self, **limits: Any) -> Shown:
        """A key with the columns ``limits``."""
        shown = Shown(f"sk-{secrets.token_urlsafe(16)}")
        shown.id = secrets.token_hex(8)
        row = Key(id=shown.id, name=f"sk-...{shown[-4:]}", **limits)
        hash = hashlib.sha256(shown.encode()).hexdigest()
        transact(self._database, lambda connection: keys.add(connection, row, hash))
        return shown

    def team(self, **limits: Any) -> str:
        row = Team(id=secrets.token_hex(8), **limits)
        transact(self._database, lambda connection: teams.add(connection, row))
        return row.id

    def change(self, shown: Shown, **what: Any) -> None:
        def change(connection: Any) -> None:
            row = keys.get(connection, shown.id)
            assert row is not None
            keys.replace(connection, replace(row, **what))

        transact(self._database, change)

    def used(self, shown: Shown, count: int) -> list[Usage]:
        """What the ledger says, when it has ``count`` records of this key."""

        def read() -> list[Usage]:
            with reading(self._database) as connection:
                return usage.page(connection, usage.Which(key=shown.id))

        until(lambda: len(read()) >= count, HEARD_SECONDS, f"{count} records")
        return read()

    # --- asking -----------------------------------------------------------------------------------------------

    def ask(
        self,
        shown: str,
        path: str = "/v1/chat/completions",
        *,
        again: str | None = None,
        seconds: float = 30,
        **more: Any,
    ) -> httpx.Response:
        """Each time on a new connection, so that any worker may answer. ``again``: the ``Idempotency-Key``."""
        body = {"model": "alpha", "messages": [{"role": "user", "content": "hello"}], "max_tokens": 4} | more
        body = {name: value for name, value in body.items() if value is not None}
        headers = {"authorization": f"Bearer {shown}"} | ({"idempotency-key": again} if again else {})
        return httpx.post(
            self._gateway.url + path, json=body, headers=headers, timeout=seconds, trust_env=False, verify=TLS
        )

    def get(self, shown: str, path: str) -> httpx.Response:
        return self._gateway.get(path, {"authorization": f"Bearer {shown}"})


@contextmanager
def keys_of(gateway: Gateway) -> Iterator[Keys]:
    database = engine(Path(gateway.home) / "state" / "aiops.db")
    try:
        yield Keys(gateway, database)
    finally:
        database.dispose()


@contextmanager
def priced(one: DemoProvider) -> Iterator[Gateway]:
    """Two workers; a token of `alpha` costs a tenth of a cent."""
    with serving(one.url, "alpha", "beta", workers=2, more="    cost_per_1k_tokens: 1.0\n") as gateway:
        assert len(gateway.workers()) == 2
        yield gateway
