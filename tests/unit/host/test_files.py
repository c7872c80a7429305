"""Nothing is ever half written: a reader sees the old content or the new, whatever interrupts the write."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from aiops.errors import Precondition
from aiops.host import files

DIE = """
import os, signal, sys, pathlib
from aiops.host import files
where = int(sys.argv[2]); seen = 0
def hook(event, arguments):
    global seen
    if event in ("open", "os.rename", "os.chmod") and str(sys.argv[1]) in str(arguments[0]):
        seen += 1
        if seen == where: os.kill(os.getpid(), signal.SIGKILL)
sys.addaudithook(hook)
files.write(pathlib.Path(sys.argv[1]) / "file", b"new" * 100000)
"""


@pytest.mark.parametrize("where", [1, 2, 3])
def test_a_killed_write_leaves_the_old_content_or_the_new(tmp_path: Path, where: int) -> None:
    (tmp_path / "file").write_bytes(b"old")
    done = subprocess.run([sys.executable, "-c", DIE, str(tmp_path), str(where)])
    assert done.returncode in (-signal.SIGKILL, 0)
    assert (tmp_path / "file").read_bytes() in (b"old", b"new" * 100000)
    if where == 1:
        assert done.returncode == -signal.SIGKILL, "the fault did not happen"
        assert (tmp_path / "file").read_bytes() == b"old"


@pytest.mark.parametrize("broken", ["fsync", "replace"])
def test_a_failed_write_leaves_the_old_content_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, broken: str
) -> None:
    (tmp_path / "file").write_bytes(b"old")

    def fail(*_: object) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(files.os if broken == "fsync" else Path, broken, fail)
    with pytest.raises(OSError, match="Input/output"):
        files.write(tmp_path / "file", b"new")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
    assert (tmp_path / "file").read_bytes() == b"old"


def test_a_symbolic_link_stays_one(tmp_path: Path) -> None:
    (tmp_path / "real").write_bytes(b"old")
    (tmp_path / "link").symlink_to("real")
    files.write(tmp_path / "link", b"new")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "real").read_bytes() == b"new"


def test_a_file_keeps_its_mode(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"old")
    (tmp_path / "file").chmod(0o640)
    files.write(tmp_path / "file", b"new")
    assert (tmp_path / "file").stat().st_mode & 0o777 == 0o640
    files.write(tmp_path / "secret", b"new", 0o600)
    assert (tmp_path / "secret").stat().st_mode & 0o777 == 0o600


def test_a_directory_appears_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files.write_tree(tmp_path / "tree", {"a": b"1", "deep/b": b"2"}, 0o444)
    assert {str(p.relative_to(tmp_path / "tree")) for p in (tmp_path / "tree").rglob("*") if p.is_file()} == {
        "a",
        "deep/b",
    }
    seen = 0
    real = os.fsync

    def fail_at_second(descriptor: int) -> None:
        nonlocal seen
        seen += 1
        if seen == 2:
            raise OSError(28, "No space left on device")
        real(descriptor)

    monkeypatch.setattr(files.os, "fsync", fail_at_second)
    with pytest.raises(OSError, match="No space"):
        files.write_tree(tmp_path / "other", {"a": b"1", "b": b"2"})
    assert [path.name for path in tmp_path.iterdir()] == ["tree"]


def test_a_tree_is_removed_and_a_missing_one_is_no_error(tmp_path: Path) -> None:
    files.write_tree(tmp_path / "tree", {"a": b"1"})
    files.remove_tree(tmp_path / "tree")
    files.remove_tree(tmp_path / "tree")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("number", "said"),
    [
        (errno.ENOSPC, "the disk is full"),
        (errno.EROFS, "read-only"),
        (errno.EACCES, "belongs to somebody else"),
        (errno.EDQUOT, "quota"),
    ],
)
def test_errors_of_the_system_are_explained_to_people(tmp_path: Path, number: int, said: str) -> None:
    with pytest.raises(Precondition) as refused, files.explained(tmp_path, "write"):
        raise OSError(number, os.strerror(number))
    assert f"cannot write {tmp_path}: {os.strerror(number)}" in refused.value.message
    assert said in refused.value.hint
