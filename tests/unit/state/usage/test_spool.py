"""The spool: what was written is read, once and in order, whatever tore it."""

from __future__ import annotations

import os
import resource
import signal
import stat
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from aiops.state.usage import aside, spool, spooled
from aiops.state.usage.record import Usage
from aiops.state.usage.spool import Accepted, Spool
from aiops.state.usage.writer import this_process

USAGE = Usage(
    id="r1",
    key="k",
    team=None,
    user=None,
    model="alpha",
    provider="one",
    served="alpha-1",
    path="/v1/chat/completions",
    started=1_790_000_000_000_000,
    seconds=0.5,
    first=0.1,
    status=200,
    outcome="answered",
    prompt_tokens=3,
    completion_tokens=4,
    cached_tokens=0,
    cost=12_345,
    estimated=False,
    stream=False,
    generation=2,
    replica="here",
    epoch="e",
    tags=("a", "b"),
)


def accepted(id: str) -> Accepted:
    return Accepted(id=id, key="k", model="alpha", path="/v1", started=1, generation=2, replica="here", tags=("x",))


def usage(id: str) -> Usage:
    return replace(USAGE, id=id)


def everything(state: Path) -> list[tuple[str, str]]:
    """Kind and id of all records there are."""
    found = []
    for file in spooled.files(state):
        offset = 0
        while (part := spooled.read(file.path, offset)).offset > offset:
            found += [(kind, record.id) for kind, record in part.records]
            offset = part.offset
    return found


@pytest.fixture
def said() -> list[str]:
    return []


@pytest.fixture
def limited() -> Iterator[None]:
    """A disk on which no file grows beyond 4,000 bytes, for this process."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4000, hard))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    signal.signal(signal.SIGXFSZ, before)


def test_what_was_written_is_read_as_it_was(tmp_path: Path, said: list[str]) -> None:
    written = Spool(tmp_path, said.append)
    written.accepted(accepted("r1"))
    written.ending(replace(USAGE, epoch=""))
    written.ended(USAGE)
    (file,) = spooled.files(tmp_path)
    assert (file.owner, spooled.is_alive(file)) == (this_process(), True)
    part = spooled.read(file.path, 0)
    assert part.records == (("accepted", accepted("r1")), ("ending", replace(USAGE, epoch="")), ("ended", USAGE))
    assert (part.torn, part.offset) == (0, file.path.stat().st_size)
    assert spooled.read(file.path, part.offset).records == ()
    assert file.path.stat().st_mode & 0o077 == 0
    assert said == []


@pytest.mark.parametrize("cut", [1, 9, 200])
def test_a_record_that_was_torn_is_left_out_and_the_next_one_is_whole(
    tmp_path: Path, said: list[str], cut: int
) -> None:
    written = Spool(tmp_path, said.append)
    written.ended(usage("r1"))
    (file,) = spooled.files(tmp_path)
    whole = file.path.stat().st_size
    written.ended(usage("r2"))
    os.truncate(file.path, whole + cut)
    part = spooled.read(file.path, 0)
    assert [record.id for _, record in part.records] == ["r1"]
    assert part.offset == whole, "the rest of a record may still come"
    written._torn = True  # as when the disk took a part of it
    written.ended(usage("r3"))
    part = spooled.read(file.path, 0)
    assert ([record.id for _, record in part.records], part.torn) == (["r1", "r3"], 1)


def test_a_record_with_a_wrong_sum_is_none(tmp_path: Path, said: list[str]) -> None:
    written = Spool(tmp_path, said.append)
    for number in range(3):
        written.ended(usage(f"r{number}"))
    (file,) = spooled.files(tmp_path)
    file.path.write_bytes(file.path.read_bytes().replace(b'"id":"r1"', b'"id":"rX"'))
    part = spooled.read(file.path, 0)
    assert ([record.id for _, record in part.records], part.torn) == (["r0", "r2"], 1)


def test_a_full_disk_is_said_once_and_what_came_meanwhile_is_written_when_there_is_room(
    tmp_path: Path, said: list[str], limited: None
) -> None:
    written = Spool(tmp_path, said.append)
    for number in range(20):
        written.accepted(accepted(f"r{number}"))
        written.ended(usage(f"r{number}"))
    assert written.waiting > 0
    assert len(said) == 1, said
    assert "File too large; it is kept in memory meanwhile" in said[0]
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.getrlimit(resource.RLIMIT_FSIZE)[1]))
    written.flush()
    assert (written.waiting, len(said)) == (0, 2)
    assert said[1].endswith("again")
    assert everything(tmp_path) == [(kind, f"r{n}") for n in range(20) for kind in ("accepted", "ended")]


def test_what_waits_for_a_disk_is_bounded_and_what_was_dropped_is_told(
    tmp_path: Path, said: list[str], limited: None
) -> None:
    written = Spool(tmp_path, said.append, kept=5000)
    for number in range(50):
        written.ended(usage(f"r{number}"))
    assert written.waiting <= 5000 / 300
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.getrlimit(resource.RLIMIT_FSIZE)[1]))
    written.flush()
    kept = everything(tmp_path)
    assert f"{50 - len(kept)} records were dropped" in said[-1]
    assert kept[-1] == ("ended", "r49")


def test_a_directory_that_cannot_be_made_is_no_reason_to_fail(tmp_path: Path, said: list[str]) -> None:
    (tmp_path / "spool").write_text("in the way")
    written = Spool(tmp_path, said.append)
    written.accepted(accepted("r1"))
    assert written.waiting == 1
    (tmp_path / "spool").unlink()
    written.flush()
    assert everything(tmp_path) == [("accepted", "r1")]


def test_what_was_passed_on_is_said_and_is_under_way_no_more(tmp_path: Path, said: list[str]) -> None:
    written = Spool(tmp_path, said.append, largest=1)  # a file for each record
    written.accepted(accepted("mine"))
    written.accepted(accepted("another's"))
    written.passed_on(accepted("another's"))
    written.ended(usage("later"))
    last = list(spooled.files(tmp_path))[-1]
    there = [(kind, record.id) for kind, record in spooled.read(last.path, 0).records]
    assert there == [("accepted", "mine"), ("ended", "later")]
    assert ("passed", "another's") in everything(tmp_path)


def test_a_file_is_followed_by_another_that_begins_with_what_is_under_way(tmp_path: Path, said: list[str]) -> None:
    written = Spool(tmp_path, said.append, largest=2000)
    written.accepted(accepted("long"))
    for number in range(12):
        written.accepted(accepted(f"r{number}"))
        written.ended(usage(f"r{number}"))
    written.ending(usage("long"))
    for number in range(12, 20):
        written.ended(usage(f"r{number}"))
    files = spooled.files(tmp_path)
    assert len(files) > 4
    assert [file.number for file in files] == list(range(len(files)))
    first = [spooled.read(file.path, 0).records[0] for file in files[1:]]
    assert {(record.id) for _, record in first} == {"long"}
    assert (first[0][0], first[-1][0]) == ("accepted", "ending"), "as it was by then"
    ended = [id for kind, id in everything(tmp_path) if kind == "ended"]
    assert sorted(ended) == sorted(f"r{n}" for n in range(20)), "each of them once"
    written.ended(usage("long"))
    assert everything(tmp_path)[-1] == ("ended", "long")


def test_files_of_the_dead_are_known_from_those_of_the_living(tmp_path: Path) -> None:
    program = (
        "import sys; from pathlib import Path; from aiops.state.usage.spool import Spool\n"
        "from tests.unit.state.usage.test_spool import accepted\n"
        "Spool(Path(sys.argv[1]), print).accepted(accepted('r1'))\n"
    )
    subprocess.run([sys.executable, "-c", program, str(tmp_path)], check=True, timeout=30)
    (file,) = spooled.files(tmp_path)
    assert not spooled.is_alive(file)
    # A number that is given to another process is not the same one.
    taken = tmp_path / "spool" / f"{os.getpid()}.1.0.spool"
    file.path.rename(taken)
    (file,) = spooled.files(tmp_path)
    assert not spooled.is_alive(file)


def test_how_much_is_in_the_ledger_is_remembered_until_the_next_boot(
    tmp_path: Path, said: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    Spool(tmp_path, said.append).accepted(accepted("r1"))
    (file,) = spooled.files(tmp_path)
    assert spooled.done(file) == 0
    spooled.note_done(file, 77)
    assert spooled.done(file) == 77
    another = tmp_path / "boot_id"
    another.write_text("another\n")
    monkeypatch.setattr("aiops.state.boot._ID", another)
    assert spooled.done(file) == 0, "a power cut may have taken the ledger's last rows"
    spooled.remove(file)
    assert list((tmp_path / "spool").iterdir()) == []


def test_a_lost_request_is_accounted_with_what_is_known_of_it() -> None:
    lost = accepted("r1").lost()
    assert (lost.id, lost.outcome, lost.cost, lost.model, lost.tags) == ("r1", "lost", 0, "alpha", ("x",))


def test_what_a_later_aiops_adds_to_a_record_is_left_out() -> None:
    import json
    import zlib

    text = json.dumps({"ended": {**vars(USAGE), "new": 1}}).encode()
    assert spool.decode(b"%08x %s" % (zlib.crc32(text), text)) == ("ended", USAGE)
    text = b'{"unheard-of":{}}'
    assert spool.decode(b"%08x %s" % (zlib.crc32(text), text)) is None


def test_what_is_written_is_its_owners_alone(tmp_path: Path) -> None:
    before = os.umask(0o022)
    try:
        written = Spool(tmp_path / "state", lambda line: None)
        written.ended(usage("r1"))
        (file,) = spooled.files(tmp_path / "state")
        spooled.note_done(file, 1)
        aside.put(tmp_path / "state", usage("r2"))
    finally:
        os.umask(before)
    there = list((tmp_path / "state" / "spool").iterdir())
    assert len(there) == 3
    assert {stat.S_IMODE(path.stat().st_mode) for path in there} == {0o600}
    assert stat.S_IMODE((tmp_path / "state" / "spool").stat().st_mode) == 0o700


def test_of_a_request_that_ends_only_the_end_is_read_where_nothing_else_is_wanted(tmp_path: Path) -> None:
    writer = Spool(tmp_path, print)
    for id in ("ended", "under way", "torn"):
        writer.accepted(accepted(id))
    for id in ("ended", "torn"):
        writer.ending(usage(id))
    writer.ended(usage("torn"))
    writer.ended(usage("ended"))
    writer.close()
    [file] = spooled.files(tmp_path)
    lines = file.path.read_bytes().splitlines(keepends=True)
    lines[5] = lines[5].replace(b'"status":200', b'"status":500')  # its sum is wrong now: it never ended
    file.path.write_bytes(b"".join(lines))
    part = spooled.read(file.path, 0, last_words=True)
    assert [(kind, record.id) for kind, record in part.records] == [
        ("accepted", "under way"), ("accepted", "torn"), ("ending", "torn"), ("ended", "ended"),
    ]  # fmt: skip
    assert (part.torn, part.offset) == (1, file.path.stat().st_size)


def test_what_json_can_say_and_orjson_cannot_is_written_and_read(tmp_path: Path) -> None:
    odd = replace(usage("r"), end_user="half \ud800 of a pair", cost=2**70)
    assert spool.decode(spool.encode(odd).rstrip(b"\n")) == ("ended", odd)
