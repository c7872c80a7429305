"""Generations: numbered once, never changed, and kept as long as somebody may want to go back to them."""

from __future__ import annotations

from pathlib import Path

import pytest

from aiops.apply import store
from aiops.apply.store import GenerationStore, Manifest, Outcome
from aiops.errors import UsageError
from aiops.gateway.shared import pointer
from aiops.host import clock


def make(generations: GenerationStore, number: int, restores: int | None = None, outcome: str = store.APPLIED) -> Path:
    manifest = Manifest(
        number, number - 1 or None, "apply", "", clock.who(), clock.now(), f"f{number}", "r", "0", restores=restores
    )
    generations.remember_number(number)
    directory = generations.create(manifest, {"providers.yaml": b"p"}, {"litellm-unified.yaml": b"l"})
    generations.finish(number, Outcome(outcome, clock.now()))
    return directory


def serve(state: Path, generations: GenerationStore, number: int, restores: int | None = None) -> None:
    pointer.flip(state, make(generations, number, restores))


def test_the_first_generation_is_number_one(tmp_path: Path) -> None:
    generations = GenerationStore(tmp_path)
    assert (generations.next_number(), generations.current(), generations.numbers()) == (1, None, [])


def test_a_number_is_never_used_twice(tmp_path: Path) -> None:
    generations = GenerationStore(tmp_path)
    make(generations, 1)
    generations.remember_number(2)  # and then it could not be written
    assert generations.next_number() == 3
    serve(tmp_path, generations, 7)
    for number in range(8, 12):
        make(generations, number, outcome=store.REFUSED)
    generations.prune(2)
    assert generations.next_number() == 12


def test_a_generation_comes_back_as_it_was_written(tmp_path: Path) -> None:
    generations = GenerationStore(tmp_path)
    make(generations, 1)
    one = generations.get(1)
    assert one.sources() == {"providers.yaml": b"p"}
    assert one.release() == {"litellm-unified.yaml": b"l"}
    assert one.applied
    assert one.manifest.fingerprint == "f1"


def test_the_files_of_a_generation_cannot_be_written(tmp_path: Path) -> None:
    directory = make(GenerationStore(tmp_path), 1)
    modes = {path.stat().st_mode & 0o222 for path in directory.rglob("*") if path.is_file()}
    assert modes == {0}


def test_how_it_ended_is_written_once(tmp_path: Path) -> None:
    generations = GenerationStore(tmp_path)
    make(generations, 1, outcome=store.ROLLED_BACK)
    generations.finish(1, Outcome(store.APPLIED, clock.now()))
    outcome = generations.get(1).outcome
    assert outcome is not None and outcome.outcome == store.ROLLED_BACK


def test_a_generation_that_cannot_be_written_whole_is_not_there(tmp_path: Path) -> None:
    generations = GenerationStore(tmp_path)
    manifest = Manifest(1, None, "apply", "", "", "", "", "", "")
    with pytest.raises(OSError):
        generations.create(manifest, {"x" * 300: b"a name too long for any file system"}, {})
    assert generations.numbers() == []
    assert list((tmp_path / "generations").iterdir()) == []


def test_what_an_interrupted_write_left_is_swept(tmp_path: Path) -> None:
    generations = GenerationStore(tmp_path)
    make(generations, 1)
    (tmp_path / "generations" / ".000002.tmp").mkdir()
    generations.sweep()
    assert [path.name for path in (tmp_path / "generations").iterdir()] == ["000001"]


def test_pruning_keeps_the_newest_the_current_and_the_one_before(tmp_path: Path) -> None:
    generations = GenerationStore(tmp_path)
    serve(tmp_path, generations, 1)
    make(generations, 2, outcome=store.REFUSED)
    serve(tmp_path, generations, 3)
    for number in range(4, 9):
        make(generations, number, outcome=store.REFUSED)
    assert generations.prune(2) == [2, 4, 5, 6]
    assert generations.numbers() == [1, 3, 7, 8]


def test_a_rollback_goes_back_over_what_never_served(tmp_path: Path) -> None:
    generations = GenerationStore(tmp_path)
    serve(tmp_path, generations, 1)
    make(generations, 2, outcome=store.ROLLED_BACK)
    serve(tmp_path, generations, 3)
    assert generations.before_current() == 1


def test_a_second_rollback_goes_further_back_and_not_to_what_was_undone(tmp_path: Path) -> None:
    generations = GenerationStore(tmp_path)
    for number in (1, 2, 3):
        serve(tmp_path, generations, number)
    serve(tmp_path, generations, 4, restores=2)
    assert generations.before_current() == 1


def test_a_missing_generation_is_named_with_those_that_are_there(tmp_path: Path) -> None:
    generations = GenerationStore(tmp_path)
    with pytest.raises(UsageError, match="there is no generation 5") as none:
        generations.get(5)
    assert "there is none yet" in none.value.hint
    for number in (1, 2):
        make(generations, number)
    with pytest.raises(UsageError) as two:
        generations.get(5)
    assert "there are 1 to 2" in two.value.hint


def test_a_clock_that_was_set_back_changes_neither_order_nor_rollback(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    generations = GenerationStore(tmp_path)
    for number, when in (
        (1, "2026-11-21T12:00:00.000Z"),
        (2, "2026-11-21T11:00:00.000Z"),
        (3, "1970-01-01T00:00:00.000Z"),
    ):
        monkeypatch.setattr(clock, "now", lambda when=when: when)
        serve(tmp_path, generations, number)
    created = [generation.manifest.created for generation in generations.all()]
    assert created == sorted(created, reverse=True), "the stamps do run backwards"
    assert generations.numbers() == [1, 2, 3]
    assert (generations.current(), generations.before_current(), generations.next_number()) == (3, 2, 4)
    assert generations.prune(2) == [1]


def test_refused_attempts_take_no_place_of_what_served(tmp_path: Path) -> None:
    generations = GenerationStore(tmp_path)
    for number in range(1, 4):
        serve(tmp_path, generations, number)
    for number in range(4, 9):
        make(generations, number, outcome=store.REFUSED)
    assert generations.prune(3) == [4, 5]
    assert generations.numbers() == [1, 2, 3, 6, 7, 8]
    serve(tmp_path, generations, 9)
    assert generations.prune(3) == [1]
