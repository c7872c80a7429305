"""What several workers remember becomes one account, and a table for people."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

from aiops.actions.route.live import look, merged
from aiops.gateway.shared import tallies
from aiops.gateway.shared.messages import Status


def worker(*models: dict[str, Any], busy: int = 0, avoided: dict[str, Any] | None = None) -> dict[str, Any]:
    """As a worker answers it."""
    cards = {"provider": "cards", "in_flight": busy, "parallel": 4, "errors_in_a_row": 2, "warm": True}
    return {"minutes": 5, "routing_errors": 0, "models": list(models), "providers": [cards | {"avoided": avoided}]}


def row(
    model: str, provider: str, answered: int, failed: int = 0, after: str = "", failure: str = ""
) -> dict[str, Any]:
    counts = {"answered": answered, "failed": failed}
    return {
        "model": model,
        "provider": provider,
        "rule": None,
        "after": after or None,
        "failure": failure or None,
    } | counts


def test_what_each_worker_answered_adds_up_and_what_all_of_them_know_does_not() -> None:
    live = merged([worker(row("code", "cards", 3), busy=2), worker(row("code", "cards", 4, failed=1), busy=2)])
    assert [(each.model, each.answered, each.failed) for each in live.served] == [("code", 7, 1)]
    assert live.providers[0].in_flight == 2
    assert live.workers == 2


def test_a_fallback_that_was_taken_is_told_from_an_answer_of_its_own() -> None:
    live = merged([worker(row("code", "lab", 1), row("code", "lab", 2, after="cards", failure="HTTP 500"))])
    taken = {"model": "code", "from": "cards", "to": "lab", "failure": "HTTP 500", "taken": 2}
    assert live.to_json()["fallbacks"] == [taken]
    assert live.lines()[:4] == [
        "served in the last 5 minutes:",
        "  model  by   answered  failed",
        "  code   lab  2         0       after cards: HTTP 500",
        "  code   lab  1         0",
    ]


def test_a_provider_that_is_avoided_is_shown_with_why_and_how_long() -> None:
    told = [worker(busy=1), worker(busy=1, avoided={"reason": "it limits", "seconds": 12.3}), worker(busy=1)]
    live = merged(told)
    assert live.lines()[-1] == "  cards     1/4   avoided for 12 s: it limits, 2 errors in a row"


def test_a_worker_that_does_not_answer_is_named_and_not_left_out_in_silence(tmp_path: Path) -> None:
    worker = {"pid": 7, "http": "/nowhere/7.http"}
    master = Status.of({"state": "serving", "groups": [{"generation": 1, "role": "serving", "workers": [worker]}]})
    live = look(master, tmp_path)
    assert live.workers == 0
    assert live.silent[0].startswith("worker 7 did not tell")


def test_what_workers_that_left_had_counted_is_told_and_once_only() -> None:
    still_there = worker(row("code", "cards", 3)) | {"worker": "7.1"}
    left = {"7.1": [row("code", "cards", 5)], "6.1": [row("code", "cards", 1), row("chat", "lab", 2)]}
    live = merged([worker(row("code", "cards", 10)) | {"worker": "8.1"}], [still_there], left)
    assert [(each.model, each.answered) for each in live.served] == [("chat", 2), ("code", 16)]
    assert live.workers == 1


def test_a_file_of_a_worker_holds_its_minutes_as_long_as_they_are_told_of(tmp_path: Path) -> None:
    now = 1_800_000_000.0
    tallies.leave(tmp_path, "7.1", [(now - 301, [row("old", "lab", 9)]), (now - 299, [row("code", "lab", 1)])])
    tallies.leave(tmp_path, "8.1", [])  # it counted nothing, and leaves nothing
    (tmp_path / "nonsense.minutes").write_text("{")
    assert dict(tallies.left(tmp_path, now)) == {"7.1": [row("code", "lab", 1)]}
    assert dict(tallies.left(tmp_path, now + 2)) == {}
    assert (tmp_path / "7.1.minutes").stat().st_mode & 0o077 == 0


def test_files_that_nobody_is_told_of_any_more_are_removed_by_the_next_worker(tmp_path: Path) -> None:
    tallies.leave(tmp_path, "7.1", [(time.time(), [row("code", "lab", 1)])])
    long_ago = time.time() - tallies.SECONDS - 1
    os.utime(tmp_path / "7.1.minutes", (long_ago, long_ago))
    tallies.leave(tmp_path, "8.1", [(time.time(), [row("code", "lab", 2)])])
    assert [path.name for path in tmp_path.iterdir()] == ["8.1.minutes"]
