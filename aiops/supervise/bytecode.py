"""The compiled modules of a new runtime: taken over from environments that have the same sources.

Compiling 9,000 modules was four fifths of building a runtime (18 of 22 s of CPU), and from one LiteLLM to the next
hardly any of them is another. What is compiled depends on the text and on the version of Python; the path in it is
corrected when it is read (``importlib._bootstrap_external._compile_bytecode``). See docs/decisions/0039.
"""

from __future__ import annotations

import importlib.util
import os
import struct
import sys
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

# PEP 552: magic number, flags, then 32 bits each of the source's time and size when the flags are 0.
HEADER = struct.Struct("<4sIII")
BY_TIME = 0
MASK = 0xFFFFFFFF


def site_packages(environment: Path) -> Path | None:
    """Where an environment of this version of Python has its packages; None when it has none."""
    found = environment / "lib" / f"python{sys.version_info[0]}.{sys.version_info[1]}" / "site-packages"
    return found if found.is_dir() else None


def take_over(site: Path, donors: Sequence[Path]) -> list[Path]:
    """Give the modules below ``site`` what was compiled from the same text below one of ``donors``, of the same layout.

    Returns the modules that are left to compile. Raises OSError when ``site`` cannot be read.
    """
    return [source for source in _sources(site) if not _taken(source, source.relative_to(site), donors)]


def compiled_at(source: Path) -> Path:
    """Where Python looks for what was compiled from ``source``."""
    return source.parent / "__pycache__" / f"{source.stem}.{sys.implementation.cache_tag}.pyc"


def _sources(site: Path) -> Iterator[Path]:
    for directory, _, names in os.walk(site):
        yield from (Path(directory, name) for name in sorted(names) if name.endswith(".py"))


def _taken(source: Path, relative: Path, donors: Sequence[Path]) -> bool:
    written = source.stat()
    for donor in donors:
        with suppress(OSError):  # it has no such module, or never compiled it, or does not let us look
            other = donor / relative
            if _same_text(source, written, other) and _taken_from(compiled_at(other), source, written):
                return True
    return False


def _same_text(source: Path, written: os.stat_result, other: Path) -> bool:
    """Mostly one file with two names, because uv links what it installs to its cache. Time and size are not enough:
    there are wheels whose files are all of the same second."""
    there = other.stat()
    if os.path.samestat(written, there):
        return True
    return written.st_size == there.st_size and source.read_bytes() == other.read_bytes()


def _taken_from(compiled: Path, source: Path, written: os.stat_result) -> bool:
    """False when Python would not take it for what was compiled from ``source``, whatever its time is."""
    with compiled.open("rb") as file:
        header = file.read(HEADER.size)
        if len(header) < HEADER.size:
            return False
        magic, flags, seconds, size = HEADER.unpack(header)
        now, length = int(written.st_mtime) & MASK, written.st_size & MASK
        if (magic, flags, size) != (importlib.util.MAGIC_NUMBER, BY_TIME, length):
            return False
        target = compiled_at(source)
        target.parent.mkdir(exist_ok=True)
        # Python replaces such a file and never writes into it, so one can have two names. Not what is somebody else's.
        if seconds == now and os.fstat(file.fileno()).st_uid == os.geteuid():
            with suppress(OSError):
                os.link(compiled, target)
                return True
        try:
            target.write_bytes(HEADER.pack(magic, flags, now, size) + file.read())
        except OSError:
            target.unlink(missing_ok=True)  # half of it would be taken for whole
            raise
        return True
