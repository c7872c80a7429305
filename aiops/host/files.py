"""Files that must survive a crash: written beside their place, synced, renamed. Nothing is ever half written."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from aiops.errors import Precondition


@contextmanager
def explained(path: Path, doing: str) -> Iterator[None]:
    """Turn an OSError about ``path`` into an error for people."""
    try:
        yield
    except OSError as error:
        raise Precondition(f"cannot {doing} {path}: {error.strerror}", hint_for(error)) from error


def hint_for(error: OSError) -> str:
    """What to do about a failed system call."""
    return {
        errno.ENOSPC: "the disk is full: `df -h` shows which one; make room and run the same command again",
        errno.EROFS: "the file system is read-only: `mount` shows why; nothing was changed",
        errno.EACCES: "it belongs to somebody else: `ls -l` shows to whom",
        errno.ELOOP: "a symbolic link points at itself: `readlink -f` shows where",
        errno.EDQUOT: "the disk quota is used up",
    }.get(error.errno or 0, "")


def write(path: Path, content: bytes, mode: int | None = None) -> None:
    """Replace ``path`` atomically and durably. A symbolic link is followed, so the link itself stays.

    ``mode`` for a new file; an existing one keeps its own. Raises OSError with the old content untouched.
    """
    target = path.resolve()
    if mode is None:
        mode = target.stat().st_mode & 0o777 if target.exists() else 0o644
    temporary = target.with_name(f".{target.name}.aiops-{os.getpid()}")
    try:
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
        with os.fdopen(descriptor, "wb") as file:
            os.fchmod(file.fileno(), mode)
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(target)
    except OSError:
        temporary.unlink(missing_ok=True)
        raise
    sync_directory(target.parent)


def sweep(directory: Path) -> None:
    """Remove what writes that were killed left in ``directory``. Only for whoever is alone in writing there."""
    for leftover in directory.glob(".*.aiops-*"):
        with suppress(OSError):
            leftover.unlink()


def link(source: Path, path: Path) -> None:
    """Let ``source`` itself take the place of ``path``, which needs no room for its content. Raises OSError."""
    target = path.resolve()
    mode = target.stat().st_mode & 0o777 if target.exists() else 0o600
    temporary = target.with_name(f".{target.name}.aiops-{os.getpid()}")
    temporary.unlink(missing_ok=True)
    temporary.hardlink_to(source)
    try:
        temporary.chmod(mode)
        temporary.replace(target)
    except OSError:
        temporary.unlink(missing_ok=True)
        raise
    sync_directory(target.parent)


def write_tree(directory: Path, files: dict[str, bytes], mode: int = 0o644) -> None:
    """Make ``directory`` with these files (relative path -> bytes) appear at once, durably. Raises OSError."""
    temporary = directory.with_name(f".{directory.name}.tmp")
    _delete(temporary)
    try:
        for name, content in files.items():
            path = temporary / name
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("wb") as file:
                os.fchmod(file.fileno(), mode)
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
        for folder in {temporary, *((temporary / name).parent for name in files)}:
            sync_directory(folder)
        temporary.replace(directory)
    except OSError:
        _delete(temporary)
        raise
    sync_directory(directory.parent)


def remove_tree(directory: Path) -> None:
    """Remove a directory so that it is either whole or gone: renamed first, deleted after."""
    doomed = directory.with_name(f".{directory.name}.gone")
    _delete(doomed)
    try:
        directory.replace(doomed)
    except FileNotFoundError:
        return
    _delete(doomed)


def _delete(directory: Path) -> None:
    import shutil  # who only looks deletes nothing

    shutil.rmtree(directory, ignore_errors=True)


def append_line(path: Path, line: str) -> None:
    """Add one line durably. Raises OSError."""
    with path.open("a", encoding="utf-8") as file:
        file.write(line + "\n")
        file.flush()
        os.fsync(file.fileno())


def sync_directory(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def read(path: Path) -> bytes | None:
    """The content, or None when there is no such file. Raises OSError otherwise."""
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None
