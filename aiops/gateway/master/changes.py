"""What serves, and what is to: the generation that is committed after a start, and one change at a time.

A change is an operator's, with a session, or the master's own: after a start, or when full workers relieve light ones.
"""

from __future__ import annotations

import os
import time
from pathlib import Path

from aiops.gateway.master.control_socket import Refused
from aiops.gateway.master.estimate import Estimator
from aiops.gateway.master.group import Group, WorkerHandle
from aiops.gateway.master.kind import can_be_light, needs_litellm
from aiops.gateway.master.listeners import Listeners
from aiops.gateway.master.loading import Loading
from aiops.gateway.master.options import Options
from aiops.gateway.master.orphans import Orphans
from aiops.gateway.master.say import say
from aiops.gateway.master.session import (
    OPENING,
    PAUSING,
    PROVISIONAL,
    REVERTING,
    STAGED,
    STAGING,
    SWITCH_SECONDS,
    Change,
)
from aiops.gateway.master.succession import Succession
from aiops.gateway.master.workforce import Workforce
from aiops.gateway.shared import messages, pointer, protocol
from aiops.gateway.shared.journald import WARNING
from aiops.gateway.shared.messages import Phase, Refusal, Reverted
from aiops.gateway.worker import settings
from aiops.gateway.worker.listed import Listed

BOOT_CONFIRM_SECONDS = 60.0
LIGHT_SECONDS = 5.0  # that light workers may take to be ready before somebody's change no longer waits for them


class Changes:
    """``current``: the one that is going on. ``stopping``: none is begun any more."""

    def __init__(
        self,
        options: Options,
        listeners: Listeners,
        workforce: Workforce,
        succession: Succession,
        loading: Loading,
    ) -> None:
        self.current: Change | None = None
        self.stopping = False
        self.last_revert: Reverted | None = None
        self.boot_failures = 0
        self.asks_for_litellm = False
        """A request does."""
        self._options = options
        self._listeners = listeners
        self._workforce = workforce
        self.orphans: Orphans  # of an earlier master; known when this one has looked for them
        self._succession = succession
        self._loading = loading
        self._boot_retry: float | None = None
        self._only_full = False  # light workers did not start
        self.loaded()

    @property
    def serving(self) -> Group | None:
        return next((group for group in self._workforce.groups if group.role == protocol.SERVING), None)

    @property
    def is_about_to_serve(self) -> bool:
        """What the master starts by itself, in a moment; to be left alone: the one before it has made way already, or
        it is light workers, which take less than a second."""
        change = self.current
        if change is None or change.session is not None or time.monotonic() > change.deadline:
            return False
        if change.phase in (STAGING, STAGED):
            return change.candidate.light and time.monotonic() - change.candidate.started < LIGHT_SECONDS
        return True

    def give_way(self) -> None:
        """What the master starts by itself is given up for what an operator wants, and begun again if nothing comes of
        that."""
        change = self.current
        if change is not None and change.session is None:
            if change.phase not in (STAGING, STAGED):
                change.start_revert("it takes too long")  # whoever made way for it serves again
            self._workforce.kill(change.candidate)
            self.current = None
            if self.serving is None:
                self._boot_retry = time.monotonic()

    def go_on(self, now: float) -> bool:
        """To be called each turn, but while LiteLLM is imported. Whether nothing is going on."""
        if self.current is not None:
            self._advance(self.current, now)
        if self._boot_retry is not None and now >= self._boot_retry and self.current is None:
            self.boot()
        if self.current is not None or self.stopping:
            return False
        serving = self.serving
        if serving is not None and serving.light and self._boot_retry is None and now >= self._loading.again_at:
            self._relieve(serving)
        return self.current is None

    # --- the committed generation, after a start --------------------------------------------------------------

    def boot(self) -> None:
        """Start what was committed last. A failure is retried with backoff: the master stays to be told otherwise."""
        self._boot_retry = None
        directory = pointer.read(self._options.state)
        if directory is None:
            say("nothing committed yet; waiting for a first generation")
            return
        try:
            self.stage(directory, None)
        except (Refused, OSError, ValueError, KeyError) as error:
            self.boot_failed(str(error))

    def retry(self) -> None:
        """Try the committed generation again now, if that is going to be tried, and to import LiteLLM."""
        if self._boot_retry is not None:
            self._boot_retry = time.monotonic()
        self._loading.again_at = 0.0

    def _relieve(self, light: Group) -> None:
        """Full workers take over from light ones, if they are needed."""
        if not (self.asks_for_litellm or needs_litellm(light.settings)):
            return
        if not self._loading.is_here and not self._load():
            light.say_of_litellm(self._loading.failure)
            say(f"LiteLLM is tried again in {self._loading.again_at - time.monotonic():.0f} s")
            return
        if self.stopping:
            return
        light.say_of_litellm("")
        self.boot()

    def _load(self, for_: protocol.Peer | None = None) -> bool:
        """Whether LiteLLM could be imported. ``for_``: who waits for it."""
        say(f"LiteLLM is imported; that takes about {self._loading.seconds:.0f} s")
        done = self._loading.in_turns(for_)
        self.loaded()
        return done

    def loaded(self) -> None:
        """What the import took says how fast this machine is."""
        self._estimator = Estimator(self._loading.seconds, os.cpu_count() or 1)

    def _boot_again(self, change: Change, reason: str) -> None:
        """Later if it was the boot that failed; at once what gave way to a change that came to nothing."""
        if change.session is None:
            self._only_full = self._only_full or change.candidate.light
            self.boot_failed(reason)
        elif self.serving is None and not self.stopping and pointer.read(self._options.state) is not None:
            self._boot_retry = time.monotonic()

    def catch_up(self) -> None:
        """After another master had the workers for a while: what it may have committed is what has to serve."""
        serving = self.serving
        if serving is None or pointer.read(self._options.state) != serving.settings.directory.resolve():
            self.boot()

    def boot_failed(self, reason: str) -> None:
        """It is tried again, later and later."""
        self.boot_failures += 1
        wait = min(2.0**self.boot_failures, 60.0)
        self._boot_retry = time.monotonic() + wait
        why = f"the committed generation does not start: {reason}"
        self.last_revert = Reverted(why, boot=True, failures=self.boot_failures)
        say(f"{why}; next try in {wait:g} s", WARNING)
        serving = self.serving
        if serving is not None and serving.light:
            serving.say_of_litellm(reason)

    # --- one change -------------------------------------------------------------------------------------------

    def stage(self, directory: Path, session: protocol.Peer | None, **labels: object) -> None:
        if self.stopping:
            raise Refused("the gateway is stopping")
        if session is not None:
            self.give_way()
        if self.current is not None:
            raise Refused(f"generation {self.current.candidate.generation} is {self.current.phase} already")
        loaded = settings.load(directory)
        secrets = settings.read_secrets(loaded, self._options.secrets)
        # Workers without a master have LiteLLM, perhaps: light ones must not take over from them.
        models = self._models_of_light(loaded, at_once=session is None and not self.orphans.are_there())
        if models is None and not self._loading.is_here:
            if not self._load(for_=session):
                raise Refused(f"LiteLLM cannot be imported: {self._loading.failure}")
            if self.stopping:
                raise Refused("the gateway is stopping")
            if session is not None and session.closed:
                return
        group = Group(loaded, secrets, *self._listeners.of(loaded), models=models)
        self._boot_retry = None
        self.current = Change(
            candidate=group,
            previous=self.serving,
            orphans=self.orphans,
            session=session,
            estimate=self._estimator.seconds(loaded.models, loaded.workers),
            deadline=time.monotonic() + self._estimator.deadline(loaded.models, loaded.workers),
            labels={"generation": loaded.generation, **labels},
        )
        self._workforce.start(group)

    def _models_of_light(self, loaded: settings.Settings, at_once: bool) -> Listed | None:
        """What light workers would serve; None: this is for full ones. ``at_once``: better some of it than nothing."""
        if self._loading.is_here or self._only_full or not can_be_light(loaded):
            return None
        return None if needs_litellm(loaded) and not at_once else Listed.read(loaded.config)

    def _advance(self, change: Change, now: float) -> None:
        if change.phase == STAGING:
            change.progress(now)
            if change.candidate.ready:
                self._staged(change)
            elif now > change.deadline:
                self.fail_staging(change, f"not ready after {now - change.candidate.started:.0f} s")
            return
        while change.advance():
            if change.phase == PROVISIONAL:
                change.answer(Phase(PROVISIONAL))
                if change.session is None:
                    self._confirm(change)
                    return
        if change.phase in (OPENING, PAUSING) and now > change.deadline:
            self.revert(change, f"the workers did not change places within {SWITCH_SECONDS:g} s")
        elif change.phase == PROVISIONAL and now > change.deadline:
            self.revert(change, f"nobody confirmed within {change.confirm_within:g} s")
        elif change.phase == REVERTING and change.taken_back(self._workforce.drain, now):
            self._reverted(change)

    def _staged(self, change: Change) -> None:
        seconds = time.monotonic() - change.candidate.started
        change.phase = STAGED
        workers = tuple(worker.describe() for worker in change.candidate.workers)
        change.answer(messages.Staged(STAGED, seconds=round(seconds, 3), workers=workers))
        if change.session is None:
            change.confirm_within = BOOT_CONFIRM_SECONDS
            change.promote()

    def fail_staging(self, change: Change, reason: str) -> None:
        self._workforce.kill(change.candidate)
        self.current = None
        say(f"generation {change.candidate.generation} did not become ready: {reason}", WARNING, **change.labels)
        change.answer(Refusal(reason))
        self._boot_again(change, reason)

    def _confirm(self, change: Change) -> None:
        """The commit point: the pointer flips, then the roles. Raises Refused and keeps waiting if it cannot."""
        directory = change.candidate.settings.directory
        if pointer.read(self._options.state) != directory.resolve():
            try:
                pointer.flip(self._options.state, directory)
            except OSError as error:
                raise Refused(f"cannot record the generation as current: {error.strerror}") from error
        self.current = None
        self._succession.approve(by_somebody=change.session is not None)
        self.boot_failures = 0
        if change.session is not None or (self.last_revert is not None and self.last_revert.boot):
            # A start of its own says nothing of what an operator's change was taken back for, and whoever made it may
            # not have asked yet: its proof waits for LiteLLM, perhaps, in the generation before.
            self.last_revert = None
        change.candidate.take_role(protocol.SERVING)
        self._workforce.succeed(change.previous, change.candidate.exchanges)
        self.orphans.retire(change.candidate.exchanges)
        say(f"generation {change.candidate.generation} serves", **change.labels)
        change.answer(Phase("confirmed"))

    def revert(self, change: Change, reason: str) -> None:
        say(f"generation {change.candidate.generation} is taken back: {reason}", WARNING, **change.labels)
        change.start_revert(reason)

    def _reverted(self, change: Change) -> None:
        self.current = None
        self.last_revert = Reverted(change.reason, change.candidate.generation)
        if change.asked:
            change.answer(Phase("reverted"))
        self._boot_again(change, change.reason)

    def abandon(self, change: Change, reason: str) -> None:
        """Undo whatever the session had begun."""
        if change.phase in (STAGING, STAGED):
            self._workforce.kill(change.candidate)
            self.current = None
            say(f"generation {change.candidate.generation} is dropped: {reason}", WARNING, **change.labels)
            self._boot_again(change, reason)
        elif change.phase in (OPENING, PAUSING, PROVISIONAL):
            self.revert(change, reason)

    def step(self, change: Change, request: messages.Step) -> None:
        match request:
            case messages.Promote() if change.phase == STAGED:
                change.confirm_within = request.confirm_within
                change.promote()
            case messages.Confirm() if change.phase == PROVISIONAL:
                self._confirm(change)
            case messages.Revert() if change.phase in (OPENING, PAUSING, PROVISIONAL):
                change.asked = True
                self.revert(change, request.reason)
            case messages.Revert() if change.phase == REVERTING:
                change.asked = True
            case messages.Abort() if change.phase in (STAGING, STAGED):
                self.abandon(change, request.reason)
                change.answer(Phase("aborted"))
            case _:
                why = f": {change.reason}" if change.reason else ""
                raise Refused(f"cannot {request.command} while {change.phase}{why}")

    # --- what workers say of themselves -------------------------------------------------------------------------

    def learn(self, group: Group, handle: WorkerHandle) -> None:
        """A worker is ready."""
        if not group.light:
            self._estimator.learn(group.settings.models, time.monotonic() - handle.started)
        elif self._loading.failure:
            group.say_of_litellm(self._loading.failure)

    def died(self, group: Group, handle: WorkerHandle, why: str) -> None:
        """One did that was not to."""
        change = self.current
        if change is not None and group is change.candidate and change.phase in (STAGING, STAGED):
            group.workers.remove(handle)
            group.last_failure = handle.failure or f"a worker ended: {why}"
            if change.phase == STAGING:
                self.fail_staging(change, group.last_failure)
            else:
                self.abandon(change, group.last_failure)
                self.last_revert = Reverted(group.last_failure, group.generation)
            return
        wait = group.crashed(handle, why)
        said = f"worker {handle.pid} of generation {group.generation} ended ({why}); again in {wait:g} s"
        say(said, WARNING, generation=group.generation)
        if change is not None and group is change.candidate and change.phase != REVERTING:
            self.revert(change, f"a worker of the new generation ended: {group.last_failure}")
