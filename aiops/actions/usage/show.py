"""``aiops usage``: what was used and what it cost, out of the sums by day."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

from sqlalchemy import Connection, select

from aiops.actions.instance import which
from aiops.actions.instance.database import engine
from aiops.actions.instance.table import columns
from aiops.errors import UsageError
from aiops.host.instance import Instance
from aiops.state import money, windows
from aiops.state.store import clock, usage
from aiops.state.store.open import reading
from aiops.state.store.tables import keys
from aiops.state.store.tables import teams as stored_teams
from aiops.state.store.usage import Dimension, Filter, Group

DIMENSIONS: tuple[Dimension, ...] = ("day", "key", "team", "user", "model", "provider", "tag")
MASTER, NOBODY = "(master key)", "(none)"
BAR = 40  # characters of the longest bar


@dataclass(frozen=True, kw_only=True)
class Asked:
    """``by``: in which order. ``since``: a day, or a duration such as 7d; ``until``: a day, which is included."""

    by: tuple[Dimension, ...]
    since: str
    until: str | None = None
    key: str | None = None
    team: str | None = None
    user: str | None = None
    model: str | None = None
    provider: str | None = None
    tag: str | None = None


@dataclass(frozen=True)
class Used:
    """``names``: how ids of keys and teams are shown. ``first`` and ``last``: the days it is of."""

    by: Sequence[Dimension]
    groups: Sequence[Group]
    names: dict[str, str]
    first: date
    last: date

    def lines(self) -> Iterator[str]:
        yield from columns(self._rows()) if self.groups else ["nothing was used"]
        cost, requests = sum(each.cost for each in self.groups), sum(each.requests for each in self.groups)
        yield f"{self.first} to {self.last}: {requests:,} requests, {money.shown(cost)}"
        yield from self._doubts()

    def csv(self) -> Iterator[str]:
        """A heading and a line for each group; money in dollars, to the nano-dollar."""
        written = io.StringIO()
        writer = csv.writer(written, lineterminator="\n")
        numbers = ("requests", "failed", "estimated", "unpriced", "prompt_tokens", "completion_tokens", "cached_tokens")
        writer.writerow([*self.by, *numbers, "cost_usd"])
        for each in self.groups:
            counts = asdict(each)
            dollars = f"{each.cost // money.NANO}.{each.cost % money.NANO:09d}"
            writer.writerow([*self._labels(each), *(counts[name] for name in numbers), dollars])
        yield from written.getvalue().splitlines()

    def plot(self) -> Iterator[str]:
        """A bar for each group: of what it cost, or of its requests where nothing costs anything."""
        costs = any(each.cost for each in self.groups)
        values = [each.cost if costs else each.requests for each in self.groups]
        labels = ["  ".join(self._labels(each)) for each in self.groups]
        width, most = max(map(len, labels), default=0), max(values, default=0)
        for label, value in zip(labels, values, strict=True):
            eighths = round(8 * BAR * value / most) if most else 0
            bar = "█" * (eighths // 8) + " ▏▎▍▌▋▊▉"[eighths % 8].strip()
            yield f"{label:<{width}}  {bar} {money.shown(value) if costs else f'{value:,}'}"
        if not values:
            yield "nothing was used"

    def to_json(self) -> dict[str, Any]:
        return {
            "since": str(self.first),
            "until": str(self.last),
            "usage": [
                {
                    **dict(zip(self.by, self._labels(each), strict=True)),
                    **{name: value for name, value in asdict(each).items() if name not in ("of", "cost")},
                    "cost": money.dollars(each.cost),
                }
                for each in self.groups
            ],
        }

    def _rows(self) -> list[dict[str, Any]]:
        return [
            {
                **dict(zip(self.by, self._labels(each), strict=True)),
                "requests": each.requests,
                "failed": each.failed,
                "tokens in": each.prompt_tokens,
                "tokens out": each.completion_tokens,
                "cost": money.shown(each.cost),
            }
            for each in self.groups
        ]

    def _labels(self, group: Group) -> list[str]:
        found = []
        for dimension, value in zip(self.by, group.of, strict=True):
            nobody = MASTER if dimension == "key" else NOBODY
            found.append(self.names.get(value, value) or nobody)
        return found

    def _doubts(self) -> Iterator[str]:
        unpriced, estimated = sum(each.unpriced for each in self.groups), sum(each.estimated for each in self.groups)
        if unpriced:
            yield f"of {unpriced:,} of them nobody knows the price: they are not in it"
        if estimated:
            yield f"of {estimated:,} of them the provider told no tokens: they are reckoned"


def show(instance: Instance, asked: Asked) -> Used:
    """Raises UsageError, and Unknown for a key or team that is none."""
    with engine(instance) as database, reading(database) as connection:
        today = datetime.fromtimestamp(clock.read(connection) / clock.SECOND, UTC).date()
        first, last = _since(asked.since, today), _day("--until", asked.until) if asked.until else today
        where = Filter(
            since=first,
            until=last + timedelta(days=1),
            key=which.key(connection, asked.key).id if asked.key else None,
            team=which.team(connection, asked.team).id if asked.team else None,
            user=asked.user,
            model=asked.model,
            provider=asked.provider,
            tag=asked.tag,
        )
        try:
            groups = usage.by(connection, asked.by, where)
        except ValueError as error:
            raise UsageError(str(error)) from None
        names = _names(connection, asked.by, groups)
        if asked.by == ("key",):
            groups = sorted(groups, key=lambda each: (-each.cost, names.get(each.of[0], each.of[0])))
        return Used(asked.by, groups, names, first, last)


def _names(connection: Connection, by: Sequence[Dimension], groups: Sequence[Group]) -> dict[str, str]:
    """Of keys and teams, by their ids."""
    found: dict[str, str] = {}
    for dimension, table, name in (("key", keys, keys.c.name), ("team", stored_teams, stored_teams.c.id)):
        if dimension in by:
            at = [*by].index(dimension)  # type: ignore[arg-type]
            ids = sorted({group.of[at] for group in groups if group.of[at]})
            for start in range(0, len(ids), 500):
                some = select(table.c.id, table.c.alias, name).where(table.c.id.in_(ids[start : start + 500]))
                found |= {row[0]: row[1] or row[2] for row in connection.execute(some)}
    return found


def _since(said: str, today: date) -> date:
    if re.fullmatch(r"\d{4}-\d{2}-\d{2}", said):
        return _day("--since", said)
    try:
        days = -(-windows.seconds(said) // 86_400)
    except ValueError:
        raise UsageError(f"--since {said} is neither a day nor a duration", "2026-11-01, or 7d, 4w, 3mo") from None
    return today - timedelta(days=days - 1)


def _day(option: str, said: str) -> date:
    try:
        return date.fromisoformat(said)
    except ValueError:
        raise UsageError(f"{option} {said} is no day", "write it as 2026-11-27") from None
