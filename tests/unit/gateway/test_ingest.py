"""From the spool into the ledger: one bad record is one bad record."""

from __future__ import annotations

import asyncio
import json
import os
import stat
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from aiops.gateway.accountant.database import Unusable
from aiops.gateway.accountant.ingest import Ingest
from aiops.state.usage import aside, spooled, writer
from aiops.state.usage.record import Usage
from aiops.state.usage.spool import Record, Spool
from tests.kit.servers import needed
from tests.kit.waiting import until
from tests.unit.state.usage.test_spool import accepted, usage

ROOT = Path(__file__).parents[3]


class Ledger:
    """Takes everything but what is called ``bad``, and nothing at all while it is ``away``."""

    def __init__(self) -> None:
        self.entered: list[str] = []
        self.buried: list[tuple[str, list[str]]] = []
        self.away = False

    async def enter(self, records: Sequence[Usage]) -> None:
        if self.away:
            raise Unusable("away")
        if any(record.id == "bad" for record in records):
            raise OverflowError("too large")
        self.entered += [record.id for record in records]

    async def settle(self, owner: str, records: Sequence[Record]) -> list[Usage]:
        self.buried.append((owner, [record.id for record in records]))
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
    kept = aside.path(tmp_path)
    assert [json.loads(line)["id"] for line in kept.read_text().splitlines()] == ["bad"]
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    assert str(kept) in capfd.readouterr().err
    written.ended(usage("later"))
    assert asyncio.run(ingest.once())
    assert ledger.entered[-1] == "later"
    assert aside.count(tmp_path) == 1


def test_while_the_database_is_away_nothing_is_set_aside(tmp_path: Path) -> None:
    written, ledger = Spool(tmp_path, lambda line: None), Ledger()
    written.ended(usage("first"))
    ledger.away = True
    ingest = Ingest(tmp_path, ledger)
    assert not asyncio.run(ingest.once())
    ledger.away = False
    assert asyncio.run(ingest.once())
    assert ledger.entered == ["first"]
    assert not aside.path(tmp_path).exists()


def test_what_was_passed_on_is_not_lost_with_who_passed_it_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written, ledger = Spool(tmp_path, lambda line: None), Ledger()
    for name in ("mine", "another's"):
        written.accepted(accepted(name))
    written.passed_on(accepted("another's"))
    monkeypatch.setattr(spooled, "is_alive", lambda file: False)
    assert asyncio.run(Ingest(tmp_path, ledger).once())
    assert ledger.buried == [(written.owner, ["mine"])]
    assert ledger.entered == []


@pytest.fixture
def kept(tmp_path: Path) -> Path:
    """Two records that were set aside, and a line that is none."""
    (tmp_path / "spool").mkdir()
    for name in ("bad", "good"):
        aside.put(tmp_path, usage(name))
    with aside.path(tmp_path).open("a") as file:
        file.write('{"id": "a draft of somebody"\n')
    return tmp_path


def test_what_was_set_aside_is_read_back_when_the_accountant_starts_and_the_rest_is_kept(
    kept: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    ledger = Ledger()
    assert asyncio.run(Ingest(kept, ledger).once())
    assert ledger.entered == ["good"]
    assert [line.usage for line in aside.read(kept)] == [usage("bad"), None]
    assert "somebody" in aside.path(kept).read_text()
    assert stat.S_IMODE(aside.path(kept).stat().st_mode) == 0o600
    assert "1 records that were set aside are in the ledger now; 2 are left" in capfd.readouterr().err


def test_it_is_tried_again_when_somebody_asks_and_then_there_is_no_file_any_more(kept: Path) -> None:
    ledger = Ledger()
    ingest = Ingest(kept, ledger)
    assert asyncio.run(ingest.once())
    aside.path(kept).write_text(json.dumps(vars(usage("put right"))))
    assert asyncio.run(ingest.once())
    assert ledger.entered == ["good"]
    assert asyncio.run(ingest.once(again=True))
    assert ledger.entered == ["good", "put right"]
    assert not aside.path(kept).exists()


def test_while_the_database_is_away_what_was_set_aside_stays(kept: Path) -> None:
    ledger = Ledger()
    ledger.away = True
    before = aside.path(kept).read_bytes()
    ingest = Ingest(kept, ledger)
    assert not asyncio.run(ingest.once())
    assert aside.path(kept).read_bytes() == before
    ledger.away = False
    assert asyncio.run(ingest.once())
    assert ledger.entered == ["good"]


WRITER = """
import sys
from pathlib import Path

from aiops.state.usage.spool import Spool
from tests.unit.state.usage.test_spool import accepted, usage

spool = Spool(Path(sys.argv[1]), print, largest=2000)
spool.accepted(accepted("first"))
print(spool.owner, flush=True)
for number, _ in enumerate(sys.stdin):
    spool.accepted(accepted(f"r{number}"))
    spool.ended(usage(f"r{number}"))
    print("written", flush=True)
"""


def test_who_writes_in_another_pid_namespace_is_not_taken_for_dead_until_it_is(tmp_path: Path) -> None:
    """As in two containers that share a state directory: this process does not see the other's, nor its id."""
    apart = ["unshare", *(["--user", "--map-root-user"] if os.geteuid() else []), "--pid", "--fork", "--kill-child"]
    with subprocess.Popen(
        [*apart, sys.executable, "-c", WRITER, str(tmp_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    ) as process:
        assert process.stdin is not None and process.stdout is not None and process.stderr is not None
        owner = process.stdout.readline().strip()
        if not owner:
            needed(f"no PID namespace can be made here: {process.stderr.read()}")
        assert owner.startswith("1.") and "@" in owner
        ledger = Ledger()
        ingest = Ingest(tmp_path, ledger)
        for number in range(20):  # the file is full after a few records, and another one begun
            process.stdin.write("\n")
            process.stdin.flush()
            assert process.stdout.readline() == "written\n"
            assert asyncio.run(ingest.once())
            assert ledger.entered == [f"r{each}" for each in range(number + 1)]
            assert not ledger.buried
        assert spooled.files(tmp_path)[-1].number > 1
        process.kill()
        process.wait()
    until(lambda: asyncio.run(ingest.once()) and ledger.buried, 10, "the dead one to be buried")
    assert ledger.buried == [(owner, ["first"])]
    assert not spooled.files(tmp_path)


def test_a_file_that_was_left_for_the_next_one_is_no_sign_of_death(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written = Spool(tmp_path, lambda line: None, largest=500)
    monkeypatch.setattr(writer, "birth", lambda pid: -1)  # as seen from elsewhere
    written.accepted(accepted("first"))
    (first,) = spooled.files(tmp_path)
    assert spooled.is_alive(first)
    for number in range(5):
        written.ended(usage(f"r{number}"))
    assert len(spooled.files(tmp_path)) > 2
    assert spooled.is_alive(first)
    written.close()
    assert not spooled.is_alive(first)
