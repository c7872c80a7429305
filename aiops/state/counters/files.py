"""The file of the shared counters: made, opened, found damaged, set aside, grown. Everything is under one lock file, so
that workers that start together make one.

After another boot of the machine the file is made anew: LMDB without fsync is safe from the death of any process, and
not from a power cut. What money was spent is in the ledger, and a minute's requests are over by then.
"""

from __future__ import annotations

import fcntl
import os
import secrets
import struct
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import lmdb

from aiops.state.boot import boot, is_now

FORMAT = 1
NAME = "counters.mdb"
READERS = 1024
LOCK_SIZE = 72 * 1024  # bytes: what LMDB needs for so many readers, and a little more
PAGE = 4096
DAMAGED = (
    lmdb.BadTxnError, lmdb.CorruptedError, lmdb.InvalidError, lmdb.PageNotFoundError, lmdb.PanicError,
    lmdb.VersionMismatchError,
)  # fmt: skip
_LAST_PAGE = struct.Struct("<QQ")  # in each of the two pages that LMDB begins with: the last page used, a serial number
_LAST_PAGE_AT = 136
_META = struct.Struct("<Hq36s32s")  # format, birth in microseconds since 1970, boot of the machine, epoch
_META_KEY = b"x"

Say = Callable[[str], None]


@dataclass(frozen=True)
class Opened:
    """``inode``: of the file, by which a process sees that another one has set it aside. ``ended``: two tables that
    take turns."""

    env: Any
    main: Any
    ended: tuple[Any, Any]
    epoch: str
    birth: int
    inode: int


def open_counters(directory: Path, size: int, most: int, clock: Callable[[], int], say: Say) -> Opened:
    """Raises OSError when the directory cannot be written to, or has no room for ``size`` bytes."""
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    with _alone(directory):
        try:
            return _open(directory / NAME, size, most, clock)
        except _Unusable as why:
            _set_aside(directory / NAME, why, say)
        except DAMAGED as error:
            _set_aside(directory / NAME, f"it cannot be read ({error})", say)
        except lmdb.Error as error:  # of the disk, or of the system
            raise OSError(str(error)) from error
        return _open(directory / NAME, size, most, clock)


def set_aside(directory: Path, opened: Opened, why: object, say: Say) -> None:
    """A file that was found damaged while it was in use; nothing is done when another process did that already."""
    with _alone(directory), suppress(FileNotFoundError):
        if (directory / NAME).stat().st_ino == opened.inode:
            _set_aside(directory / NAME, why, say)


def is_moved(directory: Path, opened: Opened) -> bool:
    """Whether another process has set it aside."""
    try:
        return (directory / NAME).stat().st_ino != opened.inode
    except FileNotFoundError:
        return True


def grow(directory: Path, opened: Opened, most: int) -> bool:
    """Have room for twice as much, or as much as another process has made meanwhile; False when there may be no more.

    LMDB cuts the file to the size of the map that it is told, and whoever has mapped more of it then dies of SIGBUS
    (``set_mapsize(0)`` does so too, with the size of the last commit). So no map is ever smaller than the file, and
    sizes change under the lock alone. Raises Moved."""
    path = directory / NAME
    with _alone(directory):
        there = path.stat() if path.exists() else None
        if there is None or there.st_ino != opened.inode:
            raise Moved
        mapped = opened.env.info()["map_size"]
        size = there.st_size
        if size <= mapped:
            size = min(2 * mapped, most)
            if size <= mapped:
                return False
            try:
                allocate(path, size)
            except OSError:
                return False
        opened.env.set_mapsize(size)
    return True


class Moved(Exception):
    """Another process has set the file aside."""


def allocate(path: Path, size: int) -> None:
    """Have the disk keep its promise now: a write into the map that finds no room would kill the process. Raises
    OSError."""
    with path.open("r+b") as file:
        os.posix_fallocate(file.fileno(), 0, size)


def begin_epoch(txn: Any, now: int) -> None:
    """``now``: microseconds since 1970."""
    txn.put(_META_KEY, _META.pack(FORMAT, now, boot().encode(), secrets.token_hex(16).encode()))


def epoch_of(txn: Any) -> tuple[str, int]:
    """Its name, and when it began, microseconds since 1970."""
    _, birth, _, name = _META.unpack(txn.get(_META_KEY))
    return name.decode(), birth


class _Unusable(Exception):
    pass


@contextmanager
def _alone(directory: Path) -> Iterator[None]:
    lock = os.open(directory / "opening.lock", os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
    finally:
        os.close(lock)


def _open(path: Path, size: int, most: int, clock: Callable[[], int]) -> Opened:
    new = not path.exists()
    if new:
        path.touch(0o600)
    last = _last_page(path)
    there = path.stat().st_size  # after that: another process makes it longer before it uses more of it
    size = max(min(size, most), -(-there // PAGE) * PAGE)
    lock = path.with_name(path.name + "-lock")
    lock.touch(0o600)
    allocate(lock, lock.stat().st_size or LOCK_SIZE)  # LMDB writes it through a map, and would die of SIGBUS
    env = lmdb.open(
        str(path), map_size=size, subdir=False, mode=0o600, sync=False, metasync=False, writemap=True, readahead=False,
        max_dbs=4, max_readers=READERS,
    )  # fmt: skip
    try:
        if (last + 1) * PAGE > there > 0:
            raise _Unusable("it was cut off")
        allocate(path, size)
        epoch, birth = _identity(env, clock)
        main = env.open_db()
        ended = (env.open_db(b"ended0"), env.open_db(b"ended1"))
    except BaseException:
        env.close()
        raise
    return Opened(env, main, ended, epoch, birth, path.stat().st_ino)


def _last_page(path: Path) -> int:
    """The last page that is used, as the file says, whether it is in the file or not."""
    with path.open("rb") as file:
        head = file.read(2 * PAGE)
    if len(head) < 2 * PAGE:
        return 0
    metas = [_LAST_PAGE.unpack_from(head, page * PAGE + _LAST_PAGE_AT) for page in (0, 1)]
    return int(max(metas, key=lambda meta: meta[1])[0])


def _identity(env: Any, clock: Callable[[], int]) -> tuple[str, int]:
    with env.begin(write=True) as txn:
        raw = txn.get(_META_KEY)
        if raw is None:
            if txn.stat()["entries"]:
                raise _Unusable("it is not one of aiops' own")
            begin_epoch(txn, clock())
            return epoch_of(txn)
    if len(raw) != _META.size or _META.unpack(raw)[0] != FORMAT:
        raise _Unusable("another version of aiops made it")
    _, birth, booted, name = _META.unpack(raw)
    if not is_now(booted.rstrip(b"\0").decode()):
        raise _Unusable("it is from before the machine was started")
    return name.decode(), birth


def _set_aside(path: Path, why: object, say: Say) -> None:
    aside = path.with_name(f"{path.name}.{time.strftime('%Y%m%dT%H%M%S', time.gmtime())}")
    path.rename(aside)
    path.with_name(path.name + "-lock").unlink(missing_ok=True)
    for old in sorted(path.parent.glob(f"{path.name}.*T*"))[:-1]:
        old.unlink()  # one is enough to look at
    say(f"{path}: {why}; counting begins anew from the ledger, what was there is in {aside.name}")


def below(txn: Any, letter: bytes, place: bytes = b"") -> Iterator[tuple[bytes, bytes]]:
    """What is kept below a letter, from a place in it on."""
    with txn.cursor() as cursor:
        if not cursor.set_range(max(place, letter)):
            return
        for key, raw in cursor:
            if key[:1] != letter:
                return
            yield key, raw
