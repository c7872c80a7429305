"""Making one generation live: every step journalled before it is taken, every step undone when a later one fails.

begin     the journal, with the old bytes of every file the change will replace
secrets   keys and URLs the new generation needs, into secrets/
generation  the immutable record of sources and release
runtime   the gateway becomes a program of another LiteLLM, if the change asks for one; its workers serve on
stage     a candidate runs, reachable through private sockets only
prove     the private suite; a failure costs users nothing
promote   the candidate accepts on the public port, the old generation stays warm
confirm   the public suite
sources   the operator's files are replaced
keys      rows of keys, teams, users and budgets, in one transaction of the database that can be taken back
commit    the gateway makes the generation current: the point of no return
finish    outcome, audit line, old generations pruned
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

from aiops.apply import recovery, store, writes
from aiops.apply.journal import Entry, Journal, digest
from aiops.apply.step import Step, step
from aiops.apply.store import GenerationStore, Manifest, Outcome
from aiops.apply.writes import FileChange
from aiops.errors import AiopsError, Interrupted, Precondition, RollbackFailed, RolledBack, VerificationFailed
from aiops.gateway.shared import messages
from aiops.host import clock, files
from aiops.host.master import MasterGone, MasterRefused, Session
from aiops.spec.sources import Sources
from aiops.supervise.program import Program
from aiops.verify.check import MORE_TIME, Check, failures
from aiops.verify.unproved import Unproved

# The master answers a promote or a revert when every worker has; workers answer within milliseconds.
SWITCH_SECONDS = 30.0
# After this long without a candidate the gateway goes back to the runtime it came from, by itself.
HOLD_SECONDS = 30.0

Prove = Callable[[Sequence[str]], list[Check]]
Progress = Callable[[messages.Progress], None]


class Rows(Protocol):
    """What a change does in the database. Raise AiopsError and OSError."""

    def write(self, generation: int) -> None:
        """All of it, or nothing."""

    def take_back(self, generation: int) -> None:
        """What was written for that generation, if anything was."""


@dataclass(frozen=True)
class Change:
    """What is to be made live, and how to prove it. ``confirm_seconds``: after which the master reverts by itself."""

    manifest: Manifest
    providers: tuple[str, ...]  # the names of those it adds, changes or removes
    sources: Sources
    release: Mapping[str, bytes]
    program: Program  # of the runtime that the manifest names
    secrets: Sequence[FileChange]
    replaces: Sequence[FileChange]
    prove_private: Prove  # given the private sockets of the candidate's workers
    prove_public: Callable[[], list[Check]]
    unproved: Callable[[], Sequence[Unproved]]  # asked once the private suite has passed
    confirm_seconds: float
    keep: int
    rows: Rows | None = None


class Transaction:
    """``steps`` and ``checks``: what happened so far, for people, programs and the incident record."""

    def __init__(self, state: Path, run: Path, change: Change, say: Callable[[str], None], progress: Progress) -> None:
        self.steps: list[Step] = []
        self.checks: list[Check] = []
        self._store = GenerationStore(state)
        self._journal = Journal(state)
        self._run = run
        self._change = change
        self._say = say
        self._progress = progress
        self._number = change.manifest.generation
        self._all_files = [*change.secrets, *change.replaces]
        self._public = False  # the candidate may have taken public requests
        self._replaced: list[FileChange] = []
        self._wrote = False  # rows
        self._failing = ""
        self._entered = False  # the program, if it is another one

    def execute(self) -> None:
        """Run every step, in the order of ``ACTS``.

        Raises VerificationFailed (users noticed nothing), RolledBack, RollbackFailed, Interrupted or Precondition.
        """
        started = time.monotonic()
        with Session(self._run) as session:
            try:
                for name, act in ACTS.items():
                    self._take(name, act, session)
            except (AiopsError, OSError, KeyboardInterrupt) as error:
                self._undo(session, error, time.monotonic() - started)

    def _take(self, name: str, act: Act, session: Session) -> None:
        self._failing = name
        if name != "begin":
            self._journal.step(name)
        with step(self.steps, name):
            act(self, session)

    # --- the steps --------------------------------------------------------------------------------------------

    def _begin(self, session: Session) -> None:
        manifest = self._change.manifest
        entry = Entry(
            verb=manifest.verb,
            who=manifest.who,
            since=manifest.created,
            base=self._store.current(),
            target=self._number,
            before={str(change.path): digest(change.before) for change in self._all_files},
            after={str(change.path): digest(change.after) for change in self._all_files},
        )
        undo = {str(change.path): change.before for change in self._all_files if change.before is not None}
        self._journal.begin(entry, undo)

    def _secrets(self, session: Session) -> None:
        if self._change.secrets:
            self._replaced += self._change.secrets
            writes.replace(list(self._change.secrets))

    def _generation(self, session: Session) -> None:
        self._store.sweep()
        self._store.remember_number(self._number)
        self._store.create(self._change.manifest, self._change.sources, self._change.release)

    def _runtime(self, session: Session) -> None:
        status = session.call(messages.Look())
        if status.runtime == self._change.manifest.runtime:
            return
        self._entered = True
        self._say(f"starting LiteLLM {self._change.manifest.litellm}; LiteLLM {status.litellm} serves meanwhile")
        self._change.program.enter(session, HOLD_SECONDS, lambda *_: None)

    def _stage(self, session: Session) -> None:
        directory = str(self._store.path(self._number))
        manifest = self._change.manifest
        providers = ",".join(self._change.providers)
        # The deadline is the master's: it follows the size of the configuration and the speed of the machine.
        stage = messages.Stage(directory, verb=manifest.verb, provider=providers)
        self._staged = session.call(stage, timeout=60, progress=self._progress)

    def _prove(self, session: Session) -> None:
        checks = self._change.prove_private([worker.http for worker in self._staged.workers])
        self.checks += checks
        if failed := failures(checks):
            raise VerificationFailed(_sentence(failed, "the new generation did not prove itself"), _hint(failed))
        self._store.leave_unproved(self._number, self._change.unproved())

    def _promote(self, session: Session) -> None:
        self._public = True
        session.call(messages.Promote(self._change.confirm_seconds), timeout=SWITCH_SECONDS)

    def _confirm(self, session: Session) -> None:
        checks = self._change.prove_public()
        self.checks += checks
        if failed := failures(checks):
            raise VerificationFailed(_sentence(failed, "the public check failed"), "")

    def _sources(self, session: Session) -> None:
        writes.check_untouched(list(self._change.replaces))
        self._replaced += self._change.replaces
        writes.replace(list(self._change.replaces))

    def _keys(self, session: Session) -> None:
        if self._change.rows is not None:
            self._wrote = True
            self._change.rows.write(self._number)

    def _commit(self, session: Session) -> None:
        session.call(messages.Confirm(), timeout=SWITCH_SECONDS)

    def _finish(self, session: Session) -> None:
        """The change is live whatever happens here: what cannot be tidied now is tidied by the next verb."""
        try:
            self._store.finish(self._number, Outcome(store.APPLIED, clock.now(), self._seconds()))
            self._store.prune(self._change.keep)
            self._journal.close()
            if self._entered:
                self._change.program.stay()
        except OSError as error:
            self._say(f"warning: live, but not tidied up ({error.strerror}); {files.hint_for(error)}")

    # --- the way back -----------------------------------------------------------------------------------------

    def _undo(self, session: Session, error: BaseException, seconds: float) -> None:
        """Put everything back and say what went wrong. Always raises."""
        cause = _explained(error, self._failing)
        if self._failing == "finish":
            raise cause
        if self._store.current() == self._number:  # the answer to `commit` was lost, the commit was not
            kind = Interrupted if isinstance(cause, Interrupted) else Precondition
            raise kind(
                f"the change is live, but {cause.message}", "the next verb tidies up; `aiops status` shows what serves"
            ) from error
        try:
            cause = self._take_back(session, cause)
            for change in reversed(self._replaced):
                writes.put_back(change.path, change.before, self._journal.kept(str(change.path)))
            if self._entered:
                self._change.program.leave(session)
            if self._wrote and self._change.rows is not None:
                self._change.rows.take_back(self._number)
        except (AiopsError, OSError) as worse:
            raise RollbackFailed(
                f"{cause.message}; and undoing it failed: {worse}",
                "`aiops status` shows what serves; the next verb tries to tidy up again",
            ) from error
        self._close_the_record(cause, seconds)
        if self._public:
            undone = f"{cause.message}; the old generation serves again"
            if isinstance(cause, Interrupted):
                raise Interrupted(undone, cause.hint, undone=True) from error
            raise RolledBack(undone, cause.hint or "`aiops logs` shows what it said") from error
        raise cause from error

    def _take_back(self, session: Session, cause: AiopsError) -> AiopsError:
        """Undo it in the gateway. Returns the cause, with what the gateway knows of it."""
        taken = {step.name for step in self.steps}
        if not self._public and ("stage" not in taken or self._failing == "stage"):
            return cause
        request = messages.Revert(cause.message) if self._public else messages.Abort(cause.message)
        try:
            try:
                session.call(request, timeout=SWITCH_SECONDS)
            except MasterGone:
                raise
            except AiopsError:
                # The master may have reverted before it was asked to: then there is nothing left to take back.
                if session.call(messages.Look()).generation == self._number:
                    raise
            return self._with_its_reason(cause, session.call(messages.Look()).last_revert)
        except MasterGone:
            # Only the session may be lost: the master reverts by itself then, and has not done so yet. Without a master
            # the workers of an unconfirmed generation leave by themselves.
            recovery.wait_for_master(self._run)
            return cause

    def _with_its_reason(self, cause: AiopsError, revert: messages.Reverted | None) -> AiopsError:
        if not revert or revert.generation != self._number or revert.reason in cause.message:
            return cause
        return type(cause)(f"{cause.message}\nthe gateway had seen before: {revert.reason}", cause.hint)

    def _close_the_record(self, cause: AiopsError, seconds: float) -> None:
        outcome = store.ROLLED_BACK if self._public else store.REFUSED
        try:
            self._store.finish(self._number, Outcome(outcome, clock.now(), round(seconds, 3), cause.message))
            self._store.prune(self._change.keep)
            self._journal.close()
        except OSError as error:
            self._say(f"warning: undone, but not recorded ({error.strerror})")

    def _seconds(self) -> float:
        return round(float(sum(step.seconds for step in self.steps)), 3)


Act = Callable[[Transaction, Session], None]
# The one list of the steps: what each is called, in the journal and for people, and what it does.
ACTS: Final[dict[str, Act]] = {
    "begin": Transaction._begin,
    "secrets": Transaction._secrets,
    "generation": Transaction._generation,
    "runtime": Transaction._runtime,
    "stage": Transaction._stage,
    "prove": Transaction._prove,
    "promote": Transaction._promote,
    "confirm": Transaction._confirm,
    "sources": Transaction._sources,
    "keys": Transaction._keys,
    "commit": Transaction._commit,
    "finish": Transaction._finish,
}
STEPS: Final = tuple(ACTS)

NOTHING_CHANGED = "nothing was changed, and users noticed nothing"


def _hint(failed: list[Check]) -> str:
    return f"{NOTHING_CHANGED}; {MORE_TIME}" if any(check.cause == "slow" for check in failed) else NOTHING_CHANGED


def _sentence(failed: list[Check], what: str) -> str:
    listed = "\n".join(f"  ✗ {check.id}: {check.detail}" for check in failed[:20])
    more = f"\n  … and {len(failed) - 20} more" if len(failed) > 20 else ""
    return f"{what}:\n{listed}{more}"


def _explained(error: BaseException, step: str) -> AiopsError:
    if isinstance(error, AiopsError):
        if step == "stage" and isinstance(error, MasterRefused):
            return VerificationFailed(f"the new generation does not start: {error.message}", NOTHING_CHANGED)
        return error
    if isinstance(error, OSError):
        return Precondition(f"cannot write ({step}): {error.strerror}: {error.filename or ''}", files.hint_for(error))
    return Interrupted(f"interrupted during `{step}`", "nothing is left half-made")
