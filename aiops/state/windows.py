"""When a budget begins anew. PURE: the time is an argument, seconds since 1970 UTC.

Durations are LiteLLM's: ``30s 5m 2h 1d 1w 1mo``. Windows snap to the calendar, as LiteLLM's reset does: days begin at
midnight, 7 days (a week) on Monday, 30 days and months on the first, hours on the hour; other numbers of a unit count
from 1970. A window is named by when it began, and so is its counter: one that is over is never asked again.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 7 * 86_400}
_DURATION = re.compile(r"([1-9][0-9]{0,5})(mo|[smhdw])")
_MONDAY = 4 * 86_400  # 1970-01-05


@dataclass(frozen=True)
class Window:
    """From ``begins`` until before ``ends``, seconds since 1970; ``ends`` is None for what never begins anew."""

    begins: int
    ends: int | None

    def left(self, now: float) -> float | None:
        """Seconds until the next one."""
        return None if self.ends is None else max(0.0, self.ends - now)


WHOLE_LIFE = Window(0, None)


def check(duration: str) -> None:
    """Raises ValueError for what is no duration."""
    if not _DURATION.fullmatch(duration):
        raise ValueError(f"`{duration}` is no duration: write a number and s, m, h, d, w or mo, such as 30d")


def seconds(duration: str) -> int:
    """Of a lifetime or a grace period; a month is 30 days. Raises ValueError."""
    check(duration)
    number, unit = _DURATION.fullmatch(duration).groups()  # type: ignore[union-attr]
    return int(number) * (30 * _UNITS["d"] if unit == "mo" else _UNITS[unit])


def window(duration: str | None, now: float, zone: tzinfo = UTC) -> Window:
    """The one that ``now`` is in. ``zone``: whose midnight counts. Raises ValueError."""
    if duration is None:
        return WHOLE_LIFE
    check(duration)
    number, unit = _DURATION.fullmatch(duration).groups()  # type: ignore[union-attr]
    count = int(number)
    if unit == "mo" or (unit == "d" and count == 30):
        return _months(count if unit == "mo" else 1, now, zone)
    if unit == "d" and count == 7:
        count, unit = 1, "w"
    length = count * _UNITS[unit]
    shift = int((datetime.fromtimestamp(now, zone).utcoffset() or UTC.utcoffset(None)).total_seconds())
    origin = (_MONDAY if unit == "w" else 0) - shift
    begins = int((now - origin) // length) * length + origin
    return Window(begins, begins + length)


def _months(count: int, now: float, zone: tzinfo) -> Window:
    today = datetime.fromtimestamp(now, zone)
    first = (today.year * 12 + today.month - 1) // count * count
    begins, ends = (
        datetime(month // 12, month % 12 + 1, 1, tzinfo=zone) for month in (first, first + count)
    )  # fmt: skip
    return Window(int(begins.timestamp()), int(ends.timestamp()))
