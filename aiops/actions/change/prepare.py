"""A change thought through: what it starts from, what it leads to, and the plan. Nothing is touched."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import aiops
from aiops.actions.change import runtime as runtime_choice
from aiops.actions.change.runtime import Choice
from aiops.actions.change.terms import Terms
from aiops.apply.store import GenerationStore
from aiops.errors import InvalidState, Precondition
from aiops.host import credentials
from aiops.host.instance import GENERATED, Instance, read_sources
from aiops.plan.plan import Plan, make_plan
from aiops.render.release import render
from aiops.spec.edit.edit import Edit
from aiops.spec.load.load import load
from aiops.spec.routes.resolve import RouteTable, resolve
from aiops.spec.shapes.model import DesiredState
from aiops.spec.sources import Sources


@dataclass(frozen=True)
class Intent:
    """What a verb wants. ``edit`` changes the sources; ``restore`` takes them from an older generation instead."""

    verb: str
    reason: str = ""
    edit: Callable[[Sources], Edit] | None = None
    restore: int | None = None
    expect: str | None = None  # the digest of the plan that was agreed to
    dry_run: bool = False
    force: bool = False
    assume_yes: bool = False
    prove_all: bool = False
    runtime: str | None = None  # to be run in from now on; None: as before, or as the generation gone back to

    @classmethod
    def of(
        cls,
        verb: str,
        terms: Terms,
        edit: Callable[[Sources], Edit] | None = None,
        *,
        restore: int | None = None,
        expect: str | None = None,
    ) -> Intent:
        """What ``verb`` wants, on these terms."""
        return cls(
            verb,
            terms.reason,
            edit,
            restore,
            expect,
            dry_run=terms.dry_run,
            force=terms.force,
            assume_yes=terms.assume_yes,
        )


@dataclass(frozen=True)
class Prepared:
    """A change that is fully thought through and not begun: what it starts from and what it leads to."""

    before: Sources
    after: Sources
    state: DesiredState
    table: RouteTable
    release: dict[str, bytes]
    plan: Plan
    notes: tuple[str, ...]
    runtime: Choice


def prepare(instance: Instance, intent: Intent) -> Prepared:
    """Everything up to the plan; nothing is touched. Raises InvalidState with every problem, UsageError."""
    generations = GenerationStore(instance.state)
    base = generations.current()
    before = read_sources(instance)
    notes: tuple[str, ...] = ()
    if intent.restore is not None:
        after: Sources = generations.get(intent.restore).sources()
    elif intent.edit is not None:
        edit = intent.edit(before)
        after, notes = edit.sources, edit.notes
    else:
        after = before
    state = _loaded(instance, intent, before, after)
    credentials.require_mounted(instance, state)
    table = resolve(state)
    release = render(state, table, aiops_version=aiops.__version__)
    if intent.restore is not None:
        # The very bytes that served, not what this version of aiops would make of the same sources.
        release = generations.get(intent.restore).release()
        if GENERATED not in release:
            raise Precondition(
                f"generation {intent.restore} is damaged: it has no {GENERATED}", "`aiops history` lists the others"
            )
    old = generations.get(base).routes() if base is not None else None
    plan = make_plan(base, old, state, table, release)
    runtime = runtime_choice.choose(instance, intent.runtime, intent.restore, base, state)
    return Prepared(before, after, state, table, release, plan, notes, runtime)


def _loaded(instance: Instance, intent: Intent, before: Sources, after: Sources) -> DesiredState:
    environment = credentials.environment(instance)
    try:
        return load(after, environment)
    except InvalidState as invalid:
        if intent.edit is None or after == before:
            raise
        load(before, environment)  # what was wrong before this command is said in terms of the files as they are
        hint = "nothing was changed; the lines are those the files would have had"
        raise InvalidState(invalid.problems, hint) from invalid


def is_same(instance: Instance, prepared: Prepared) -> bool:
    """Whether the gateway serves this already; comments and the order of files do not count."""
    base = prepared.plan.base_generation
    if base is None or prepared.runtime.changes:
        return False
    serving = GenerationStore(instance.state).get(base).release()
    return {name: _meaning(content) for name, content in serving.items()} == {
        name: _meaning(content) for name, content in prepared.release.items()
    }


def _meaning(content: bytes) -> bytes:
    """A rendered file without its head, which names the sources to the byte."""
    return b"".join(line for line in content.splitlines(keepends=True) if not line.startswith(b"#"))
