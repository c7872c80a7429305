"""The journal: written before anything is done, whole or not at all, and enough to undo a change."""

from __future__ import annotations

from pathlib import Path

import pytest

from aiops.apply import recovery
from aiops.apply.journal import Entry, Journal, digest
from aiops.apply.store import GenerationStore
from aiops.host import files


def entry(before: dict[str, str | None], after: dict[str, str | None]) -> Entry:
    return Entry("add-provider", "ada@box", "2026-11-21T00:00:00.000Z", base=1, target=2, before=before, after=after)


def begin(state: Path, path: Path, old: bytes | None, new: bytes | None) -> Journal:
    journal = Journal(state)
    undo = {str(path): old} if old is not None else {}
    journal.begin(entry({str(path): digest(old)}, {str(path): digest(new)}), undo)
    return journal


def test_a_journal_is_open_until_it_is_closed(tmp_path: Path) -> None:
    journal = begin(tmp_path, tmp_path / "file", b"old", b"new")
    assert journal.open
    journal.close()
    assert not journal.open
    assert list(tmp_path.iterdir()) == []


def test_a_journal_that_cannot_be_written_whole_is_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(files.os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        begin(tmp_path, tmp_path / "file", b"old", b"new")
    assert not Journal(tmp_path).open
    assert list(tmp_path.iterdir()) == []


def test_it_says_which_verb_of_whom_was_interrupted_and_where(tmp_path: Path) -> None:
    journal = begin(tmp_path, tmp_path / "file", b"old", b"new")
    assert "was interrupted at `nothing was done yet`" in (recovery.pending(tmp_path) or "")
    journal.step("stage")
    journal.step("prove")
    said = recovery.pending(tmp_path)
    assert said == "`aiops add-provider` by ada@box (since 2026-11-21T00:00:00.000Z) was interrupted at `prove`"


def test_old_bytes_are_private(tmp_path: Path) -> None:
    journal = begin(tmp_path, tmp_path / "env", b"KEY=secret", None)
    assert journal.undo(str(tmp_path / "env")) == b"KEY=secret"
    for path in (tmp_path / "journal").rglob("*"):
        assert path.is_dir() or path.stat().st_mode & 0o077 == 0


@pytest.mark.parametrize(("old", "now"), [(b"old", b"new"), (b"old", b"old"), (None, b"new"), (b"old", None)])
def test_an_interrupted_change_is_undone(tmp_path: Path, old: bytes | None, now: bytes | None) -> None:
    path = tmp_path / "providers.yaml"
    begin(tmp_path, path, old, b"new" if now is not None else None)
    if now is not None:
        path.write_bytes(now)
    said = recovery.settle(tmp_path, tmp_path / "run")
    assert any("it had not gone live: undone" in sentence for sentence in said)
    assert files.read(path) == old
    assert not Journal(tmp_path).open


def test_an_edit_made_after_the_interruption_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "providers.yaml"
    begin(tmp_path, path, b"old", b"new")
    path.write_bytes(b"edited")
    said = recovery.settle(tmp_path, tmp_path / "run")
    assert f"{path} was edited meanwhile and is left as it is" in said
    assert path.read_bytes() == b"edited"


def test_settling_twice_does_nothing_the_second_time(tmp_path: Path) -> None:
    begin(tmp_path, tmp_path / "providers.yaml", b"old", b"new")
    assert recovery.settle(tmp_path, tmp_path / "run")
    assert recovery.settle(tmp_path, tmp_path / "run") == []
    assert GenerationStore(tmp_path).numbers() == []


def test_what_killed_writes_left_is_swept(tmp_path: Path) -> None:
    config = tmp_path / "config"
    config.mkdir()
    for name in (".journal.tmp/undo", ".journal.gone/undo", "generations/.000002.tmp"):
        (tmp_path / name).mkdir(parents=True)
    for path in (tmp_path / ".highest.aiops-12", config / ".providers.yaml.aiops-12"):
        path.write_bytes(b"half")
    begin(tmp_path, config / "providers.yaml", b"old", b"new")
    (config / "providers.yaml").write_bytes(b"new")
    recovery.settle(tmp_path, tmp_path / "run")
    assert [path.name for path in config.iterdir()] == ["providers.yaml"]
    assert {path.name for path in tmp_path.rglob(".*")} == set()
