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
from aiops.gateway.master.changes import Changes
from aiops.gateway.master.control_socket import ControlSocket, Refused
from aiops.gateway.master.events import Events
from aiops.gateway.master.group import Group, WorkerHandle
from aiops.gateway.master.kind import is_loaded_first
from aiops.gateway.master.listeners import Listeners
from aiops.gateway.master.loading import Loading
from aiops.gateway.master.logfile import Rotation
from aiops.gateway.master.notify import Notifier, condition
from aiops.gateway.master.options import Options
from aiops.gateway.master.orphans import Orphans
from aiops.gateway.master.say import say
from aiops.gateway.master.session import STAGED, STAGING
from aiops.gateway.master.succession import Succession
from aiops.gateway.master.workforce import Workforce
from aiops.gateway.shared import messages, pointer, protocol
from aiops.gateway.shared.messages import Answer, Status
from aiops.gateway.shared.protocol import SUCCEEDED
from aiops.gateway.worker import runtime

BUSY_TICK, IDLE_TICK = 0.05, 1.0  # seconds between looks at the clock


class Master:
    def __init__(self, options: Options, succession: Succession) -> None:
        self._options = options
        self._succession = succession
        self._notifier = Notifier(os.environ)
        self._settled = False  # the boot is over, well or not
        self._events = Events()
        self._listeners = Listeners()
        self._loading = Loading(self._turn_meanwhile)
        self._workforce = Workforce(
            self._events, self._listeners, options, self._heard, self._died, self._loading.leave_to_master
        )
        self._changes = Changes(options, self._listeners, self._workforce, succession, self._loading)
        self._stopping: float | None = None  # monotonic deadline
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
        self._orphans = self._changes.orphans = Orphans(self._options.run, self._workforce.pids())
        self._listeners.inherit(self._orphans.exchanges)
        if inherited is None:
            self._listeners.get(self._options.host, self._options.port)
        self._control = ControlSocket(self._events, self._options.run, self._obey, self._lost, inherited)
        self._pid_file.write_text(f"{os.getpid()}\n")
        runtime.version()  # known to be malicious, perhaps
        committed, groups = pointer.read(self._options.state), self._workforce.groups
        if self._succession.is_to_be_proved or is_loaded_first(committed, groups, self._orphans.pids):
            self._load_first()
        self._succession.arrived()

    def _load_first(self) -> None:
        """Raises whatever the import raises, but where workers without a master serve on: beside them it is said, and
        tried again with the boot."""
        try:
            self._loading.at_once()
        except BaseException as error:
            if self._succession.is_to_be_proved or not self._orphans.are_there():
                raise
            runtime.forget()
            self._changes.boot_failed(f"LiteLLM cannot be imported: {type(error).__name__}: {error}")
        self._changes.loaded()

    def run(self) -> int:
        """Until told to stop, or to leave. The exit code."""
        if self._changes.serving is None and not self._changes.boot_failures:
            self._changes.boot()
        self._accountant.start()
        while not self._is_over:
            self._turn()
            control, free = self._control.fileno(), self._changes.current is None and self._stopping is None
            if free and self._succession.go(self._workforce, self._listeners, control, self._changes.catch_up):
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
        if self._is_over:
            os._exit(self._end())

    def _turn(self, patience: float = IDLE_TICK) -> None:
        groups = self._workforce.groups
        busy = (
            self._changes.current is not None or self._stopping is not None or any(group.refork_at for group in groups)
        )
        arrived = self._events.wait(min(BUSY_TICK if busy else IDLE_TICK, self._notifier.patience, patience))
        if signal.SIGCHLD in arrived:
            self._workforce.reap()
        if signal.SIGTERM in arrived or signal.SIGINT in arrived:
            self._stop(None)
        now = time.monotonic()
        self._tick(now)
        self._succession.consider(now, self._changes.current is not None or self._stopping is not None)
        if self._notifier.enabled:
            self._settled = self._settled or self._changes.current is None
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
        for peer, request in self._loading.take_later():
            self._control.obey(peer, request)
        if self._changes.go_on(now) and self._to_adopt:
            runtime.adopt(sorted(self._to_adopt))
            self._to_adopt = set()

    # --- what workers say and how they end --------------------------------------------------------------------

    def _heard(self, group: Group, handle: WorkerHandle, message: protocol.Message) -> None:
        event = message.get("event")
        self._to_adopt |= set(message.get("modules", ())) - sys.modules.keys()
        if event == "ready":
            handle.role, handle.http, handle.exchange = protocol.CANDIDATE, message["http"], message["exchange"]
            self._changes.learn(group, handle)
            if group.role != protocol.CANDIDATE:
                group.tell(handle)
        elif event == "role":
            handle.role = message["role"]
        elif event == "failed":
            handle.failure = str(message["reason"])
        elif event == "litellm":
            self._changes.asks_for_litellm = True

    def _died(self, group: Group, handle: WorkerHandle, why: str) -> None:
        if group.role == protocol.DRAINING or self._stopping is not None:
            group.workers.remove(handle)
        else:
            self._changes.died(group, handle, why)

    # --- the control socket -----------------------------------------------------------------------------------

    def _lost(self, peer: protocol.Peer) -> None:
        if self._changes.current is not None and self._changes.current.session is peer:
            self._succession.lost()
            self._changes.abandon(self._changes.current, "the connection of whoever made the change was lost")

    def _obey(self, peer: protocol.Peer, request: messages.AnyRequest) -> None:
        waits = isinstance(request, messages.Stage | messages.Handover) and self._loading.going_on
        begins = isinstance(request, messages.Stage | messages.Handover | messages.Leave)
        if waits or (begins and self._changes.is_about_to_serve):
            self._loading.later.append((peer, request))
            return
        match request:
            case messages.Look():
                peer.send(self.status().plain())
            case messages.Stage():
                self._changes.stage(Path(request.directory), peer, verb=request.verb, provider=request.provider)
            case messages.Retry():
                self._changes.retry()
                peer.send(messages.Retried(self._changes.boot_failures).plain())
            case messages.Stop():
                self._stop(request.limit)
                peer.send(Answer().plain())
            case messages.Leave():
                if self._relieves:
                    self._changes.give_way()  # the light workers serve on, and the next master goes on with it
                if self._changes.current is not None:
                    raise Refused("a change is going on")
                peer.send(Answer().plain())
                self._left = SUCCEEDED if request.for_good else 0
            case messages.Become() | messages.Succeed() | messages.Back():
                # Full workers may go on relieving light ones: it is done when they have.
                busy = self._changes.current is not None and not self._relieves
                self._succession.want(peer, request, busy or self._stopping is not None)
            case _:
                self._workforce.reap()  # a candidate that is dead already must not be promoted or confirmed
                change = self._changes.current
                if change is None or change.session is not peer:
                    lost = f": {self._changes.last_revert.reason}" if self._changes.last_revert else ""
                    raise Refused(f"there is no change of this session to {request.command}{lost}")
                self._changes.step(change, request)

    @property
    def _relieves(self) -> bool:
        change = self._changes.current
        return change is not None and change.relieves

    def _stop(self, limit: float | None) -> None:
        """Stop accepting, let everything finish for ``limit`` seconds, leave. Asked twice: leave now."""
        again = self._stopping is not None and limit is None
        if self._changes.current is not None:
            change, self._changes.current = self._changes.current, None
            if change.phase in (STAGING, STAGED):
                self._workforce.kill(change.candidate)
        self._changes.stopping = True
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
        change = self._changes.current
        serving = self._changes.serving or (change.previous if change else None)
        return replace(
            self._succession.status(),
            state="stopping" if self._stopping is not None else "serving" if serving else "idle",
            pid=os.getpid(),
            version=aiops.__version__,
            uptime=round(time.monotonic() - self._started, 1),
            generation=serving.generation if serving else None,
            change=messages.Change(change.candidate.generation, change.phase)
            if change and not self._relieves
            else None,
            groups=tuple(group.describe() for group in self._workforce.groups),
            orphans=tuple(self._orphans.pids),
            last_revert=self._changes.last_revert,
            accountant=self._accountant.describe(),
            loads=self._loading.going_on or self._relieves,
            without=self._loading.failure,
        )
