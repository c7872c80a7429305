"""The file of the shared counters: damaged, foreign, from before a restart of the machine, full, on a full disk."""

from __future__ import annotations

import asyncio
import os
import stat
import time
from pathlib import Path

import lmdb
import pytest

from aiops.state.counters import files, shared
from aiops.state.counters.meters import Demand, Granted, Meter, Unavailable, Unseeded
from aiops.state.counters.shared import Shared
from tests.kit.counters.clock import Clock

SIZE = 1 << 20
USD = Meter(name="key:K:usd:0", what="money", limit=10**12)
PARALLEL = Meter(name="key:K:parallel", what="parallel", limit=10**6)


def spent_before(directory: Path) -> str:
    """Counters that know of money; their epoch."""
    counters = Shared(directory, size=SIZE)
    asyncio.run(counters.seed({USD.name: 5}, {USD.name: None}))
    epoch = asyncio.run(counters.epoch())
    counters.close()
    return epoch


def anew(directory: Path, before: str) -> list[str]:
    """Opens them, and sees that they have begun a new epoch and count; what was said."""
    lines: list[str] = []
    counters = Shared(directory, size=SIZE, say=lines.append)
    assert asyncio.run(counters.epoch()) != before
    assert isinstance(asyncio.run(counters.reserve(Demand(id="a", owner="w", meters=[USD]))), Unseeded)
    assert isinstance(asyncio.run(counters.reserve(Demand(id="a", owner="w", meters=[PARALLEL]))), Granted)
    counters.close()
    assert [path.name for path in directory.glob("counters.mdb.*")] != []
    again = Shared(directory, size=SIZE, say=lines.append)
    again.close()
    return lines


def test_a_damaged_file_is_set_aside_and_said_once(tmp_path: Path) -> None:
    before = spent_before(tmp_path)
    with (tmp_path / files.NAME).open("r+b") as file:
        file.write(os.urandom(8192))
    (line,) = anew(tmp_path, before)
    assert "cannot be read" in line


def test_a_file_that_was_cut_off_is_set_aside(tmp_path: Path) -> None:
    before = spent_before(tmp_path)
    os.truncate(tmp_path / files.NAME, 2 * files.PAGE)
    (line,) = anew(tmp_path, before)
    assert "cut off" in line


def test_a_file_of_somebody_else_is_set_aside(tmp_path: Path) -> None:
    env = lmdb.open(str(tmp_path / files.NAME), subdir=False, map_size=SIZE)
    with env.begin(write=True) as txn:
        txn.put(b"their", b"own")
    env.close()
    (line,) = anew(tmp_path, "")
    assert "not one of aiops' own" in line


def test_a_file_of_another_format_is_set_aside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "FORMAT", 99)
    before = spent_before(tmp_path)
    monkeypatch.undo()
    (line,) = anew(tmp_path, before)
    assert "another version" in line


def test_after_a_restart_of_the_machine_all_begins_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was not on the disk when the power went is not believed."""
    monkeypatch.setattr(files, "boot", lambda: "00000000-0000-0000-0000-000000000000")
    before = spent_before(tmp_path)
    monkeypatch.undo()
    (line,) = anew(tmp_path, before)
    assert "before the machine was started" in line


def test_who_has_the_file_open_that_was_set_aside_goes_over_to_the_new_one(tmp_path: Path) -> None:
    old = Shared(tmp_path, size=SIZE)
    epoch = asyncio.run(old.epoch())
    (tmp_path / files.NAME).rename(tmp_path / "moved")
    (tmp_path / (files.NAME + "-lock")).unlink()
    asyncio.run(old.alive("w"))
    assert asyncio.run(old.epoch()) != epoch
    old.close()


def test_the_file_grows_and_every_process_goes_along(tmp_path: Path) -> None:
    reads, writes = os.pipe()
    child = os.fork()
    if not child:
        two = Shared(tmp_path, size=SIZE, most=4 * SIZE)
        os.write(writes, b"x")
        while not (tmp_path / "grown").exists():
            time.sleep(0.01)
        level = asyncio.run(two.levels([PARALLEL]))[0]
        granted = asyncio.run(two.reserve(Demand(id="child", owner="c", meters=[PARALLEL])))
        os._exit(0 if level.used == 6000 and isinstance(granted, Granted) else 1)
    os.read(reads, 1)
    one = Shared(tmp_path, size=SIZE, most=4 * SIZE)

    async def fill() -> None:
        for number in range(6000):
            granted = await one.reserve(Demand(id=f"id-{number:0120}", owner="w", meters=[PARALLEL]))
            assert isinstance(granted, Granted)

    asyncio.run(fill())
    assert (tmp_path / files.NAME).stat().st_size > SIZE
    (tmp_path / "grown").touch()
    assert os.waitpid(child, 0)[1] == 0
    one.close()


def test_no_process_makes_the_file_shorter_than_another_has_it(tmp_path: Path) -> None:
    """Who has mapped what is cut off dies of SIGBUS at the next write."""
    path = tmp_path / files.NAME
    counters = Shared(tmp_path, size=SIZE, most=64 * SIZE)
    files.allocate(path, 8 * SIZE)  # as another one does that grows, before it has written anything

    async def fill() -> None:
        for number in range(6000):
            await counters.reserve(Demand(id=f"id-{number:0120}", owner="w", meters=[PARALLEL]))

    asyncio.run(fill())
    assert counters._opened.env.info()["map_size"] == path.stat().st_size == 8 * SIZE
    counters.close()
    for size, most in ((SIZE, 64 * SIZE), (SIZE, 2 * SIZE)):
        Shared(tmp_path, size=size, most=most).close()
        assert path.stat().st_size == 8 * SIZE


def test_when_it_may_grow_no_more_what_has_ended_is_forgotten_first_and_then_it_is_said(tmp_path: Path) -> None:
    clock = Clock()
    counters = Shared(tmp_path, size=SIZE, most=SIZE, clock=clock)

    async def fill() -> None:
        for number in range(3000):
            await counters.void(f"old-{number:0120}")
        clock.pass_by(shared.KEPT)
        await counters.alive("w")
        for number in range(3000):  # takes the room of the old ones
            await counters.reserve(Demand(id=f"new-{number:0120}", owner="w", meters=[PARALLEL]))
        assert (await counters.levels([PARALLEL]))[0].used == 3000
        with pytest.raises(Unavailable, match="is full"):
            for number in range(9000):
                await counters.reserve(Demand(id=f"more-{number:0120}", owner="w", meters=[PARALLEL]))
        assert (await counters.levels([PARALLEL]))[0].used >= 3000

    asyncio.run(fill())
    counters.close()


def test_a_disk_without_room_is_an_error_before_anything_is_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate", full)
    with pytest.raises(OSError, match="No space left"):
        Shared(tmp_path, size=SIZE)


def test_the_room_it_may_need_is_taken_when_it_is_made(tmp_path: Path) -> None:
    counters = Shared(tmp_path, size=SIZE)
    assert (tmp_path / files.NAME).stat().st_blocks * 512 >= SIZE
    assert (tmp_path / files.NAME).stat().st_mode & 0o777 == 0o600
    counters.close()


def test_ids_are_known_for_an_hour_and_forgotten_after_two(tmp_path: Path) -> None:
    """No table grows without end."""
    clock = Clock(1_800_000_000 // shared.KEPT * shared.KEPT + 10)
    counters = Shared(tmp_path, size=SIZE, clock=clock)

    async def through_the_hours() -> None:
        await counters.seed({USD.name: 0}, {USD.name: None})
        assert await counters.post("a", {USD.name: 1}, {USD.name: None})
        clock.pass_by(shared.KEPT)
        await counters.alive("w")
        assert not await counters.post("a", {USD.name: 1}, {USD.name: None})
        clock.pass_by(shared.KEPT)
        await counters.alive("w")
        assert await counters.post("a", {USD.name: 1}, {USD.name: None})

    asyncio.run(through_the_hours())
    counters.close()


def test_counters_of_windows_that_are_over_are_removed(tmp_path: Path) -> None:
    clock = Clock()
    counters = Shared(tmp_path, size=SIZE, clock=clock)
    begins = int(clock.seconds)
    old = [
        Meter(name=f"key:{number}:usd", what="money", limit=9, window=begins, ends=begins + 60) for number in range(500)
    ]
    rpm = Meter(name="key:K:rpm", what="requests", limit=600)
    clock.pass_by(1)

    async def over() -> None:
        await counters.seed({USD.name: 3}, {USD.name: None})
        for number, meter in enumerate(old):
            await counters.reserve(Demand(id=f"{number}", owner="w", meters=[meter, rpm], cost=1))
        entries = counters._opened.env.stat()["entries"]
        clock.pass_by(2 * 86_400)
        for _ in range(12):
            await counters.alive("w")
        assert counters._opened.env.stat()["entries"] < entries - 1000
        assert (await counters.levels([USD]))[0].used == 3

    asyncio.run(over())
    counters.close()


def test_who_stands_in_for_others_begins_anew_with_each_outage_and_not_within_one(tmp_path: Path) -> None:
    clock = Clock()
    counters = Shared(tmp_path, size=SIZE, clock=clock)

    async def outages() -> None:
        await counters.stand_in()
        first = await counters.epoch()
        await counters.seed({USD.name: 3}, {USD.name: None})
        await counters.reserve(Demand(id="long", owner="w", meters=[USD], cost=1))
        clock.pass_by(5)
        await counters.stand_in()
        assert await counters.epoch() == first
        clock.pass_by(60)
        await counters.stand_in()
        assert await counters.epoch() != first
        assert isinstance(await counters.reserve(Demand(id="a", owner="w", meters=[USD])), Unseeded)
        assert (await counters.settle("long", 0, 1)).epoch == ""

    asyncio.run(outages())
    counters.close()


def test_what_is_there_is_its_owners_alone(tmp_path: Path) -> None:
    before = os.umask(0o022)
    try:
        Shared(tmp_path / "counters", size=SIZE).close()
    finally:
        os.umask(before)
    there = list((tmp_path / "counters").iterdir())
    assert len(there) == 3
    assert {stat.S_IMODE(path.stat().st_mode) for path in there} == {0o600}
    assert stat.S_IMODE((tmp_path / "counters").stat().st_mode) == 0o700
