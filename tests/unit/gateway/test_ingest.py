"""From the spool into the ledger: one bad record is one bad record."""

from __future__ import annotations

import asyncio
import json
import stat
from collections.abc import Sequence
from pathlib import Path

import pytest

from aiops.gateway.accountant.database import Unusable
from aiops.gateway.accountant.ingest import Ingest
from aiops.state.usage import spool
from aiops.state.usage.record import Usage
from aiops.state.usage.spool import Record, Spool
from tests.unit.state.usage.test_spool import usage


class Ledger:
    """Takes everything but what is called ``bad``, and nothing at all while it is ``away``."""

    def __init__(self) -> None:
        self.entered: list[str] = []
        self.away = False

    async def enter(self, records: Sequence[Usage]) -> None:
        if self.away:
            raise Unusable("away")
        if any(record.id == "bad" for record in records):
            raise OverflowError("too large")
        self.entered += [record.id for record in records]

    async def settle(self, owner: str, records: Sequence[Record]) -> list[Usage]:
        return []


def test_a_record_that_no_ledger_takes_is_set_aside_and_the_others_are_entered(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    written, ledger = Spool(tmp_path, lambda line: None), Ledger()
    for name in ("first", "bad", "last"):
        written.ended(usage(name))
    ingest = Ingest(tmp_path, ledger)
    assert asyncio.run(ingest.once())
    assert sorted(ledger.entered) == ["first", "last"]
    aside = tmp_path / "spool" / spool.SET_ASIDE
    assert [json.loads(line)["id"] for line in aside.read_text().splitlines()] == ["bad"]
    assert stat.S_IMODE(aside.stat().st_mode) == 0o600
    assert str(aside) in capfd.readouterr().err
    written.ended(usage("later"))
    assert asyncio.run(ingest.once())
    assert ledger.entered[-1] == "later"
    assert len(aside.read_text().splitlines()) == 1


def test_while_the_database_is_away_nothing_is_set_aside(tmp_path: Path) -> None:
    written, ledger = Spool(tmp_path, lambda line: None), Ledger()
    written.ended(usage("first"))
    ledger.away = True
    ingest = Ingest(tmp_path, ledger)
    assert not asyncio.run(ingest.once())
    ledger.away = False
    assert asyncio.run(ingest.once())
    assert ledger.entered == ["first"]
    assert not (tmp_path / "spool" / spool.SET_ASIDE).exists()
