"""The operator's files: checked for edits, replaced, put back."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest

from aiops.apply import writes
from aiops.apply.writes import FileChange
from aiops.errors import Precondition
from aiops.host import files


def test_an_edit_in_between_is_refused_by_name(tmp_path: Path) -> None:
    path = tmp_path / "providers.yaml"
    path.write_bytes(b"edited")
    with pytest.raises(Precondition, match=r"providers\.yaml was edited while this change was being made"):
        writes.check_untouched([FileChange(path, b"old", b"new")])


def test_a_file_that_vanished_counts_as_an_edit(tmp_path: Path) -> None:
    with pytest.raises(Precondition):
        writes.check_untouched([FileChange(tmp_path / "gone", b"old", b"new")])
    writes.check_untouched([FileChange(tmp_path / "gone", None, b"new")])


def test_replacing_writes_creates_and_removes(tmp_path: Path) -> None:
    old, gone, private = tmp_path / "old", tmp_path / "gone", tmp_path / "env"
    old.write_bytes(b"old")
    gone.write_bytes(b"gone")
    writes.replace(
        [FileChange(old, b"old", b"new"), FileChange(gone, b"gone", None), FileChange(private, None, b"K=1", True)]
    )
    assert (old.read_bytes(), gone.exists(), private.read_bytes()) == (b"new", False, b"K=1")
    assert private.stat().st_mode & 0o777 == 0o600


def test_a_file_that_is_right_already_is_not_touched(tmp_path: Path) -> None:
    path = tmp_path / "same"
    path.write_bytes(b"same")
    before = path.stat().st_ino
    writes.put(path, b"same")
    assert path.stat().st_ino == before


def test_without_room_the_kept_copy_takes_the_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, kept = tmp_path / "providers.yaml", tmp_path / "kept"
    path.write_bytes(b"new")
    path.chmod(0o640)
    kept.write_bytes(b"old")
    kept.chmod(0o600)

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(files, "write", full)
    writes.put_back(path, b"old", kept)
    assert path.read_bytes() == b"old"
    assert path.stat().st_mode & 0o777 == 0o640
    with pytest.raises(OSError, match="No space left"):
        writes.put_back(path, b"other", tmp_path / "no copy")
