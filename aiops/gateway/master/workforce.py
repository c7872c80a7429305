"""All workers of all generations: forked, listened to, counted, ended."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import time
from collections.abc import Callable

from aiops.gateway.master.events import Events
from aiops.gateway.master.group import Group, WorkerHandle
from aiops.gateway.master.listeners import BACKLOG, Listeners
from aiops.gateway.master.options import Options
from aiops.gateway.master.say import say
from aiops.gateway.shared import protocol
from aiops.gateway.shared.journald import WARNING
from aiops.gateway.worker import worker
from aiops.gateway.worker.assignment import Assignment

Heard = Callable[[Group, WorkerHandle, protocol.Message], None]
Died = Callable[[Group, WorkerHandle, str], None]

FORK_AGAIN_SECONDS = 5.0


class Workforce:
    """``heard`` is called for each message of a worker, ``died`` for each death, with the reason. ``leave``: what a
    child has to do first."""

    def __init__(
        self,
        events: Events,
        listeners: Listeners,
        options: Options,
        heard: Heard,
        died: Died,
        leave: Callable[[], None] = lambda: None,
    ) -> None:
        self._leave = leave
        self.groups: list[Group] = []
        self._events = events
        self._listeners = listeners
        self._sockets = options.run
        self._state = options.state
        self._unswept: set[int] = set()
        self._heard = heard
        self._died = died

    def start(self, group: Group) -> None:
        """Fork all workers of a new group."""
        self.groups.append(group)
        for index in range(group.settings.workers):
            self.fork(group, index)

    def fork(self, group: Group, index: int) -> None:
        ours, theirs = socket.socketpair()
        try:
            pid = os.fork()
        except OSError:
            ours.close()
            theirs.close()
            raise
        if pid == 0:
            self._become_worker(group, index, theirs, ours)
        theirs.close()
        self._unswept.discard(pid)
        handle = WorkerHandle(pid, index, protocol.Peer(ours), time.monotonic())
        group.workers.append(handle)
        self._watch(group, handle)

    def adopt(self, group: Group) -> None:
        """Go on with workers that an earlier program of this process forked."""
        self.groups.append(group)
        for handle in group.workers:
            self._watch(group, handle)

    def _watch(self, group: Group, handle: WorkerHandle) -> None:
        self._events.watch(handle.channel.sock, lambda: self._hear(group, handle))

    def resume(self) -> None:
        """Go on after another master had them for a while: it may have told them anything, and some may have ended."""
        self.reap()
        for group in self.groups:
            group.take_role(group.role, group.heirs, group.limit)

    def pids(self) -> set[int]:
        return {handle.pid for group in self.groups for handle in group.workers}

    def fork_again(self, now: float, *, full: bool) -> None:
        """Replace the workers that died, when their time has come; ``full``: also those that need LiteLLM."""
        self._sweep()
        for group in self.groups:
            if not (full or group.light):
                continue
            if group.adopted and group.workers:
                continue  # what is imported here need not be what that generation was proved with: only for want of any
            for index, when in list(group.refork_at.items()):
                if now >= when and group.role != protocol.DRAINING:
                    del group.refork_at[index]
                    try:
                        self.fork(group, index)
                    except OSError as error:  # no memory, or too many processes or descriptors, for now
                        group.refork_at[index] = now + FORK_AGAIN_SECONDS
                        say(f"cannot fork a worker: {error.strerror}; again in {FORK_AGAIN_SECONDS:g} s", WARNING)

    def reap(self) -> None:
        """Collect the children that have ended."""
        for group in list(self.groups):
            for handle in list(group.workers):
                if _has_ended(handle):
                    self._hear(group, handle)
                    self._forget_channel(handle)
                    self._unswept.add(handle.pid)
                    code = handle.exit_code or 0
                    self._died(group, handle, f"killed by signal {-code}" if code < 0 else f"exit code {code}")

    def _sweep(self) -> None:
        """Remove the sockets of workers that ended; on a read-only disk that is tried again and again."""
        with contextlib.suppress(OSError):
            for ended in list(self._unswept):
                for kind in ("http", "fd"):
                    (self._sockets / f"{ended}.{kind}").unlink(missing_ok=True)
                self._unswept.discard(ended)

    def drain(self, group: Group, heirs: list[str], limit: float | None = None) -> None:
        """Let the workers of a group finish and leave; those not ready yet have nothing to finish."""
        group.refork_at.clear()
        for handle in [handle for handle in group.workers if not handle.ready]:
            _kill(handle)
        group.take_role(protocol.DRAINING, heirs, limit)

    def succeed(self, previous: Group | None, heirs: list[str]) -> None:
        """``heirs`` take over from ``previous``, and from all that still finish streams of earlier generations:
        the heirs those know may leave before them."""
        for group in self.groups:
            if group.role == protocol.DRAINING:
                group.take_role(protocol.DRAINING, heirs, group.limit)
        if previous is not None:
            self.drain(previous, heirs)

    def kill(self, group: Group) -> None:
        group.refork_at.clear()
        group.role = protocol.DRAINING
        for handle in group.workers:
            _kill(handle)

    def kill_all(self) -> None:
        for group in self.groups:
            self.kill(group)

    def drop_empty(self) -> None:
        """Forget the groups that have left, and the listeners that only they used.

        An address that only draining groups had is refused as soon as they have stopped accepting: they may take an
        hour to finish, and whoever connects meanwhile would wait for nobody. When all are leaving it is the service
        manager's to keep.
        """
        used = [each for group in self.groups if group.role != protocol.DRAINING for each in group.listeners]
        for group in self.groups if used else ():
            if not group.workers or group.all_in(protocol.DRAINING):
                for listener in group.listeners:
                    if listener not in used:
                        self._listeners.let_go(listener)
        left = [group for group in self.groups if group.role == protocol.DRAINING and not group.workers]
        for group in left:
            self.groups.remove(group)
        if left and self.groups:
            self._listeners.keep_only(each for group in self.groups for each in group.listeners)

    def _become_worker(self, group: Group, index: int, channel: socket.socket, masters: socket.socket) -> None:
        masters.close()
        self._leave()
        self._events.leave_to_parent()
        self._listeners.keep_only(group.listeners)
        worker.run(
            Assignment(
                settings=group.settings,
                slots=group.slots,
                index=index,
                environment=group.environment,
                directory=self._sockets,
                state=self._state,
                channel=channel,
                listener=group.listener,
                admin=group.admin,
                backlog=BACKLOG,
                models=group.models,
            )
        )

    def _hear(self, group: Group, handle: WorkerHandle) -> None:
        if handle.channel.closed:
            return
        for message in handle.channel.receive():
            self._heard(group, handle, message)
        # receive() closes the channel at end of file, which a type checker cannot see.
        if bool(handle.channel.closed):
            self._forget_channel(handle)
            if not handle.child:
                self.reap()

    def _forget_channel(self, handle: WorkerHandle) -> None:
        self._events.forget(handle.channel.sock)
        handle.channel.close()


def _kill(handle: WorkerHandle) -> None:
    with contextlib.suppress(ProcessLookupError):  # the child of another master may be gone, and collected by it
        os.kill(handle.pid, signal.SIGKILL)


def _has_ended(handle: WorkerHandle) -> bool:
    """Collect a child that has ended and note its exit code; the child of another master ends with its channel."""
    if handle.exit_code is None and not handle.child:
        handle.exit_code = 0 if handle.channel.closed else None
        return handle.channel.closed
    if handle.exit_code is None:
        pid, status = os.waitpid(handle.pid, os.WNOHANG)
        if pid:
            handle.exit_code = os.waitstatus_to_exitcode(status)
            return True
    return False
