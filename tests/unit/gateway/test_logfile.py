"""The log never fills the disk, and nothing written after a rotation is lost."""

from __future__ import annotations

import os
from pathlib import Path

from aiops.gateway.master.logfile import rotate


def test_a_log_that_grew_too_large_is_kept_aside_and_begun_anew(tmp_path: Path) -> None:
    log = tmp_path / "gateway.log"
    with log.open("ab") as ours, log.open("ab") as workers:
        ours.write(b"old " * 10)
        ours.flush()

        assert rotate(ours.fileno(), largest=20)

        workers.write(b"new\n")
        workers.flush()
        assert log.read_bytes() == b"new\n"
        assert (tmp_path / "gateway.log.1").read_bytes() == b"old " * 10
        assert (tmp_path / "gateway.log.1").stat().st_mode & 0o077 == 0


def test_a_small_log_and_a_terminal_are_left_alone(tmp_path: Path) -> None:
    log = tmp_path / "gateway.log"
    with log.open("ab") as ours:
        ours.write(b"short")
        ours.flush()
        assert not rotate(ours.fileno(), largest=20)
    assert log.read_bytes() == b"short"
    reading, writing = os.pipe()
    try:
        assert not rotate(writing, largest=-1)
    finally:
        os.close(reading)
        os.close(writing)
