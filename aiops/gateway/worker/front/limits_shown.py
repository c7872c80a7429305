"""How much is left, in an answer's headers: under OpenAI's names of the tightest limit, under LiteLLM's of each."""

from __future__ import annotations

import math
from collections.abc import Iterable
from functools import lru_cache

from aiops.gateway.worker.front.asgi import Headers
from aiops.state import money
from aiops.state.counters.meters import Level, What
from aiops.state.rules import LIMIT_TYPE, tightest

_TIGHTEST = {
    what: tuple(f"x-ratelimit-{says}-{what}".encode() for says in ("limit", "remaining", "reset"))
    for what in ("requests", "tokens")
}
# LiteLLM's words for whose limit it is.
_SHOWN = {"key": "api_key", "member": "team_member", "model_per_member": "model_per_team_member"}
OURS = (b"x-litellm-key-spend", b"x-litellm-key-max-budget", b"x-litellm-key-rpm-limit", b"x-litellm-key-tpm-limit")
"""LiteLLM says these too, of what it does not count."""


def shown(levels: Iterable[Level]) -> Headers:
    levels = tuple(levels)
    found: dict[bytes, bytes] = {}
    for what in ("requests", "tokens"):
        level = tightest(levels, what)
        if level is not None:
            limit, remaining, reset = _TIGHTEST[what]
            found[limit] = b"%d" % level.meter.limit
            found[remaining] = b"%d" % level.left
            found[reset] = duration(level.resets).encode() if level.resets else b"0ms"
    for level in levels:
        meter = level.meter
        if meter.what == "money":
            if meter.shown == "key":
                found[b"x-litellm-key-max-budget"] = str(money.dollars(meter.limit)).encode()
                found[b"x-litellm-key-spend"] = str(money.dollars(level.used - level.reserved)).encode()
            continue
        limits, remaining = _names(meter.shown, meter.what)
        for name in limits:
            found[name] = b"%d" % meter.limit
        found[remaining] = b"%d" % level.left
    return list(found.items())


@lru_cache(256)
def _names(shown: str, what: What) -> tuple[tuple[bytes, ...], bytes]:
    """Of the headers that say a limit, and of the one that says what is left."""
    begin, kind = f"x-ratelimit-{_SHOWN.get(shown, shown)}", LIMIT_TYPE[what]
    limits = [f"{begin}-limit-{kind}"]
    if shown == "key" and what != "parallel":
        limits.append(f"x-litellm-key-{'rpm' if what == 'requests' else 'tpm'}-limit")
    return tuple(name.encode() for name in limits), f"{begin}-remaining-{kind}".encode()


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
