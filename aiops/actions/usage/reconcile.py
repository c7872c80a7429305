"""``aiops usage reconcile``: the ledger beside a provider's bill, by day and model."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, func, select

from aiops.actions.instance.database import engine
from aiops.actions.instance.table import columns
from aiops.errors import InvalidState, Problem, UsageError
from aiops.host import files
from aiops.host.instance import Instance
from aiops.state import money
from aiops.state.store.open import reading
from aiops.state.store.tables import usage

MOST_BYTES = 64 * 1024 * 1024
_DAY_MICROSECONDS = 86_400 * 1_000_000
_BEGAN = date(1970, 1, 1)

# What providers call the columns of their exports.
NAMES: Mapping[str, tuple[str, ...]] = {
    "day": ("day", "date", "start_date", "usage_date", "usage_date_utc", "start_time_iso", "start_time"),
    "model": ("model", "snapshot_id", "model_version", "line_item", "model_name"),
    "cost": ("cost", "cost_usd", "amount_value", "amount", "total_cost", "spend"),
}


@dataclass(frozen=True)
class Line:
    """Nano-dollars of one model on one day, as billed and as the ledger has it. ``unpriced``: requests in the ledger
    of which it knows no price."""

    day: date
    model: str
    billed: int
    ledger: int
    unpriced: int

    @property
    def difference(self) -> int:
        return self.billed - self.ledger


@dataclass(frozen=True)
class Reconciled:
    """``tolerance``: of what was billed, until it counts as different."""

    lines_: Sequence[Line]
    tolerance: float

    @property
    def ok(self) -> bool:
        return not self.different

    @property
    def different(self) -> list[Line]:
        return [line for line in self.lines_ if abs(line.difference) > self.tolerance * max(line.billed, line.ledger)]

    @property
    def summary(self) -> str:
        billed, ledger = sum(each.billed for each in self.lines_), sum(each.ledger for each in self.lines_)
        said = f"billed {money.shown(billed)}, ledger {money.shown(ledger)}, difference {money.shown(billed - ledger)}"
        if self.ok:
            return f"{said}: they agree within {self.tolerance:.1%}"
        return f"{said}: {len(self.different)} of {len(self.lines_)} lines differ by more than {self.tolerance:.1%}"

    def lines(self) -> Iterator[str]:
        yield from columns(
            [
                {
                    "day": str(each.day),
                    "model": each.model,
                    "billed": money.shown(each.billed),
                    "ledger": money.shown(each.ledger),
                    "difference": money.shown(each.difference),
                    "unpriced": each.unpriced,
                }
                for each in self.lines_
            ]
        )

    def to_json(self) -> dict[str, Any]:
        return {
            "ok": self.ok,
            "lines": [
                {
                    "day": str(each.day),
                    "model": each.model,
                    "billed": money.dollars(each.billed),
                    "ledger": money.dollars(each.ledger),
                    "difference": money.dollars(each.difference),
                    "unpriced": each.unpriced,
                }
                for each in self.lines_
            ],
        }


def reconcile(instance: Instance, path: Path, provider: str | None, tolerance: float) -> Reconciled:
    """``path``: CSV with a heading, or JSON; a day, a model and dollars in each row. Raises UsageError when it is no
    such file, InvalidState with every row that is wrong."""
    billed = _bill(path)
    first, last = min(day for day, _ in billed), max(day for day, _ in billed)
    with engine(instance) as database, reading(database) as connection:
        ledger = _ledger(connection, first, last, provider)
    lines = [
        Line(day, model, billed.get((day, model), 0), *ledger.get((day, model), (0, 0)))
        for day, model in sorted({*billed, *ledger})
    ]
    return Reconciled(lines, tolerance)


def _bill(path: Path) -> dict[tuple[date, str], int]:
    found: dict[tuple[date, str], int] = {}
    problems: list[Problem] = []
    for number, row in _rows(path):
        try:
            key = _day(_cell(row, "day")), _cell(row, "model").strip()
            found[key] = found.get(key, 0) + money.nano(_cell(row, "cost").strip().lstrip("$"))
        except ValueError as error:
            problems.append(Problem(str(path), number, str(error)))
    if problems:
        raise InvalidState(problems)
    if not found:
        raise UsageError(f"{path} has no rows", "export the provider's costs by day and model as CSV")
    return found


def _rows(path: Path) -> Iterable[tuple[int, Mapping[str, Any]]]:
    with files.explained(path, "read"):
        if path.stat().st_size > MOST_BYTES:
            raise UsageError(f"{path} has more than {MOST_BYTES >> 20} MiB", "export fewer days")
        content = path.read_bytes()
    try:
        text = content.decode("utf-8-sig")
        if text.lstrip().startswith(("{", "[")):
            data = json.loads(text)
            rows = data.get("data", data.get("rows")) if isinstance(data, dict) else data
            return [*enumerate((row for row in rows or [] if isinstance(row, dict)), 1)]
        return [*enumerate(csv.DictReader(text.splitlines()), 2)]
    except (ValueError, csv.Error) as error:
        raise UsageError(f"{path} is neither CSV nor JSON: {error}") from None


def _cell(row: Mapping[str, Any], what: str) -> str:
    named = {re.sub(r"\W+", "_", str(name).strip().lower()).strip("_"): value for name, value in row.items() if name}
    for name in NAMES[what]:
        value = named.get(name)
        if value not in (None, ""):
            return str(value["value"] if isinstance(value, dict) and "value" in value else value)
    raise ValueError(f"there is no {what}: a column `{'`, `'.join(NAMES[what][:3])}` was looked for")


def _day(said: str) -> date:
    if re.fullmatch(r"\d{9,11}(\.\d+)?", said):
        return datetime.fromtimestamp(float(said), UTC).date()
    try:
        return date.fromisoformat(said.strip()[:10])
    except ValueError:
        raise ValueError(f"`{said[:40]}` is no day such as 2026-11-27") from None


def _ledger(
    connection: Connection, first: date, last: date, provider: str | None
) -> dict[tuple[date, str], tuple[int, int]]:
    """Cost, and requests without one, by day and by what the provider was asked for."""
    day = (usage.c.started // _DAY_MICROSECONDS).label("day")
    begins, ends = ((each - _BEGAN).days * _DAY_MICROSECONDS for each in (first, last + timedelta(days=1)))
    statement = select(
        day, usage.c.served, func.coalesce(func.sum(usage.c.cost), 0), func.count() - func.count(usage.c.cost)
    ).where(usage.c.started >= begins, usage.c.started < ends)
    if provider is not None:
        statement = statement.where(usage.c.provider == provider)
    found = connection.execute(statement.group_by(day, usage.c.served))
    return {(_BEGAN + timedelta(days=int(row[0])), row[1]): (int(row[2]), int(row[3])) for row in found}
