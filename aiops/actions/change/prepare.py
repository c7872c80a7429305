"""A change thought through: what it starts from, what it leads to, and the plan. Nothing is touched."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Literal

import aiops
from aiops.actions.change import runtime as runtime_choice
from aiops.actions.change.runtime import Choice
from aiops.actions.change.terms import Terms
from aiops.actions.instance.drift import edited_files
from aiops.actions.instance.snapshot import Snapshot
from aiops.apply.store import Generation, GenerationStore
from aiops.errors import InvalidState, Precondition
from aiops.host import credentials
from aiops.host.instance import GENERATED
from aiops.plan.diff import Diff, diff
from aiops.plan.plan import Pending, Plan, make_plan
from aiops.render import lanes
from aiops.render.gateway import NAME as GATEWAY
from aiops.render.release import render
from aiops.spec.edit.edit import Edit
from aiops.spec.routes.resolve import RouteTable, resolve
from aiops.spec.routes.summary import summarise
from aiops.spec.shapes.model import DesiredState
from aiops.spec.sources import KEYS, Sources
from aiops.verify.check import Check

if TYPE_CHECKING:
    from aiops.actions.instance.tenancy import Rows

Lenient = Literal["", "absent", "all", "nothing"]
"""What may be served unproved: "", what was before and still does not answer; ``absent``, whoever does not answer;
``all``, also what is refused; ``nothing``, not even models of a server that takes long to load them."""


@dataclass(frozen=True)
class Intent:
    """What a verb wants. ``edit`` changes the sources; ``restore`` chooses an older generation to take them from.

    Both are called when the plan is made, and again under the lock if somebody was asked in between.
    """

    verb: str
    reason: str = ""
    edit: Callable[[Sources], Edit] | None = None
    restore: Callable[[GenerationStore], int] | None = None
    expect: str | None = None  # how the digest of the plan begins that is to be carried out, and no other
    agreed: str | None = None  # the ``Prepared.digest`` that somebody at this terminal has seen and agreed to
    dry_run: bool = False
    force: bool = False
    assume_yes: bool = False
    lenient: Lenient = ""
    again: str = ""  # the verb and its arguments, for a hint that repeats them
    only_takes: bool = False  # it can be written down while nothing was ever served: there is nothing to prove
    keeps_names: bool = False  # not a name that is answered may go with what it removes, unless by force
    secrets: Mapping[str, bytes] = field(default_factory=dict)  # files of secrets/ that it brings
    moves: bool = False  # it moves keys and usage to another database, which no other verb does
    landing: Callable[[], list[Check]] | None = None  # the last of the public proofs, right before the commit
    runtime: str | None = None  # to be run in from now on; None: as before, or as the generation gone back to

    @classmethod
    def of(
        cls,
        verb: str,
        terms: Terms,
        edit: Callable[[Sources], Edit] | None = None,
        *,
        restore: Callable[[GenerationStore], int] | None = None,
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
    """A change that is fully thought through and not begun: what it starts from and what it leads to.

    ``now``: the instance that it starts from. ``restores``: the generation it goes back to, if it does.
    ``rows``: what it does to keys and teams, when either of the two has a ``keys.yaml``.
    """

    now: Snapshot
    after: Sources
    state: DesiredState
    table: RouteTable
    release: Mapping[str, bytes]
    plan: Plan
    notes: tuple[str, ...]
    runtime: Choice
    restores: int | None = None
    rows: Rows | None = None

    @property
    def before(self) -> Sources:
        """The operator's files as they are."""
        return self.now.sources

    @cached_property
    def is_same(self) -> bool:
        """Whether the gateway serves this already; comments and the order of files do not count."""
        if self.now.current is None or self.runtime.changes or self.plan.rows:
            return False
        return _meaning(self.now.release) == _meaning(self.release)

    @property
    def moved(self) -> bool:
        """Whether it leads from a database of its own to a shared one, or back."""
        if self.now.current is None or GATEWAY not in self.now.release:
            return False
        return _is_shared(self.now.release) != _is_shared(self.release)

    @property
    def asks(self) -> bool:
        """Whether there is anything to agree to."""
        return not self.is_same

    @property
    def lost(self) -> tuple[str, ...]:
        """The names that are answered and that this change itself takes away, with whatever it removes."""
        answered = self.now.routes[0].models if self.now.routes is not None else ()
        gone = {change.name for change in self.plan.own.changes if change.kind == "model" and change.sign == "-"}
        return tuple(name for name in answered if name in gone)

    @property
    def digest(self) -> str:
        """Stands for all that would be done: the plan, and the runtime that it is done in."""
        return "\0".join((self.plan.digest, *self.runtime.lines))

    @property
    def lines(self) -> tuple[str, ...]:
        """What a person is told before anything is done."""
        return (*self.runtime.lines, *self.plan.lines(), *(f"note: {note}" for note in self.notes))


def prepare(now: Snapshot, intent: Intent) -> Prepared:
    """Everything up to the plan; nothing is touched. Raises InvalidState with every problem, UsageError."""
    notes: tuple[str, ...] = ()
    restored: Generation | None = None
    if intent.restore is not None:
        restored = now.generations.get(intent.restore(now.generations))
        after = restored.sources()
    elif intent.edit is not None:
        edit = intent.edit(now.sources)
        after, notes = edit.sources, edit.notes
    else:
        after = now.sources
    state = _loaded(now, intent, after)
    credentials.require_mounted(now.instance, state)
    table = resolve(state)
    restores = restored.number if restored is not None else None
    if restored is None:
        release: Mapping[str, bytes] = render(state, table, aiops_version=aiops.__version__)
    else:
        # The very bytes that served, not what this version of aiops would make of the same sources.
        release = restored.release()
        if GENERATED not in release:
            raise Precondition(
                f"generation {restores} is damaged: it has no {GENERATED}", "`aiops history` lists the others"
            )
    pending = _pending(now, intent, state, table)
    rows = _rows(now, after, state, intent)
    plan = make_plan(now.current, now.routes, state, table, release, pending, rows.changes if rows is not None else ())
    runtime = runtime_choice.choose(now, intent.runtime, restores, state)
    notes = (*notes, *lanes.news(now.release, release))
    return Prepared(now, after, state, table, release, plan, notes, runtime, restores, rows)


def _rows(now: Snapshot, after: Sources, state: DesiredState, intent: Intent) -> Rows | None:
    """Raises InvalidState, and AiopsError for a database that does not answer."""
    if KEYS not in after and not now.declares_keys:
        return None
    from aiops.actions.instance.tenancy import plan_rows  # what only a gateway with a keys.yaml needs

    return plan_rows(now, after, state, intent.reason)


def _loaded(now: Snapshot, intent: Intent, after: Sources) -> DesiredState:
    try:
        return now.load(after)
    except InvalidState as invalid:
        if intent.edit is None or after == now.sources:
            raise
        now.load(now.sources)  # what was wrong before this command is said in terms of the files as they are
        hint = "nothing was changed; the lines are those the files would have had"
        raise InvalidState(invalid.problems, hint) from invalid


def _pending(now: Snapshot, intent: Intent, state: DesiredState, table: RouteTable) -> Pending | None:
    """What was edited by hand since the committed generation, apart from what the verb does; None for nothing."""
    if now.committed is None or now.routes is None:
        return None
    files = edited_files(now)
    if not files:
        return None
    served, summary = now.routes
    if intent.restore is not None:
        try:
            written = now.load(now.sources)
        except InvalidState:  # they are not what the verb goes back to, and there is nothing to compare
            return Pending(files, Diff(), lost=True)
        edits = diff(served, resolve(written), summary, summarise(written))
        return Pending(files, edits, diff(served, table, summary, summarise(state)), lost=True)
    if intent.edit is None:
        return Pending(files, diff(served, table, summary, summarise(state)))
    try:
        written = now.load(now.sources)
    except InvalidState:
        return None  # the verb is what mends them
    between, kept = resolve(written), summarise(written)
    own = diff(between, table, kept, summarise(state))
    return Pending(files, diff(served, between, summary, kept), own)


def _is_shared(release: Mapping[str, bytes]) -> bool:
    return "deployment" in json.loads(release[GATEWAY])


def _meaning(release: Mapping[str, bytes]) -> dict[str, bytes]:
    """Rendered files without their heads, which name the sources to the byte."""
    return {
        name: b"".join(line for line in content.splitlines(keepends=True) if not line.startswith(b"#"))
        for name, content in release.items()
    }
