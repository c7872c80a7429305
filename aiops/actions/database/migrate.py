"""``aiops database migrate``: bring the tables to the schema of this aiops, or to an older one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from aiops.actions.change.terms import Terms
from aiops.actions.instance.asking import Stopwatch, ask, asks
from aiops.actions.instance.database import engine, named, where
from aiops.errors import UsageError
from aiops.host.instance import Instance
from aiops.output import Output
from aiops.state.store import schema


@dataclass(frozen=True)
class Migrated:
    """``before`` and ``after``: schemas, 0 for no tables."""

    outcome: str
    where: str
    before: int
    after: int

    @property
    def sentence(self) -> str:
        if self.outcome == "unchanged":
            return f"no change: {self.where} is of schema {self.after} already"
        return f"{self.where}: schema {self.before} -> {self.after}"

    def to_json(self) -> dict[str, Any]:
        return {"outcome": self.outcome, "database": self.where, "before": self.before, "after": self.after}


def migrate(instance: Instance, to: int | None, terms: Terms, out: Output) -> Migrated:
    """All of it or nothing. Raises WrongSchema when the tables are newer than this aiops knows, UsageError."""
    target = schema.OURS if to is None else to
    if not 0 < target <= schema.OURS:
        raise UsageError(f"there is no schema {target}", f"this aiops knows 1 to {schema.OURS}")
    with engine(instance, check=False) as database:
        state = schema.schema_state(database)
        before = state.revision if isinstance(state, schema.Behind | schema.Ahead) else schema.OURS
        place = named(where(instance))
        if before == target:
            return Migrated("unchanged", place, before, target)
        out.say(f"~ {place}: schema {before} -> {target}")
        if terms.dry_run:
            return Migrated("planned", place, before, target)
        if asks(out, terms.assume_yes):
            ask(out, Stopwatch())
        schema.migrate(database, to)
        after = schema.schema_state(database)
        return Migrated("applied", place, before, after.revision if not isinstance(after, schema.Ok) else schema.OURS)
