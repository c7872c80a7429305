"""What several workers remember becomes one account, and a table for people."""

from __future__ import annotations

from typing import Any

from aiops.actions.route.live import look, merged
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


def test_a_worker_that_does_not_answer_is_named_and_not_left_out_in_silence() -> None:
    worker = {"pid": 7, "http": "/nowhere/7.http"}
    master = Status.of({"state": "serving", "groups": [{"generation": 1, "role": "serving", "workers": [worker]}]})
    live = look(master)
    assert live.workers == 0
    assert live.silent[0].startswith("worker 7 did not tell")
