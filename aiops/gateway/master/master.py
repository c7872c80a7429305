"""The long-lived gateway process: LiteLLM imported once, the listening socket held, workers forked per generation.

It keeps no threads and no event loop, only a select loop, so that forking stays safe. Everything it does is a
reaction to one of four things: a line on the control socket, a line from a worker, a signal, the clock.

After a start light workers serve at once, where the generation has a direct lane. LiteLLM is imported meanwhile if a
deployment needs it, and else with the first request that does; full workers take over then.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from dataclasses import replace
from pathlib import Path

import aiops
from aiops.gateway.master.accountant import Accountant
from aiops.gateway.master.control_socket import ControlSocket, Refused
from aiops.gateway.master.estimate import Estimator
from aiops.gateway.master.events import Events
from aiops.gateway.master.group import Group, WorkerHandle
from aiops.gateway.master.kind import can_be_light, needs_litellm
from aiops.gateway.master.listeners import Listeners
from aiops.gateway.master.loading import Loading
from aiops.gateway.master.logfile import Rotation
from aiops.gateway.master.notify import Notifier, condition
from aiops.gateway.master.options import Options
from aiops.gateway.master.orphans import Orphans
from aiops.gateway.master.say import say
from aiops.gateway.master.session import OPENING, PAUSING, PROVISIONAL, REVERTING, STAGED, STAGING, Change
from aiops.gateway.master.succession import Succession
from aiops.gateway.master.workforce import Workforce
from aiops.gateway.shared import messages, pointer, protocol
from aiops.gateway.shared.journald import WARNING
from aiops.gateway.shared.messages import Answer, Phase, Refusal, Reverted, Status
from aiops.gateway.shared.protocol import SUCCEEDED
from aiops.gateway.worker import runtime, settings
from aiops.gateway.worker.listed import Listed

BUSY_TICK, IDLE_TICK = 0.05, 1.0  # seconds between looks at the clock
BOOT_CONFIRM_SECONDS = 60.0


class Master:
    def __init__(self, options: Options, succession: Succession) -> None:
        self._options = options
        self._succession = succession
        self._notifier = Notifier(os.environ)
        self._settled = False  # the boot is over, well or not
        self._events = Events()
        self._listeners = Listeners()
        self._loading = Loading(self._turn_meanwhile)
        self._later: list[tuple[protocol.Peer, messages.Stage | messages.Handover]] = []  # when LiteLLM is here
        self._asks_for_litellm = False  # a request does
        self._only_full = False  # light workers did not start
        self._workforce = Workforce(
            self._events, self._listeners, options, self._heard, self._died, self._loading.leave_to_master
        )
        self._change: Change | None = None
        self._stopping: float | None = None  # monotonic deadline
        self._boot_retry: float | None = None
        self._boot_failures = 0
        self._last_revert: Reverted | None = None
        self._to_adopt: set[str] = set()
        self._started = time.monotonic()
        self._left: int | None = None  # with this exit code, without the workers
        self._log = Rotation(sys.stderr.fileno())
        self._accountant = Accountant(options.state, options.run, options.secrets)
        self._pid_file = options.run / protocol.PID_FILE

    # --- life -------------------------------------------------------------------------------------------------

    def prepare(self) -> None:
        """Everything before the loop. Raises OSError when the address is not to be had, whatever the import raises."""
        self._events.catch(signal.SIGTERM, signal.SIGINT, signal.SIGCHLD)
        for ignored in (signal.SIGPIPE, signal.SIGHUP):
            signal.signal(ignored, signal.SIG_IGN)
        # Under systemd nobody else makes it after a reboot: it may be on a temporary file system.
        self._options.run.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._listeners.adopt_passed(os.environ)
        inherited = self._succession.take_over(self._listeners, self._workforce, self._options.secrets)
        self._orphans = Orphans(self._options.run, self._workforce.pids())
        self._listeners.inherit(self._orphans.exchanges)
        if inherited is None:
            self._listeners.get(self._options.host, self._options.port)
        self._control = ControlSocket(self._events, self._options.run, self._obey, self._lost, inherited)
        self._pid_file.write_text(f"{os.getpid()}\n")
        runtime.version()  # known to be malicious, perhaps
        if self._loads_first():
            self._loading.at_once()
        self._estimator = Estimator(self._loading.seconds, os.cpu_count() or 1)
        self._succession.arrived()

    def _loads_first(self) -> bool:
        """Whether LiteLLM is imported before anything is served by this master: somebody else serves meanwhile, or
        nobody could without."""
        if runtime.is_loaded() or self._workforce.groups:
            return not self._workforce.groups or not all(group.light for group in self._workforce.groups)
        directory = pointer.read(self._options.state)
        try:
            loaded = settings.load(directory) if directory is not None else None
        except (OSError, ValueError, KeyError):
            return False  # why it cannot be served is said when that is tried
        if loaded is None:
            return False
        return not can_be_light(loaded) or (bool(self._orphans.pids) and needs_litellm(loaded))

    def run(self) -> int:
        """Until told to stop, or to leave. The exit code."""
        if self._serving() is None:
            self._boot()
        self._accountant.start()
        while not self._is_over:
            self._turn()
            control, free = self._control.fileno(), self._change is None and self._stopping is None
            if free and self._succession.go(self._workforce, self._listeners, control, self._catch_up):
                return SUCCEEDED
        return self._end()

    @property
    def _is_over(self) -> bool:
        return self._left is not None or (self._stopping is not None and not self._workforce.groups)

    def _end(self) -> int:
        if self._left is not None:  # the workers stay, serve on, and are taken over by the next master
            say("leaves its workers to the next master")
            return self._left
        self._listeners.close()
        self._accountant.stop()
        self._pid_file.unlink(missing_ok=True)
        return 0

    def _turn_meanwhile(self) -> None:
        """While LiteLLM is imported; that goes on after it, or never, if this process has to end."""
        self._turn(0.0)
        for peer, _ in self._later:
            self._loading.tell(peer)
        if self._is_over:
            os._exit(self._end())

    def _turn(self, patience: float = IDLE_TICK) -> None:
        groups = self._workforce.groups
        busy = self._change is not None or self._stopping is not None or any(group.refork_at for group in groups)
        arrived = self._events.wait(min(BUSY_TICK if busy else IDLE_TICK, self._notifier.patience, patience))
        if signal.SIGCHLD in arrived:
            self._workforce.reap()
        if signal.SIGTERM in arrived or signal.SIGINT in arrived:
            self._stop(None)
        now = time.monotonic()
        self._tick(now)
        self._succession.consider(now, self._change is not None or self._stopping is not None)
        if self._notifier.enabled:
            self._settled = self._settled or self._change is None
            self._notifier.tell(*condition(self.status(), self._settled, self._left is not None), now)

    def _tick(self, now: float) -> None:
        self._workforce.fork_again(now, full=self._loading.is_here)
        if self._stopping is not None and now >= self._stopping:
            self._workforce.kill_all()
        if not self._loading.going_on:
            self._go_on(now)
        self._workforce.drop_empty()
        self._accountant.look(now)
        self._log.look(now)

    def _go_on(self, now: float) -> None:
        """With what may fork full workers."""
        later, self._later = self._later, []
        for peer, request in later:
            self._control.obey(peer, request)
        if self._change is not None:
            self._advance(self._change, now)
        if self._boot_retry is not None and now >= self._boot_retry and self._change is None:
            self._boot()
        if self._change is not None or self._stopping is not None:
            return
        if self._to_adopt:
            runtime.adopt(sorted(self._to_adopt))
            self._to_adopt = set()
        serving = self._serving()
        if serving is not None and serving.light and self._boot_retry is None and now >= self._loading.again_at:
            self._relieve(serving)

    # --- the committed generation, after a start --------------------------------------------------------------

    def _boot(self) -> None:
        """Start what was committed last. A failure is retried with backoff: the master stays to be told otherwise."""
        self._boot_retry = None
        directory = pointer.read(self._options.state)
        if directory is None:
            say("nothing committed yet; waiting for a first generation")
            return
        try:
            self._stage(directory, None)
        except (Refused, OSError, ValueError, KeyError) as error:
            self._boot_failed(str(error))

    def _relieve(self, light: Group) -> None:
        """Full workers take over from light ones, if they are needed."""
        if not (self._asks_for_litellm or needs_litellm(light.settings)):
            return
        if not self._loading.is_here and not self._load():
            light.say_of_litellm(self._loading.failure)
            return
        light.say_of_litellm("")
        self._boot()

    def _load(self, for_: protocol.Peer | None = None) -> bool:
        """Whether LiteLLM could be imported. ``for_``: who waits for it."""
        say(f"LiteLLM is imported; that takes about {self._loading.seconds:.0f} s")
        done = self._loading.in_turns(for_)
        self._estimator = Estimator(self._loading.seconds, os.cpu_count() or 1)
        return done

    def _boot_again(self, change: Change, reason: str) -> None:
        """Later if it was the boot that failed; at once what gave way to a change that came to nothing."""
        if change.session is None:
            self._only_full = self._only_full or change.candidate.light
            self._boot_failed(reason)
        elif self._serving() is None and self._stopping is None and pointer.read(self._options.state) is not None:
            self._boot_retry = time.monotonic()

    def _catch_up(self) -> None:
        """After another master had the workers for a while: what it may have committed is what has to serve."""
        serving = self._serving()
        if serving is None or pointer.read(self._options.state) != serving.settings.directory.resolve():
            self._boot()

    def _boot_failed(self, reason: str) -> None:
        self._boot_failures += 1
        wait = min(2.0**self._boot_failures, 60.0)
        self._boot_retry = time.monotonic() + wait
        why = f"the committed generation does not start: {reason}"
        self._last_revert = Reverted(why, boot=True, failures=self._boot_failures)
        say(f"{why}; next try in {wait:g} s", WARNING)
        serving = self._serving()
        if serving is not None and serving.light:
            serving.say_of_litellm(reason)

    # --- one change -------------------------------------------------------------------------------------------

    def _serving(self) -> Group | None:
        return next((group for group in self._workforce.groups if group.role == protocol.SERVING), None)

    def _stage(self, directory: Path, session: protocol.Peer | None, **labels: object) -> None:
        if self._stopping is not None:
            raise Refused("the gateway is stopping")
        if self._change is not None and self._change.session is None and session is not None:
            # The generation the master starts by itself gives way to what an operator wants.
            self._workforce.kill(self._change.candidate)
            self._change = None
        if self._change is not None:
            raise Refused(f"generation {self._change.candidate.generation} is {self._change.phase} already")
        self._boot_retry = None
        loaded = settings.load(directory)
        secrets = settings.read_secrets(loaded, self._options.secrets)
        models = self._models_of_light(loaded, at_once=session is None)
        if models is None and not self._loading.is_here:
            if not self._load(for_=session):
                raise Refused(f"LiteLLM cannot be imported: {self._loading.failure}")
            if session is not None and session.closed:
                return
        group = Group(loaded, secrets, *self._listeners.of(loaded), models=models)
        self._change = Change(
            candidate=group,
            previous=self._serving(),
            orphans=self._orphans,
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
                self._fail_staging(change, f"not ready after {now - change.candidate.started:.0f} s")
            return
        while change.advance():
            if change.phase == PROVISIONAL:
                change.answer(Phase(PROVISIONAL))
                if change.session is None:
                    self._confirm(change)
                    return
        if change.phase == PROVISIONAL and now > change.deadline:
            self._revert(change, f"nobody confirmed within {change.confirm_within:g} s")
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

    def _fail_staging(self, change: Change, reason: str) -> None:
        self._workforce.kill(change.candidate)
        self._change = None
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
        self._change = None
        self._succession.approve(by_somebody=change.session is not None)
        self._boot_failures = 0
        self._last_revert = None
        change.candidate.take_role(protocol.SERVING)
        self._workforce.succeed(change.previous, change.candidate.exchanges)
        self._orphans.retire(change.candidate.exchanges)
        say(f"generation {change.candidate.generation} serves", **change.labels)
        change.answer(Phase("confirmed"))

    def _revert(self, change: Change, reason: str) -> None:
        say(f"generation {change.candidate.generation} is taken back: {reason}", WARNING, **change.labels)
        change.start_revert(reason)

    def _reverted(self, change: Change) -> None:
        self._change = None
        self._last_revert = Reverted(change.reason, change.candidate.generation)
        if change.asked:
            change.answer(Phase("reverted"))
        self._boot_again(change, change.reason)

    def _abandon(self, change: Change, reason: str) -> None:
        """Undo whatever the session had begun."""
        if change.phase in (STAGING, STAGED):
            self._workforce.kill(change.candidate)
            self._change = None
            say(f"generation {change.candidate.generation} is dropped: {reason}", WARNING, **change.labels)
            self._boot_again(change, reason)
        elif change.phase in (OPENING, PAUSING, PROVISIONAL):
            self._revert(change, reason)

    # --- what workers say and how they end --------------------------------------------------------------------

    def _heard(self, group: Group, handle: WorkerHandle, message: protocol.Message) -> None:
        event = message.get("event")
        self._to_adopt |= set(message.get("modules", ())) - sys.modules.keys()
        if event == "ready":
            handle.role, handle.http, handle.exchange = protocol.CANDIDATE, message["http"], message["exchange"]
            if not group.light:
                self._estimator.learn(group.settings.models, time.monotonic() - handle.started)
            elif self._loading.failure:
                group.say_of_litellm(self._loading.failure)
            if group.role != protocol.CANDIDATE:
                group.tell(handle)
        elif event == "role":
            handle.role = message["role"]
        elif event == "failed":
            handle.failure = str(message["reason"])
        elif event == "litellm":
            self._asks_for_litellm = True

    def _died(self, group: Group, handle: WorkerHandle, why: str) -> None:
        if group.role == protocol.DRAINING or self._stopping is not None:
            group.workers.remove(handle)
            return
        change = self._change
        if change is not None and group is change.candidate and change.phase in (STAGING, STAGED):
            group.workers.remove(handle)
            group.last_failure = handle.failure or f"a worker ended: {why}"
            if change.phase == STAGING:
                self._fail_staging(change, group.last_failure)
            else:
                self._abandon(change, group.last_failure)
                self._last_revert = Reverted(group.last_failure, group.generation)
            return
        wait = group.crashed(handle, why)
        said = f"worker {handle.pid} of generation {group.generation} ended ({why}); again in {wait:g} s"
        say(said, WARNING, generation=group.generation)
        if change is not None and group is change.candidate and change.phase != REVERTING:
            self._revert(change, f"a worker of the new generation ended: {group.last_failure}")

    # --- the control socket -----------------------------------------------------------------------------------

    def _lost(self, peer: protocol.Peer) -> None:
        if self._change is not None and self._change.session is peer:
            self._succession.lost()
            self._abandon(self._change, "the connection of whoever made the change was lost")

    def _obey(self, peer: protocol.Peer, request: messages.AnyRequest) -> None:
        if self._loading.going_on and isinstance(request, messages.Stage | messages.Handover):
            self._later.append((peer, request))
            return
        match request:
            case messages.Look():
                peer.send(self.status().plain())
            case messages.Stage():
                self._stage(Path(request.directory), peer, verb=request.verb, provider=request.provider)
            case messages.Retry():
                if self._boot_retry is not None:
                    self._boot_retry = time.monotonic()
                peer.send(messages.Retried(self._boot_failures).plain())
            case messages.Stop():
                self._stop(request.limit)
                peer.send(Answer().plain())
            case messages.Leave():
                if self._change is not None:
                    raise Refused("a change is going on")
                peer.send(Answer().plain())
                self._left = SUCCEEDED if request.for_good else 0
            case messages.Become() | messages.Succeed() | messages.Back():
                self._succession.want(peer, request, self._change is not None or self._stopping is not None)
            case _:
                self._workforce.reap()  # a candidate that is dead already must not be promoted or confirmed
                change = self._change
                if change is None or change.session is not peer:
                    lost = f": {self._last_revert.reason}" if self._last_revert else ""
                    raise Refused(f"there is no change of this session to {request.command}{lost}")
                self._step(change, request)

    def _step(self, change: Change, request: messages.Step) -> None:
        match request:
            case messages.Promote() if change.phase == STAGED:
                change.confirm_within = request.confirm_within
                change.promote()
            case messages.Confirm() if change.phase == PROVISIONAL:
                self._confirm(change)
            case messages.Revert() if change.phase in (OPENING, PAUSING, PROVISIONAL):
                change.asked = True
                self._revert(change, request.reason)
            case messages.Revert() if change.phase == REVERTING:
                change.asked = True
            case messages.Abort() if change.phase in (STAGING, STAGED):
                self._abandon(change, request.reason)
                change.answer(Phase("aborted"))
            case _:
                why = f": {change.reason}" if change.reason else ""
                raise Refused(f"cannot {request.command} while {change.phase}{why}")

    def _stop(self, limit: float | None) -> None:
        """Stop accepting, let everything finish for ``limit`` seconds, leave. Asked twice: leave now."""
        again = self._stopping is not None and limit is None
        if self._change is not None:
            change, self._change = self._change, None
            if change.phase in (STAGING, STAGED):
                self._workforce.kill(change.candidate)
        groups = list(self._workforce.groups)
        if limit is None:
            limit = max((group.settings.drain_seconds for group in groups), default=0.0)
            limit = min(limit, self._options.stop_within if self._options.stop_within is not None else limit)
        self._stopping = time.monotonic() + (0 if again else limit + 1)
        for group in groups:
            self._workforce.drain(group, [], limit)
        self._orphans.retire([])
        self._listeners.close()

    def status(self) -> Status:
        """What runs here, for ``aiops status``."""
        change = self._change
        serving = self._serving() or (change.previous if change else None)
        return replace(
            self._succession.status(),
            state="stopping" if self._stopping is not None else "serving" if serving else "idle",
            pid=os.getpid(),
            version=aiops.__version__,
            uptime=round(time.monotonic() - self._started, 1),
            generation=serving.generation if serving else None,
            change=messages.Change(change.candidate.generation, change.phase)
            if change and not change.relieves
            else None,
            groups=tuple(group.describe() for group in self._workforce.groups),
            orphans=tuple(self._orphans.pids),
            last_revert=self._last_revert,
            accountant=self._accountant.describe(),
            loads=self._loading.going_on or bool(change and change.relieves),
            without=self._loading.failure,
        )
