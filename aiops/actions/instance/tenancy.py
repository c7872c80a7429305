"""``keys.yaml`` and the rows that it is about: what a change does to them, and what somebody changed by hand.

An instance whose files and generation have no ``keys.yaml`` never gets here: nothing of its database is opened.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from aiops.actions.instance.database import engine
from aiops.actions.instance.snapshot import Snapshot
from aiops.errors import InvalidState, Problem
from aiops.host import clock, files
from aiops.host.instance import Instance
from aiops.plan.diff import Change
from aiops.spec.load.tenancy import plain, read
from aiops.spec.shapes.model import DesiredState
from aiops.spec.shapes.tenancy import Tenancy
from aiops.spec.sources import KEYS
from aiops.state import tokens
from aiops.state.administration import words
from aiops.state.administration.declared import record
from aiops.state.administration.declared.compare import Step, compare
from aiops.state.administration.declared.converge import converge, take_back
from aiops.state.administration.declared.entry import ROWS, Declaration, Entry
from aiops.state.administration.journal import Actor
from aiops.state.administration.request import Invalid
from aiops.state.replica import replica
from aiops.state.store import keys
from aiops.state.store.open import reading, transact

KIND = {"budgets": "budget", "teams": "team", "users": "user", "keys": "key"}
SOURCE = "command line"


@dataclass(frozen=True)
class Rows:
    """What a change does to teams, users, budgets and keys. ``made``: where the secrets of new keys were put."""

    instance: Instance
    declaration: Declaration
    changes: tuple[Change, ...]
    reason: str = ""
    made: list[Path] = field(default_factory=list)

    def write(self, generation: int) -> None:
        """All of it, or nothing. Raises AiopsError and OSError."""
        by = Actor(clock.who(), SOURCE, self.reason)
        with engine(self.instance) as database:
            change = _change_of(self.instance, generation)
            transact(database, lambda connection: converge(connection, self.declaration, change, by, self._keep))

    def take_back(self, generation: int) -> None:
        """The rows as they were. Raises AiopsError and OSError."""
        take_back_rows(
            self.instance, generation, [each.name for each in self.declaration.entries if each.kind == "key"]
        )

    def _keep(self, alias: str, secret: str) -> None:
        path = secret_file(self.instance, alias)
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        path.unlink(missing_ok=True)  # a file that is there would keep its mode
        files.write(path, f"{secret}\n".encode(), 0o600)
        self.made.append(path)


def secret_file(instance: Instance, alias: str) -> Path:
    """Where the secret of a key is put that `apply` makes."""
    return instance.secrets / "keys" / alias


def plan_rows(now: Snapshot, after: Mapping[str, bytes], state: DesiredState, reason: str) -> Rows:
    """What has to change. ``after``: the sources that lead there. Raises InvalidState, and AiopsError for a database
    that does not answer."""
    wanted = declaration(state.tenancy, state)
    served = _served(now)
    with engine(now.instance) as database, reading(database) as connection:
        steps = compare(connection, wanted)
        by_hand = {(each.kind, each.name) for each in compare(connection, served) if each.entry and each.values}
        applied = set(record.read(connection).managed)
    same = {each.place for each in wanted.entries if each in served.entries} & applied
    changes = tuple(
        _change(now.instance, step, f"{step.kind}/{step.name}" in same and (step.kind, step.name) in by_hand)
        for step in steps
    )
    return Rows(now.instance, wanted, changes, reason)


def drift_of_rows(now: Snapshot) -> list[str]:
    """What somebody changed by hand of what the committed generation declares, in sentences. Raises AiopsError."""
    with engine(now.instance) as database, reading(database) as connection:
        steps = [step for step in compare(connection, _served(now)) if step.values or step.row is None]
    put_back = f"`{now.instance.command} plan` shows it, `apply` puts it back"
    return [
        f"{step.kind} {step.name} is not as in {KEYS} ({', '.join(step.values) if step.row else 'gone'}): {put_back}"
        for step in steps
    ]


def take_back_rows(instance: Instance, generation: int, aliases: Sequence[str]) -> None:
    """What was done for a change that did not go live, with the secrets of keys that it made. Raises AiopsError."""
    by = Actor(clock.who(), SOURCE, f"generation {generation} did not go live")
    with engine(instance) as database:
        transact(database, lambda connection: take_back(connection, _change_of(instance, generation), by))
        with reading(database) as connection:
            for path in (secret_file(instance, alias) for alias in aliases):
                secret = (files.read(path) or b"").decode(errors="replace").strip()
                row = keys.get_by_hash(connection, tokens.hashed(secret))
                if secret.startswith(tokens.PREFIX) and (row is None or row.revoked_at is not None):
                    path.unlink(missing_ok=True)


def settle(instance: Instance, generation: int) -> None:
    """The same for one that was interrupted: all that is known is its number."""
    sources = instance.state / "generations" / f"{generation:06d}" / "sources" / KEYS
    aliases: list[str] = []
    with suppress(OSError, InvalidState):
        aliases = [*read(sources.read_bytes()).keys]
    take_back_rows(instance, generation, aliases)


def declaration(tenancy: Tenancy | None, state: DesiredState | None = None) -> Declaration:
    """Of one file. Raises InvalidState with every problem; ``state`` knows the lines."""
    entries, problems = [], []
    for section, name, spec in (tenancy or Tenancy()).entries():
        try:
            entries.append(Entry.of(KIND[section], name, plain(spec)))  # type: ignore[arg-type]
        except Invalid as invalid:
            for each in invalid.problems:
                line = state.line(KEYS, (section, name, each.field)) if state is not None else 0
                problems.append(Problem(KEYS, line, f"`{section}.{name}.{each.field}` {each.what}"))
    if problems:
        raise InvalidState(problems, "nothing was changed")
    return Declaration(tuple(entries), tenancy is not None and tenancy.prune)


def _served(now: Snapshot) -> Declaration:
    """As the committed generation has it."""
    content = now.committed.sources().get(KEYS) if now.committed is not None else None
    return declaration(read(content)) if content is not None else Declaration()


def _change_of(instance: Instance, generation: int) -> str:
    """Gateways that share a database count their generations each for itself."""
    return f"{replica(instance.state)}/{generation}"


def _change(instance: Instance, step: Step, by_hand: bool) -> Change:
    why = [step.why] if step.why else []
    if step.row is None:
        if step.entry is None:
            return Change("-", step.kind, step.name, step.why)
        called: dict[str, Any] = {"id": step.name} | ({"name": ""} if step.kind == "key" else {})
        said = words.may(ROWS[step.kind](**called, **step.values))
        where = [f"its secret will be in {secret_file(instance, step.name)}"] if step.kind == "key" else []
        return Change("+", step.kind, step.name, "; ".join([f"new, {said}", *where]))
    lines = words.difference(step.row, replace(step.row, **step.values))
    told = [line.removeprefix("~ ").replace(": ", " ", 1) for line in lines]
    hand = ["changed by hand since"] if by_hand else []
    return Change("-" if step.entry is None else "~", step.kind, step.name, "; ".join([*told, *hand, *why]))
