"""What a worker says of itself: ready, degraded, not ready, and what it does without."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from aiops.gateway.shared.steady import LOST, UNKNOWN, WELL, Condition
from aiops.gateway.worker.readiness import Readiness, judge

AT = 1_795_000_000.0
GONE = Condition(LOST, AT, "10.0.0.7 does not answer")
HERE = Condition(WELL)


def judged(closed: bool = False, drains: bool = False, **others: Condition) -> Readiness:
    conditions: Mapping[str, Condition] = {"master": HERE, "accountant": HERE, "store": HERE, **others}
    return judge(conditions, drains=drains, closed=closed, said={"role": "serving"})


def test_with_everything_there_it_is_ready() -> None:
    now = judged(redis=HERE)
    assert (now.status, now.serves, now.lacks) == ("ready", True, ())
    assert now.shown()["checks"] == {
        "role": "serving",
        **dict.fromkeys(("master", "accountant", "store", "redis"), WELL),
    }
    assert now.as_litellm() == {"status": "healthy", "db": "connected"}


@pytest.mark.parametrize(
    ("closed", "lacks", "word"),
    [
        (False, {"store": GONE}, "degraded"),
        (False, {"accountant": GONE, "store": Condition(UNKNOWN, AT)}, "degraded"),
        (False, {"redis": GONE}, "degraded"),
        (True, {"redis": GONE}, "degraded"),
        (True, {"master": GONE}, "degraded"),
        (True, {"usage": GONE}, "degraded"),
        (True, {"store": GONE}, "not_ready"),
        (True, {"store": Condition("behind", AT)}, "not_ready"),
        (True, {"accountant": GONE, "store": Condition(UNKNOWN, AT)}, "not_ready"),
    ],
)
def test_what_is_away_degrades_it_and_only_what_vouches_for_keys_takes_a_closed_one_out(
    closed: bool, lacks: dict[str, Condition], word: str
) -> None:
    now = judged(closed, **lacks)
    assert (now.status, now.serves) == (word, word == "degraded")
    assert {each.check for each in now.lacks} == set(lacks)


def test_it_says_what_since_when_and_what_happens_and_to_strangers_no_address() -> None:
    now = judged(store=GONE)
    (shown,), (told,) = now.shown()["why"], now.told()["why"]
    assert (shown["check"], shown["state"], shown["since"]) == ("store", "lost", "2026-11-18T11:06:40Z")
    assert "keys that were used lately go on working" in shown["effect"]
    assert "every key but the master key is refused" in judged(closed=True, store=GONE).lacks[0].effect
    assert "10.0.0.7" not in str(now.shown())
    assert told == {**shown, "why": "10.0.0.7 does not answer"}


def test_one_that_drains_says_so_whatever_else_there_is() -> None:
    now = judged(drains=True, store=GONE)
    assert (now.status, now.serves) == ("draining", False)
    assert now.as_litellm() == {"status": "shutting_down"}


@pytest.mark.parametrize(
    ("closed", "store", "said"),
    [
        (False, GONE, {"status": "healthy", "db": "disconnected"}),
        (True, GONE, {"status": "unhealthy", "db": "disconnected"}),
        (False, Condition(UNKNOWN, AT), {"status": "healthy", "db": "Not connected"}),
    ],
)
def test_litellms_own_words_for_it(closed: bool, store: Condition, said: dict[str, Any]) -> None:
    assert judged(closed, store=store).as_litellm() == said
