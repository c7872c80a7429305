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

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from aiops.actions.change.make import make_held
from aiops.actions.change.prepare import Intent, Prepared, is_same, prepare
from aiops.actions.change.result import ChangeFailed, Result
from aiops.actions.instance import held
from aiops.actions.instance.desired import desired
from aiops.actions.instance.held import agreed
from aiops.actions.provider import managed
from aiops.actions.provider.managed import Managed
from aiops.actions.provider.patience import SERVE_SECONDS
from aiops.actions.provider.wait import wait_until_drained, wait_until_serving
from aiops.apply import switching
from aiops.errors import (
    AiopsError,
    Interrupted,
    Precondition,
    RollbackFailed,
    RolledBack,
    UsageError,
    VerificationFailed,
)
from aiops.host import clock, master
from aiops.host.files import explained
from aiops.host.instance import Instance, read_sources
from aiops.host.signals import brought_to_an_end
from aiops.output import Output
from aiops.spec.edit import edit
from aiops.spec.edit.edit import Edit
from aiops.spec.sources import Sources

Failure = (AiopsError, OSError, KeyboardInterrupt)


@dataclass(frozen=True)
class Order:
    """What is to be done. ``drain`` None: as long as ``gateway.drain_seconds`` allows; ``limit``: seconds to load."""

    old: str
    new: str
    reason: str = ""
    drain: float | None = None
    limit: float = SERVE_SECONDS
    dry_run: bool = False
    force: bool = False
    assume_yes: bool = False


def switch(instance: Instance, order: Order, out: Output) -> Result:
    """Carry it out. Raises ChangeFailed once it had begun, AiopsError before that."""
    with held.held(instance, "switch", out, dry_run=order.dry_run), brought_to_an_end():
        return _Switch(instance, order, out).run()


class _Switch:
    def __init__(self, instance: Instance, order: Order, out: Output) -> None:
        """Look at everything, change nothing. Raises UsageError, Precondition, InvalidState."""
        self._instance, self._order, self._out = instance, order, out
        self._started = time.monotonic()
        state = desired(instance)
        self._drain = state.gateway.drain_seconds if order.drain is None else order.drain
        for name in (order.old, order.new):
            managed.known(state, name)
        self._old = managed.managed(instance, state, order.old)
        self._new = managed.managed(instance, state, order.new)
        if order.old == order.new or self._old.provider.service == self._new.provider.service:
            raise UsageError(f"`{order.old}` and `{order.new}` are run by one unit", "`aiops apply` makes edits live")
        self._old.unit.require()
        self._new.unit.require()
        managed.require_room(instance, state, self._new, leaving=order.old)
        if master.status(instance.run) is None:
            raise Precondition("the gateway is not running", f"`{instance.command} up` starts it")
        self._without = self._prepared(self._disabled)
        self._after = self._prepared(self._switched)
        left = switching.read(instance.state)
        self._resumed = left is not None and (left[0].old, left[0].new) == (order.old, order.new)
        if left is not None and self._resumed:
            self._record, self._before = left
        else:
            runs = (self._old.unit.now().runs, self._new.unit.now().runs)
            self._record = switching.Record(order.old, order.new, clock.who(), clock.now(), *runs)
            self._before = read_sources(instance)
        self._result = Result("planned", None, self._after.plan.base_generation, self._after.plan)
        self._result.notes += self._after.notes

    def run(self) -> Result:
        if self._is_done():
            switching.end(self._instance.state)
            self._result.outcome, self._result.generation = "unchanged", self._after.plan.base_generation
            return self._result
        self._tell()
        if self._order.dry_run:
            self._out.say("dry run: nothing was changed")
            return self._result
        self._require_answers()
        agreed(self._out, self._order.assume_yes)
        self._started = time.monotonic()
        with explained(self._instance.state, "write below"):
            switching.begin(self._instance.state, self._record, self._before)
        try:
            self._forward()
        except Failure as error:
            self._undo(error)
        self._boot()
        switching.end(self._instance.state)
        self._result.outcome = "applied"
        self._result.seconds = time.monotonic() - self._started
        return self._result

    # --- before anything is touched ---------------------------------------------------------------------------

    def _disabled(self, sources: Sources) -> Edit:
        return edit.set_status(sources, self._order.old, "disabled")

    def _switched(self, sources: Sources) -> Edit:
        return edit.set_status(self._disabled(sources).sources, self._order.new, "active")

    def _prepared(self, change: Callable[[Sources], Edit]) -> Prepared:
        return prepare(self._instance, Intent("switch", edit=change, dry_run=True))

    def _is_done(self) -> bool:
        """Nothing to do: OLD does not run, NEW does, and the gateway serves just that."""
        placed = not self._old.unit.now().runs and self._new.unit.now().runs
        return placed and self._after.after == self._after.before and is_same(self._instance, self._after)

    def _tell(self) -> None:
        if self._resumed:
            self._out.say(f"{self._record}; going on with it")
        for line in self._after.plan.lines():
            self._out.say(line)
        self._out.say(f"- stop {self._old.unit}")
        self._out.say(f"+ start {self._new.unit}")
        for item in self._without.plan.unrouted:
            if self._after.table.route(item.model) is not None:
                self._out.say(f"! {item.model} is not served until {self._order.new} is")

    def _require_answers(self) -> None:
        """Raises Precondition naming the models that nobody answers while neither provider runs."""
        lost = [item.model for item in self._without.plan.newly_unrouted]
        if lost and not self._order.force:
            raise Precondition(
                f"nobody would answer {', '.join(lost)} while {self._order.new} starts",
                "give them a fallback that neither of the two runs, or repeat with --force",
            )

    # --- the steps --------------------------------------------------------------------------------------------

    def _forward(self) -> None:
        with self._step("disable"):
            self._change(self._disabled)
        with self._step("drain"), self._out.progress("finishing requests") as bar:
            wait_until_drained(self._instance, self._drain, bar.update, self._out)
        with self._step("stop"), self._out.progress(f"stopping {self._order.old}") as bar:
            self._old.unit.stop(bar.update)
        with self._step("start"):
            self._new.unit.start()
        with self._step("serve"):
            self._wait(self._new)
        with self._step("enable"):
            self._result.generation = self._change(self._switched).generation

    @contextmanager
    def _step(self, name: str) -> Iterator[None]:
        started, ok = time.monotonic(), False
        try:
            yield
            ok = True
        finally:
            seconds = round(time.monotonic() - started, 3)
            self._result.steps.append({"name": name, "ok": ok, "seconds": seconds})

    def _change(self, change: Callable[[Sources], Edit], reason: str = "", force: bool = False) -> Result:
        force = force or self._order.force
        intent = Intent("switch", reason or self._reason(), edit=change, force=force, assume_yes=True)
        try:
            made = make_held(self._instance, intent, self._out)
        except ChangeFailed as failed:
            self._result.checks += failed.result.checks
            raise
        self._result.checks += made.checks
        return made

    def _reason(self) -> str:
        return self._order.reason or f"{self._order.old} makes room for {self._order.new}"

    def _wait(self, server: Managed) -> None:
        with self._out.progress(f"loading {server.name}") as bar:
            said = wait_until_serving(server, self._order.limit, bar.update)
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
        if self._result.steps[-1]["name"] == "disable" and not self._resumed:
            # A change undoes itself: OLD was not touched and serves as before.
            switching.end(self._instance.state)
            raise self._failed(cause) from error
        self._out.say(f"error: {cause.message}")
        self._out.say(f"taking it back: {self._order.old} returns")
        try:
            with self._step("take back"):
                self._take_back(cause)
        except Failure as worse:
            raise self._failed(
                RollbackFailed(
                    f"{cause.message}; and taking it back failed: {_explained(worse).message}",
                    f"`{self._instance.command} status` shows what serves; "
                    f"`{self._instance.command} switch {self._order.old} {self._order.new}` tries again",
                )
            ) from error
        switching.end(self._instance.state)
        kind = next((each for each in (VerificationFailed, Interrupted) if isinstance(cause, each)), RolledBack)
        served = f"{self._order.old} serves as before" if self._record.old_ran else "everything is as it was before"
        raise self._failed(kind(f"{cause.message}\n{served}", cause.hint)) from error

    def _take_back(self, cause: AiopsError) -> None:
        if not self._record.new_ran:
            with self._out.progress(f"stopping {self._order.new}") as bar:
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
        self._result.seconds = time.monotonic() - self._started
        return ChangeFailed(error, self._result)


def _explained(error: BaseException) -> AiopsError:
    if isinstance(error, ChangeFailed):
        return error.error
    if isinstance(error, AiopsError):
        return error
    if isinstance(error, OSError):
        return Precondition(f"{error.strerror}: {error.filename or ''}")
    return Interrupted()
