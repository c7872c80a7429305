"""``aiops switch OLD NEW``: two providers of which only one can run at a time change places, and no user gets an error.

disable  OLD's models go to their fallbacks, proved like any change
drain    requests that are still with OLD finish
stop     OLD's unit
start    NEW's unit
serve    it is healthy and has its models
enable   NEW's models are served, proved like any change

Whatever fails: NEW is stopped, OLD started and waited for, and the files and routes are what they were. What is
needed for that is written down first, so that a switch whose command was killed can be finished or taken back.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from aiops.actions.change.make import make_held
from aiops.actions.change.prepare import Intent, Prepared, prepare
from aiops.actions.change.result import ChangeFailed, Result
from aiops.actions.instance.asking import Stopwatch
from aiops.actions.instance.held import agreed, tell
from aiops.actions.instance.snapshot import Snapshot
from aiops.actions.provider import managed
from aiops.actions.provider.managed import Managed
from aiops.actions.provider.patience import SERVE_SECONDS
from aiops.actions.provider.wait import wait_until_drained, wait_until_serving
from aiops.apply import switching
from aiops.apply.step import step
from aiops.errors import (
    AiopsError,
    Interrupted,
    Precondition,
    RollbackFailed,
    RolledBack,
    UsageError,
    VerificationFailed,
)
from aiops.host import clock
from aiops.host.files import explained
from aiops.host.instance import Instance
from aiops.host.signals import brought_to_an_end
from aiops.output import Output
from aiops.spec.edit import edit
from aiops.spec.edit.edit import Edit
from aiops.spec.sources import Sources

Failure = (AiopsError, OSError, KeyboardInterrupt)


@dataclass(frozen=True)
class SwitchIntent:
    """What is wanted. ``drain`` None: as long as ``gateway.drain_seconds`` allows; ``limit``: seconds to load."""

    old: str
    new: str
    reason: str = ""
    drain: float | None = None
    limit: float = SERVE_SECONDS
    dry_run: bool = False
    force: bool = False
    assume_yes: bool = False


def switch(instance: Instance, intent: SwitchIntent, out: Output) -> Result:
    """Carry it out. Raises ChangeFailed once it had begun, AiopsError before that."""
    watch = Stopwatch()

    def propose() -> _Switch:
        return _Switch(Snapshot.of(instance), intent, out, watch)

    if intent.dry_run:
        planned = propose()
        tell(planned, out)
        return planned.rehearse()
    with (
        agreed(instance, "switch", out, propose, assume_yes=intent.assume_yes, watch=watch) as now,
        brought_to_an_end(),
    ):
        return now.run()


class _Switch:
    def __init__(self, now: Snapshot, intent: SwitchIntent, out: Output, watch: Stopwatch) -> None:
        """Look at everything, change nothing. Raises UsageError, Precondition, InvalidState."""
        instance = now.instance
        self._now, self._instance, self._intent, self._out, self._watch = now, instance, intent, out, watch
        self._drain = now.desired.gateway.drain_seconds if intent.drain is None else intent.drain
        for name in (intent.old, intent.new):
            managed.known(now.desired, name)
        self._old = managed.managed(now, intent.old)
        self._new = managed.managed(now, intent.new)
        if intent.old == intent.new or self._old.provider.service == self._new.provider.service:
            raise UsageError(f"`{intent.old}` and `{intent.new}` are run by one unit", "`aiops apply` makes edits live")
        self._old.unit.require()
        self._new.unit.require()
        managed.require_room(now, self._new, leaving=intent.old)
        if now.master is None:
            raise Precondition("the gateway is not running", f"`{instance.command} up` starts it")
        self._without = self._prepared(self._disabled)
        self._after = self._prepared(self._switched)
        left = switching.read(instance.state)
        self._resumed = left is not None and (left[0].old, left[0].new) == (intent.old, intent.new)
        self._runs = (self._old.unit.now().runs, self._new.unit.now().runs)
        if left is not None and self._resumed:
            self._record, self._before = left
        else:
            self._record = switching.Record(intent.old, intent.new, clock.who(), clock.now(), *self._runs)
            self._before = now.sources
        self._result = Result("planned", None, self._after.plan.base_generation, self._after.plan)
        self._result.notes += self._after.notes
        if not intent.dry_run and self.asks:
            self._require_answers()

    def rehearse(self) -> Result:
        """What there is to say of it, nothing done."""
        if self.asks:
            self._out.say("dry run: nothing was changed")
            return self._result
        return self._unchanged()

    def run(self) -> Result:
        """Carry it out; the lock is held. Raises ChangeFailed."""
        if not self.asks:
            switching.end(self._instance.state)
            return self._unchanged()
        with explained(self._instance.state, "write below"):
            switching.begin(self._instance.state, self._record, self._before)
        try:
            self._forward()
        except Failure as error:
            self._undo(error)
        self._boot()
        switching.end(self._instance.state)
        self._result.outcome = "applied"
        self._result.seconds = self._watch.seconds
        return self._result

    def _unchanged(self) -> Result:
        self._result.outcome, self._result.generation = "unchanged", self._after.plan.base_generation
        return self._result

    # --- before anything is touched ---------------------------------------------------------------------------

    @property
    def asks(self) -> bool:
        """False when OLD does not run, NEW does, and the gateway serves just that."""
        placed = self._runs == (False, True)
        return not (placed and self._after.after == self._now.sources and self._after.is_same)

    @property
    def digest(self) -> str:
        """Both changes of routes, and what happens to which unit."""
        return "\0".join((self._without.digest, self._after.digest, *self.lines))

    @property
    def lines(self) -> tuple[str, ...]:
        if not self.asks:
            return ()
        said = [f"{self._record}; going on with it"] if self._resumed else []
        said += [*self._after.plan.lines(), f"- stop {self._old.unit}", f"+ start {self._new.unit}"]
        for item in self._without.plan.unrouted:
            if self._after.table.route(item.model) is not None:
                said.append(f"! {item.model} is not served until {self._intent.new} is")
        return tuple(said)

    def _disabled(self, sources: Sources) -> Edit:
        return edit.set_status(sources, self._intent.old, "disabled")

    def _switched(self, sources: Sources) -> Edit:
        return edit.set_status(self._disabled(sources).sources, self._intent.new, "active")

    def _prepared(self, change: Callable[[Sources], Edit]) -> Prepared:
        return prepare(self._now, Intent("switch", edit=change, dry_run=True))

    def _require_answers(self) -> None:
        """Raises Precondition naming the models that nobody answers while neither provider runs."""
        lost = [item.model for item in self._without.plan.newly_unrouted]
        if lost and not self._intent.force:
            raise Precondition(
                f"nobody would answer {', '.join(lost)} while {self._intent.new} starts",
                "give them a fallback that neither of the two runs, or repeat with --force",
            )

    # --- the steps --------------------------------------------------------------------------------------------

    def _forward(self) -> None:
        with step(self._result.steps, "disable"):
            self._change(self._disabled)
        with step(self._result.steps, "drain"), self._out.progress("finishing requests") as bar:
            wait_until_drained(self._instance, self._drain, bar.update, self._out)
        with step(self._result.steps, "stop"), self._out.progress(f"stopping {self._intent.old}") as bar:
            self._old.unit.stop(bar.update)
        with step(self._result.steps, "start"):
            self._new.unit.start()
        with step(self._result.steps, "serve"):
            self._wait(self._new)
        with step(self._result.steps, "enable"):
            self._result.generation = self._change(self._switched).generation

    def _change(self, change: Callable[[Sources], Edit], reason: str = "", force: bool = False) -> Result:
        force = force or self._intent.force
        intent = Intent("switch", reason or self._reason(), edit=change, force=force, assume_yes=True)
        try:
            made = make_held(self._instance, intent, self._out)
        except ChangeFailed as failed:
            self._result.checks += failed.result.checks
            raise
        self._result.checks += made.checks
        return made

    def _reason(self) -> str:
        return self._intent.reason or f"{self._intent.old} makes room for {self._intent.new}"

    def _wait(self, server: Managed) -> None:
        with self._out.progress(f"loading {server.name}") as bar:
            said = wait_until_serving(server, self._intent.limit, bar.update)
        self._out.say(f"{server.name}: {said}")

    def _boot(self) -> None:
        """Whichever was started at boot, from now on the other one is."""
        if self._old.unit.now().enabled != "enabled":
            return
        why = self._new.unit.at_boot(True) or self._old.unit.at_boot(False)
        if why:
            note = f"after a reboot {self._old.unit} would start, not {self._new.unit}: {why}"
            self._out.say(f"warning: {note}")
            self._result.notes.append(note)

    # --- the way back -----------------------------------------------------------------------------------------

    def _undo(self, error: BaseException) -> None:
        """Put everything back as it was before the switch, and say what went wrong. Always raises."""
        cause = _explained(error)
        if self._result.steps[-1].name == "disable" and not self._resumed:
            # A change undoes itself: OLD was not touched and serves as before.
            switching.end(self._instance.state)
            raise self._failed(cause) from error
        self._out.say(f"error: {cause.message}")
        self._out.say(f"taking it back: {self._intent.old} returns")
        try:
            with step(self._result.steps, "take back"):
                self._take_back(cause)
        except Failure as worse:
            raise self._failed(
                RollbackFailed(
                    f"{cause.message}; and taking it back failed: {_explained(worse).message}",
                    f"`{self._instance.command} status` shows what serves; "
                    f"`{self._instance.command} switch {self._intent.old} {self._intent.new}` tries again",
                )
            ) from error
        switching.end(self._instance.state)
        kind = next((each for each in (VerificationFailed, Interrupted) if isinstance(cause, each)), RolledBack)
        served = f"{self._intent.old} serves as before" if self._record.old_ran else "everything is as it was before"
        raise self._failed(kind(f"{cause.message}\n{served}", cause.hint)) from error

    def _take_back(self, cause: AiopsError) -> None:
        if not self._record.new_ran:
            with self._out.progress(f"stopping {self._intent.new}") as bar:
                self._new.unit.stop(bar.update)
        if self._record.old_ran:
            if not self._old.unit.now().runs:
                self._old.unit.start()
            self._wait(self._old)
        reason = f"taken back: {cause.message.splitlines()[0]}"
        made = self._change(lambda _: Edit(self._before), reason, force=True)
        self._result.generation = made.generation

    def _failed(self, error: AiopsError) -> ChangeFailed:
        self._result.outcome = "rolled_back" if len(self._result.steps) > 1 else "refused"
        self._result.error = error
        self._result.seconds = self._watch.seconds
        return ChangeFailed(error, self._result)


def _explained(error: BaseException) -> AiopsError:
    if isinstance(error, ChangeFailed):
        return error.error
    if isinstance(error, AiopsError):
        return error
    if isinstance(error, OSError):
        return Precondition(f"{error.strerror}: {error.filename or ''}")
    return Interrupted()
