"""``aiops list``: providers, models and generations, a line each. Nobody is asked: what was committed last tells."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from aiops.actions.instance.drift import drift
from aiops.actions.instance.snapshot import Snapshot
from aiops.actions.instance.table import Row, columns
from aiops.host.instance import Instance
from aiops.spec.routes.routes import Route, RouteTable
from aiops.spec.routes.summary import Summary

KINDS = ("providers", "models", "generations")


@dataclass(frozen=True)
class Listed:
    """``tables``: what was asked for, kind to rows; the rows of a kind have the same keys. ``notes``: for people."""

    tables: Mapping[str, Sequence[Row]]
    notes: Sequence[str] = field(default=())

    def lines(self) -> Iterator[str]:
        for number, (kind, rows) in enumerate(self.tables.items()):
            if number:
                yield ""
            yield from columns(rows) if rows else [f"no {kind}"]

    def to_json(self) -> dict[str, Any]:
        return {kind: [dict(row) for row in rows] for kind, rows in self.tables.items()}


def list(instance: Instance, kind: str | None) -> Listed:
    """``kind``: one of ``KINDS``; None for all. Before the first generation, what the files say.

    Raises Precondition when there is no instance, InvalidState for files that have to be read and are wrong.
    """
    now = Snapshot.of(instance)
    kinds = KINDS if kind is None else (kind,)
    tables: dict[str, Sequence[Row]] = {}
    if kind != "generations":
        table, summary = now.routes or _from_files(now)
        tables = {"providers": [*_providers(summary)], "models": [*_models(table, summary)]}
    tables["generations"] = [*_generations(now)] if "generations" in kinds else ()
    return Listed({each: tables[each] for each in kinds}, drift(now) if now.current is not None else ())


def _from_files(now: Snapshot) -> tuple[RouteTable, Summary]:
    from aiops.spec.routes.resolve import resolve
    from aiops.spec.routes.summary import summarise

    return resolve(now.desired), summarise(now.desired)


def _providers(summary: Summary) -> Iterator[Row]:
    for name, facts in sorted(summary.providers.items()):
        yield {
            "name": name,
            "type": facts["type"],
            "status": facts["status"],
            "models": facts["models"],
            "address": facts["url"],
        }


def _models(table: RouteTable, summary: Summary) -> Iterator[Row]:
    for route in table.routes:
        yield _model(route.model, route.mode, _answered_by(route), route.fallbacks)
    for gone in table.unrouted:
        yield _model(gone.model, "–", f"nobody: {gone.reason}", ())
    for name, leads_to in summary.rules:
        yield _model(name, "rule", leads_to, ())


def _model(name: str, mode: str, answered_by: str, fallbacks: tuple[str, ...]) -> Row:
    return {"name": name, "mode": mode, "answered_by": answered_by, "fallbacks": fallbacks}


def _answered_by(route: Route) -> str:
    if not route.members:
        instead = f" (for {route.substitute_for})" if route.substitute_for else ""
        return f"{route.provider}/{route.backend_model}{instead}"
    members = (f"{each.provider}/{each.model or route.model}" for each in route.members)
    return " + ".join(members) + (f" ({route.strategy})" if route.strategy else "")


def _generations(now: Snapshot) -> Iterator[Row]:
    for each in reversed(now.generations.all()):
        made = each.manifest
        yield {
            "serves": each.number == now.current,
            "number": each.number,
            "made": f"{made.created[:19]}Z",
            "outcome": each.outcome.outcome if each.outcome else "unfinished",
            "verb": made.verb,
            "by": made.who,
            "reason": made.reason,
        }
