"""A plan: exactly what will be done, with a digest that stands for it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from aiops.plan.diff import Change, Diff, diff
from aiops.render.release import digest
from aiops.spec.routes.routes import RouteTable, Unrouted
from aiops.spec.routes.summary import Summary, summarise
from aiops.spec.shapes.model import DesiredState
from aiops.spec.sources import KEYS


@dataclass(frozen=True)
class Pending:
    """Edits by hand that are not live yet, in ``files``: what they change. ``own``: what the verb changes beyond that;
    None when it has nothing of its own. ``lost``: the verb goes back to files that do not have them."""

    files: tuple[str, ...]
    edits: Diff
    own: Diff | None = None
    lost: bool = False

    def lines(self, rows: Sequence[str] = ()) -> Iterator[str]:
        """For people: the two apart from each other. ``rows``: what becomes different for teams and keys."""
        fate = "lost with this" if self.lost else "live with this"
        yield f"edited by hand in {', '.join(self.files)}, not live yet, {fate}:"
        edited = KEYS in self.files
        edits = self.edits.lines()
        if edited and not self.lost:
            edits, rows = [*edits, *rows], ()
        elif edited:  # the rows that it would have changed were never planned
            edits.append(f"what {KEYS} says of teams and keys")
        yield from (f"  {line}" for line in edits or ["nothing that changes what is served"])
        if self.own is not None:
            yield "changed by this verb:"
            yield from (f"  {line}" for line in [*self.own.lines(), *rows] or ["nothing beyond that"])
        else:
            yield from rows

    def to_json(self) -> dict[str, Any]:
        """Plain data for ``--json``."""
        own = self.own.to_json()["changes"] if self.own is not None else []
        return {"files": list(self.files), "changes": self.edits.to_json()["changes"], "own": own, "lost": self.lost}


@dataclass(frozen=True)
class Plan:
    """What changes from ``base_generation`` (None: there is none yet) to the release with this digest.

    ``unrouted``: models that nobody answers then. ``billable_probes``: changed models whose proof costs money.
    ``rows``: what becomes different for teams, users, budgets and keys.
    """

    base_generation: int | None
    fingerprint: str
    release_digest: str
    diff: Diff
    unrouted: tuple[Unrouted, ...] = ()
    billable_probes: tuple[str, ...] = ()
    pending: Pending | None = None
    rows: tuple[Change, ...] = ()

    @property
    def own(self) -> Diff:
        """What changes, apart from edits by hand that were there before."""
        return self.pending.own if self.pending is not None and self.pending.own is not None else self.diff

    @property
    def digest(self) -> str:
        """SHA-256 (hex) over the base generation, the sources, the release and what changes in the database: ``apply
        --plan`` refuses any other."""
        text = f"{self.base_generation}\0{self.fingerprint}\0{self.release_digest}"
        text += "".join(f"\0{change}" for change in self.rows)
        return hashlib.sha256(text.encode()).hexdigest()

    @property
    def newly_unrouted(self) -> tuple[Unrouted, ...]:
        """The models that this very change leaves without a route."""
        named = {change.name for change in self.diff.changes if change.kind == "model" and change.sign == "-"}
        return tuple(item for item in self.unrouted if item.model in named)

    def lines(self) -> list[str]:
        """For people: the changes, then what deserves attention."""
        attention = [f"! {item.model} is not served: {item.reason}" for item in self.newly_unrouted]
        attention += [f"! proving {model} calls a billable provider" for model in self.billable_probes]
        rows = [str(change) for change in self.rows]
        changes = [*self.diff.lines(), *rows] if self.pending is None else self.pending.lines(rows)
        return [*changes, *attention]

    def to_json(self) -> dict[str, Any]:
        """Plain data for ``--json``."""
        return {
            "digest": self.digest,
            "base_generation": self.base_generation,
            "fingerprint": self.fingerprint,
            "release_digest": self.release_digest,
            **self.diff.to_json(),
            **({"rows": [asdict(change) for change in self.rows]} if self.rows else {}),
            "unrouted": [asdict(item) for item in self.unrouted],
            "billable_probes": list(self.billable_probes),
            "pending": self.pending.to_json() if self.pending is not None else None,
        }


def make_plan(
    base_generation: int | None,
    old: tuple[RouteTable, Summary] | None,
    state: DesiredState,
    table: RouteTable,
    release: Mapping[str, bytes],
    pending: Pending | None = None,
    rows: tuple[Change, ...] = (),
) -> Plan:
    """Given the routes of the base generation (``render.routes.read_routes``) and the new release, make the plan."""
    was, summary = old if old is not None else (None, None)
    changes = diff(was, table, summary, summarise(state))
    changed = set(changes.changed_models)
    billable = tuple(route.model for route in table.routes if route.billable and route.model in changed)
    return Plan(base_generation, state.fingerprint, digest(release), changes, table.unrouted, billable, pending, rows)
