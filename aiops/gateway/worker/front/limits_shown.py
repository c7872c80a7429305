"""How much is left, in an answer's headers: under OpenAI's names of the tightest limit, under LiteLLM's of each."""

from __future__ import annotations

import math
from collections.abc import Iterable

from aiops.gateway.worker.front.asgi import Headers
from aiops.state import money
from aiops.state.counters.meters import Level
from aiops.state.rules import LIMIT_TYPE, tightest

# LiteLLM's words for whose limit it is.
_SHOWN = {"key": "api_key", "member": "team_member", "model_per_member": "model_per_team_member"}
OURS = (b"x-litellm-key-spend", b"x-litellm-key-max-budget", b"x-litellm-key-rpm-limit", b"x-litellm-key-tpm-limit")
"""LiteLLM says these too, of what it does not count."""


def shown(levels: Iterable[Level]) -> Headers:
    levels = tuple(levels)
    found: list[tuple[str, str]] = []
    for what in ("requests", "tokens"):
        level = tightest(levels, what)
        if level is not None:
            found += [
                (f"x-ratelimit-limit-{what}", str(level.meter.limit)),
                (f"x-ratelimit-remaining-{what}", str(level.left)),
                (f"x-ratelimit-reset-{what}", duration(level.resets or 0.0)),
            ]
    for level in levels:
        meter = level.meter
        if meter.what == "money":
            if meter.shown == "key":
                found.append(("x-litellm-key-max-budget", str(money.dollars(meter.limit))))
                found.append(("x-litellm-key-spend", str(money.dollars(level.used - level.reserved))))
            continue
        whose, kind = _SHOWN.get(meter.shown, meter.shown), LIMIT_TYPE[meter.what]
        found.append((f"x-ratelimit-{whose}-limit-{kind}", str(meter.limit)))
        found.append((f"x-ratelimit-{whose}-remaining-{kind}", str(level.left)))
        if meter.shown == "key" and meter.what != "parallel":
            found.append((f"x-litellm-key-{'rpm' if meter.what == 'requests' else 'tpm'}-limit", str(meter.limit)))
    return [(name.encode(), value.encode("latin-1")) for name, value in dict(found).items()]


def put_right(levels: Iterable[Level], reserved: int, used: int) -> tuple[Level, ...]:
    """As they stand when a request is over that had ``reserved`` tokens and has ``used`` so many."""
    return tuple(_put_right(level, reserved, used) if level.meter.what == "tokens" else level for level in levels)


def _put_right(level: Level, reserved: int, used: int) -> Level:
    held = min(reserved, level.meter.limit)  # more than all of it is never reserved
    now = max(0, level.used - held + used)
    resets = 0.0 if now < level.meter.limit else level.resets
    return Level(level.meter, now, max(0, level.reserved - held), resets)


def duration(seconds: float) -> str:
    """As OpenAI writes it: ``120ms``, ``6s``, ``1m30s``."""
    if seconds < 1:
        return f"{math.ceil(seconds * 1000)}ms"
    whole = math.ceil(seconds)
    minutes, rest = divmod(whole, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{f'{hours}h' if hours else ''}{f'{minutes}m' if minutes or hours else ''}{rest}s"
