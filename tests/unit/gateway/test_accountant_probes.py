"""A database that hangs is lost after a few probes, holds up nobody, and is back when it answers."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path

import pytest
from sqlalchemy import text

from aiops.gateway.accountant import database as module
from aiops.gateway.accountant.database import Database, Unusable
from aiops.gateway.shared import steady


def test_one_that_hangs_is_lost_and_nobody_stands_behind_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PROBE_SECONDS", 0.02)
    monkeypatch.setattr(steady, "APART_SECONDS", 0.0)
    answers = threading.Event()

    async def act() -> None:
        told: list[str] = []
        database = Database(tmp_path / "aiops.db", lambda condition: told.append(condition.state))
        await database.check()
        look = database._look
        monkeypatch.setattr(database, "_look", lambda: (answers.wait(10), look())[1])
        reading = asyncio.create_task(database.read(lambda connection: answers.wait(10)))
        await asyncio.sleep(0.05)
        for _ in range(steady.FAILURES):
            assert database.condition.is_well
            await database.check()
        assert "does not answer within" in database.condition.why
        # By what the probe has found, and not by its own time-out.
        with pytest.raises(Unusable, match=r"does not answer within 0\.02 s"):
            await database.read(lambda connection: connection.execute(text("SELECT 1")).scalar())
        answers.set()
        await reading
        for _ in range(100):
            await asyncio.sleep(0.01)
            await database.check()
            if database.condition.is_well:
                break
        assert told == ["pass", "lost", "pass"]
        assert await database.read(lambda connection: connection.execute(text("SELECT 1")).scalar()) == 1
        database.close()

    asyncio.run(act())
