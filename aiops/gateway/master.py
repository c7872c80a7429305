"""The long-lived gateway process: LiteLLM imported once, the listening socket held, workers forked per generation.

It keeps no threads and no event loop, only a select loop, so that forking stays safe. Everything it does is a
reaction to one of four things: a line on the control socket, a line from a worker, a signal, the clock.
"""

from __future__ import annotations

import os
import selectors
import signal
import socket
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import aiops
from aiops.gateway import pointer, protocol, runtime, settings, worker
from aiops.gateway.change import OPENING, PAUSING, PROVISIONAL, REVERTING, STAGED, STAGING, Change
from aiops.gateway.connections import retire
from aiops.gateway.estimate import Estimator
from aiops.gateway.group import Group, WorkerHandle
from aiops.gateway.listeners import BACKLOG, Listeners, orphan_exchanges

TICK = 0.25


@dataclass(frozen=True)
class Options:
    """Where things are. ``run`` is short enough for unix sockets and private to the user."""

    state: Path
    run: Path
    secrets: Path
    host: str
    port: int


class Refused(Exception):
    """A control request that cannot be carried out now; the text goes to whoever asked."""


class Master:
    def __init__(self, options: Options) -> None:
        self._options = options
        self._selector = selectors.DefaultSelector()
        self._listeners = Listeners()
        self._groups: list[Group] = []
        self._change: Change | None = None
        self._sessions: dict[protocol.Peer, bool] = {}
        self._stopping: float | None = None  # monotonic deadline
        self._boot_retry: float | None = None
        self._boot_failures = 0
        self._last_revert: dict[str, object] | None = None
        self._orphans: dict[int, str] = {}
        self._to_adopt: set[str] = set()
        self._started = time.monotonic()
        self._signals: list[int] = []
        self._left = False
        self._pid_file = options.run / protocol.PID_FILE

    # --- life -------------------------------------------------------------------------------------------------

    def run(self) -> int:
        self._catch_signals()
        self._orphans = orphan_exchanges(self._options.run)
        self._listeners.inherit(self._orphans.values())
        self._listeners.get(self._options.host, self._options.port)
        self._open_control()
        self._pid_file.write_text(f"{os.getpid()}\n")
        seconds = runtime.load()
        self._say(f"LiteLLM {runtime.version()} imported in {seconds:.1f} s")
        if not runtime.is_safe_to_fork():
            self._say("warning: importing LiteLLM left threads behind; forking is not safe")
        self._estimator = Estimator(seconds, os.cpu_count() or 1)
        self._boot()
        while self._stopping is None or self._groups:
            self._turn()
            if self._left:  # the workers stay, serve on, and are taken over by the next master
                self._say("leaves its workers to the next master")
                return 0
        self._listeners.close()
        self._pid_file.unlink(missing_ok=True)
        return 0

    def _turn(self) -> None:
        for key, events in self._selector.select(self._patience()):
            handler: Callable[[int], None] = key.data
            handler(events)
        self._handle_signals()
        self._tick()

    def _patience(self) -> float:
        busy = self._change is not None or self._stopping is not None or any(g.refork_at for g in self._groups)
        return TICK / 5 if busy else TICK * 4

    def _catch_signals(self) -> None:
        reading, writing = socket.socketpair()
        for end in (reading, writing):
            end.setblocking(False)
        signal.set_wakeup_fd(writing.fileno(), warn_on_full_buffer=False)
        self._wakeup = (reading, writing)
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGCHLD):
            signal.signal(number, lambda *_: None)
        signal.signal(signal.SIGPIPE, signal.SIG_IGN)
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        self._selector.register(reading, selectors.EVENT_READ, lambda _: self._signals.extend(reading.recv(64)))

    def _handle_signals(self) -> None:
        seen, self._signals = self._signals, []
        if signal.SIGCHLD in seen:
            self._reap()
        if signal.SIGTERM in seen or signal.SIGINT in seen:
            self._stop(None)

    def _open_control(self) -> None:
        path = self._options.run / protocol.CONTROL
        path.unlink(missing_ok=True)
        control = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        before = os.umask(0o177)
        try:
            control.bind(str(path))
        finally:
            os.umask(before)
        control.listen(64)
        control.setblocking(False)
        self._control = control
        self._selector.register(control, selectors.EVENT_READ, lambda _: self._accept())

    @staticmethod
    def _say(text: str) -> None:
        sys.stderr.write(f"master {os.getpid()}: {text}\n")
        sys.stderr.flush()

    # --- the clock --------------------------------------------------------------------------------------------

    def _tick(self) -> None:
        now = time.monotonic()
        for group in list(self._groups):
            for index, when in list(group.refork_at.items()):
                if now >= when and group.role != protocol.DRAINING:
                    del group.refork_at[index]
                    self._fork(group, index)
        if self._change is not None:
            self._advance(self._change, now)
        if self._boot_retry is not None and now >= self._boot_retry and self._change is None:
            self._boot_retry = None
            self._boot()
        if self._stopping is not None and now >= self._stopping:
            for group in self._groups:
                self._kill(group)
        if self._change is None and self._to_adopt and self._stopping is None:
            runtime.adopt(sorted(self._to_adopt))
            self._to_adopt = set()

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
                change.answer(ok=True, phase=PROVISIONAL)
                if change.session is None:
                    self._confirm(change)
                    return
        if change.phase == PROVISIONAL and now > change.deadline:
            self._revert(change, f"nobody confirmed within {change.confirm_within:g} s")
        elif change.phase == REVERTING and change.old_serves_again():
            self._reverted(change)

    # --- one change -------------------------------------------------------------------------------------------

    def _boot(self) -> None:
        """Start what was committed last. A failure is retried with backoff: the master stays to be told otherwise."""
        directory = pointer.read(self._options.state)
        if directory is None:
            self._say("nothing committed yet; waiting for a first generation")
            return
        try:
            self._stage(directory, None)
        except (Refused, OSError, ValueError, KeyError) as error:
            self._boot_failed(str(error))

    def _boot_failed(self, reason: str) -> None:
        self._boot_failures += 1
        wait = min(2.0**self._boot_failures, 60.0)
        self._boot_retry = time.monotonic() + wait
        self._last_revert = {"reason": f"the committed generation does not start: {reason}", "boot": True}
        self._say(f"the committed generation does not start: {reason}; next try in {wait:g} s")

    def _serving(self) -> Group | None:
        return next((group for group in self._groups if group.role == protocol.SERVING), None)

    def _stage(self, directory: Path, session: protocol.Peer | None) -> None:
        if self._stopping is not None:
            raise Refused("the gateway is stopping")
        if self._change is not None and self._change.session is None and session is not None:
            # The generation the master starts by itself gives way to what an operator wants.
            self._kill(self._change.candidate)
            self._change = None
        if self._change is not None:
            raise Refused(f"generation {self._change.candidate.generation} is being {self._change.phase} already")
        self._boot_retry = None
        loaded = settings.load(directory)
        try:
            listener = self._listeners.get(loaded.host, loaded.port)
        except OSError as error:
            raise Refused(f"cannot listen on {loaded.host}:{loaded.port}: {error.strerror}") from error
        group = Group(loaded, settings.read_secrets(loaded, self._options.secrets), listener)
        now = time.monotonic()
        self._change = Change(
            candidate=group,
            previous=self._serving(),
            session=session,
            estimate=self._estimator.seconds(loaded.models, loaded.workers),
            deadline=now + self._estimator.deadline(loaded.models, loaded.workers),
        )
        self._groups.append(group)
        for index in range(loaded.workers):
            self._fork(group, index)

    def _staged(self, change: Change) -> None:
        seconds = time.monotonic() - change.candidate.started
        change.phase = STAGED
        change.answer(
            ok=True,
            phase=STAGED,
            seconds=round(seconds, 3),
            workers=[{"pid": w.pid, "http": w.http} for w in change.candidate.workers],
        )
        if change.session is None:
            change.confirm_within = 60.0
            change.promote()

    def _fail_staging(self, change: Change, reason: str) -> None:
        self._kill(change.candidate)
        self._change = None
        self._say(f"generation {change.candidate.generation} did not become ready: {reason}")
        change.answer(ok=False, error=reason)
        if change.session is None:
            self._boot_failed(reason)

    def _confirm(self, change: Change) -> None:
        """The commit point: the pointer flips, then the roles. Raises Refused and keeps waiting if it cannot."""
        directory = change.candidate.settings.directory
        if pointer.read(self._options.state) != directory.resolve():
            try:
                pointer.flip(self._options.state, directory)
            except OSError as error:
                raise Refused(f"cannot record the generation as current: {error.strerror}") from error
        self._change = None
        self._boot_failures = 0
        self._last_revert = None
        change.candidate.take_role(protocol.SERVING)
        if change.previous is not None:
            self._drain(change.previous, change.candidate.exchanges)
        self._retire_orphans(change.candidate.exchanges)
        self._say(f"generation {change.candidate.generation} serves")
        change.answer(ok=True, phase="confirmed")

    def _revert(self, change: Change, reason: str) -> None:
        self._say(f"generation {change.candidate.generation} is taken back: {reason}")
        change.start_revert(reason)

    def _reverted(self, change: Change) -> None:
        self._change = None
        self._last_revert = {"generation": change.candidate.generation, "reason": change.reason, "boot": False}
        self._drain(change.candidate, change.previous.exchanges if change.previous else [])
        if change.asked:
            change.answer(ok=True, phase="reverted")
        if change.session is None:
            self._boot_failed(change.reason)

    def _abandon(self, change: Change, reason: str) -> None:
        """Undo whatever the session had begun."""
        if change.phase in (STAGING, STAGED):
            self._kill(change.candidate)
            self._change = None
            self._say(f"generation {change.candidate.generation} is dropped: {reason}")
        elif change.phase in (OPENING, PAUSING, PROVISIONAL):
            self._revert(change, reason)

    # --- workers ----------------------------------------------------------------------------------------------

    def _fork(self, group: Group, index: int) -> None:
        ours, theirs = socket.socketpair()
        pid = os.fork()
        if pid == 0:
            self._become_worker(group, index, theirs, ours)
        theirs.close()
        handle = WorkerHandle(pid, index, protocol.Peer(ours), time.monotonic())
        group.workers.append(handle)
        self._selector.register(ours, selectors.EVENT_READ, lambda _: self._hear(group, handle))

    def _become_worker(self, group: Group, index: int, channel: socket.socket, masters: socket.socket) -> None:
        signal.set_wakeup_fd(-1)
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGCHLD, signal.SIGHUP):
            signal.signal(number, signal.SIG_DFL)
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        masters.close()
        for key in list(self._selector.get_map().values()):
            os.close(key.fd)
        self._wakeup[1].close()
        self._selector.close()
        self._listeners.keep_only([group.listener])
        worker.run(
            worker.Assignment(
                settings=group.settings,
                index=index,
                environment=group.environment,
                directory=self._options.run,
                channel=channel,
                listener=group.listener,
                backlog=BACKLOG,
            )
        )

    def _hear(self, group: Group, handle: WorkerHandle) -> None:
        if handle.channel.closed:
            return
        for message in handle.channel.receive():
            event = message.get("event")
            self._to_adopt |= set(message.get("modules", ())) - sys.modules.keys()
            if event == "ready":
                handle.role, handle.http, handle.exchange = protocol.CANDIDATE, message["http"], message["exchange"]
                self._estimator.learn(group.settings.models, time.monotonic() - handle.started)
                if group.role != protocol.CANDIDATE:
                    group.tell(handle)
            elif event == "role":
                handle.role = message["role"]
            elif event == "failed":
                handle.failure = str(message["reason"])
        if handle.channel.closed:
            self._forget_channel(handle)

    def _forget_channel(self, handle: WorkerHandle) -> None:
        if handle.channel.sock.fileno() >= 0:
            self._selector.unregister(handle.channel.sock)
            handle.channel.close()

    def _reap(self) -> None:
        for group in list(self._groups):
            for handle in list(group.workers):
                if _has_ended(handle):
                    self._hear(group, handle)
                    self._forget_channel(handle)
                    self._sweep_sockets(handle.pid)
                    self._died(group, handle)
            self._remove_if_empty(group)

    def _remove_if_empty(self, group: Group) -> None:
        awaited = self._change is not None and group is self._change.candidate
        if not group.workers and not group.refork_at and not awaited and group in self._groups:
            self._groups.remove(group)
            if self._groups:
                self._listeners.keep_only(each.listener for each in self._groups)

    def _died(self, group: Group, handle: WorkerHandle) -> None:
        code = handle.exit_code or 0
        why = f"killed by signal {-code}" if code < 0 else f"exit code {code}"
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
                change.answer(ok=False, error=group.last_failure)
            return
        wait = group.crashed(handle, why)
        self._say(f"worker {handle.pid} of generation {group.generation} ended ({why}); again in {wait:g} s")
        if change is not None and group is change.candidate and change.phase != REVERTING:
            self._revert(change, f"a worker of the new generation ended: {group.last_failure}")

    def _drain(self, group: Group, heirs: list[str], limit: float | None = None) -> None:
        group.refork_at.clear()
        for handle in [handle for handle in group.workers if not handle.ready]:
            os.kill(handle.pid, signal.SIGKILL)
        group.take_role(protocol.DRAINING, heirs, limit)
        self._remove_if_empty(group)

    def _kill(self, group: Group) -> None:
        group.refork_at.clear()
        group.role = protocol.DRAINING
        for handle in group.workers:
            os.kill(handle.pid, signal.SIGKILL)
        self._remove_if_empty(group)

    def _sweep_sockets(self, pid: int) -> None:
        for kind in ("http", "fd"):
            (self._options.run / f"{pid}.{kind}").unlink(missing_ok=True)

    def _retire_orphans(self, heirs: list[str]) -> None:
        """Workers of a master that died leave when they have finished what they have."""
        for pid, exchange in self._orphans.items():
            if retire(exchange, heirs):
                self._say(f"worker {pid} of an earlier master leaves")
        self._orphans = {}

    # --- the control socket -----------------------------------------------------------------------------------

    def _accept(self) -> None:
        try:
            connection, _ = self._control.accept()
        except OSError:
            return
        peer = protocol.Peer(connection)
        self._sessions[peer] = True
        self._selector.register(connection, selectors.EVENT_READ, lambda _: self._listen_to(peer))

    def _listen_to(self, peer: protocol.Peer) -> None:
        for message in peer.receive():
            try:
                self._obey(peer, message)
            except Refused as refusal:
                peer.send({"ok": False, "error": str(refusal)})
            except (OSError, ValueError, KeyError, TypeError) as error:
                peer.send({"ok": False, "error": f"{type(error).__name__}: {error}"})
        if peer.closed:
            self._selector.unregister(peer.sock)
            peer.close()
            del self._sessions[peer]
            if self._change is not None and self._change.session is peer:
                self._abandon(self._change, "the connection of whoever made the change was lost")

    def _obey(self, peer: protocol.Peer, message: protocol.Message) -> None:
        command = message.get("command")
        if command == "status":
            peer.send({"ok": True, **self.status()})
        elif command == "stage":
            self._stage(Path(str(message["directory"])), peer)
        elif command == "stop":
            self._stop(float(message["limit"]) if "limit" in message else None)
            peer.send({"ok": True})
        elif command == "leave":
            if self._change is not None:
                raise Refused("a change is going on")
            peer.send({"ok": True})
            self._left = True
        elif command in ("promote", "confirm", "revert", "abort"):
            change = self._change
            if change is None or change.session is not peer:
                lost = f": {self._last_revert['reason']}" if self._last_revert else ""
                raise Refused(f"there is no change of this session to {command}{lost}")
            self._step(change, command, message)
        else:
            raise Refused(f"unknown command {command!r}")

    def _step(self, change: Change, command: str, message: protocol.Message) -> None:
        if command == "promote" and change.phase == STAGED:
            change.confirm_within = float(message["confirm_within"])
            change.promote()
        elif command == "confirm" and change.phase == PROVISIONAL:
            self._confirm(change)
        elif command == "revert" and change.phase in (OPENING, PAUSING, PROVISIONAL):
            change.asked = True
            self._revert(change, str(message.get("reason", "asked to")))
        elif command == "abort" and change.phase in (STAGING, STAGED):
            self._abandon(change, str(message.get("reason", "asked to")))
            change.answer(ok=True, phase="aborted")
        else:
            raise Refused(f"cannot {command} while {change.phase}")

    def _stop(self, limit: float | None) -> None:
        """Stop accepting, let everything finish for ``limit`` seconds, leave. Asked twice: leave now."""
        again = self._stopping is not None and limit is None
        if self._change is not None:
            change, self._change = self._change, None
            if change.phase in (STAGING, STAGED):
                self._kill(change.candidate)
        longest = max((group.settings.drain_seconds for group in self._groups), default=0.0)
        limit = longest if limit is None else limit
        self._stopping = time.monotonic() + (0 if again else limit + 1)
        for group in list(self._groups):
            self._drain(group, [], limit)
        self._retire_orphans([])
        self._listeners.close()

    def status(self) -> protocol.Message:
        """What runs here, for ``aiops status``."""
        change = self._change
        serving = self._serving() or (change.previous if change else None)
        return {
            "pid": os.getpid(),
            "version": aiops.__version__,
            "litellm": runtime.version(),
            "uptime": round(time.monotonic() - self._started, 1),
            "state": "stopping" if self._stopping is not None else "serving" if serving else "idle",
            "generation": serving.generation if serving else None,
            "change": {"generation": change.candidate.generation, "phase": change.phase} if change else None,
            "groups": [group.describe() for group in self._groups],
            "orphans": sorted(self._orphans),
            "last_revert": self._last_revert,
        }


def _has_ended(handle: WorkerHandle) -> bool:
    """Collect a child that has ended and note its exit code."""
    if handle.exit_code is None:
        pid, status = os.waitpid(handle.pid, os.WNOHANG)
        if pid:
            handle.exit_code = os.waitstatus_to_exitcode(status)
            return True
    return False
