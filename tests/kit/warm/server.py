"""The warm process: it waits, forks what is ordered, tells how each fork ended, and takes all along when it goes."""

from __future__ import annotations

import ctypes
import gc
import os
import select
import shutil
import signal
import socket
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from tests.kit.warm.orders import BEGUN, ENDED, Order

PR_SET_CHILD_SUBREAPER = 36  # prctl(2)


@dataclass(frozen=True)
class Ordered:
    """What a fork has to become, with the descriptors that came with the order, and whom it tells."""

    order: Order
    descriptors: list[int]
    _peer: socket.socket

    def begun(self) -> None:
        with suppress(OSError):
            self._peer.send(f"{BEGUN} {os.getpid()}".encode())
        self._peer.close()


class Server:
    """``lifeline``: a descriptor that comes to its end when the session does."""

    def __init__(self, listener: socket.socket, lifeline: int) -> None:
        self._lifeline = lifeline
        self._peers: dict[int, socket.socket] = {}
        adopt_orphans()
        self._ended, ending = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self._ours = [self._ended, ending, lifeline]
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(ending, warn_on_full_buffer=False)
        self._listener = listener

    def run(self, preload: Callable[[], None]) -> Ordered | None:
        """Serve until the session ends; None then. In a fork: what it has to become."""
        first = True
        while True:
            ready, _, _ = select.select([self._listener, self._ended, self._lifeline], [], [])
            if self._lifeline in ready and not os.read(self._lifeline, 1):
                end_descendants()
                shutil.rmtree(Path(self._listener.getsockname()).parent, ignore_errors=True)
                return None
            if self._ended in ready:
                self._collect()
            if self._listener not in ready:
                continue
            if first:
                preload()
                _require_one_thread()
                gc.collect()
                gc.freeze()
                first = False
            ordered = self._attend()
            if ordered is not None:
                return ordered

    def _attend(self) -> Ordered | None:
        peer, _ = self._listener.accept()
        received = None
        with suppress(OSError, ValueError):
            received = Order.receive(peer)
        if received is None:
            peer.close()
            return None
        pid = os.fork()
        if pid == 0:
            self._leave()
            return Ordered(*received, peer)
        for each in received[1]:
            os.close(each)
        self._peers[pid] = peer
        return None

    def _leave(self) -> None:
        """Forget, in a fork, whatever belongs to the warm process."""
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        for each in (self._listener, *self._peers.values()):
            each.close()
        for descriptor in self._ours:
            os.close(descriptor)

    def _collect(self) -> None:
        with suppress(BlockingIOError):
            os.read(self._ended, 4096)
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            peer = self._peers.pop(pid, None)  # None: somebody whose own parent has gone
            if peer is not None:
                with suppress(OSError):
                    peer.send(f"{ENDED} {os.waitstatus_to_exitcode(status)}".encode())
                peer.close()


def adopt_orphans() -> None:
    """From now on a descendant whose parent ends becomes our child: so what was detached is found again."""
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def _require_one_thread() -> None:
    threads = len(list(Path("/proc/self/task").iterdir()))
    if threads != 1:
        raise AssertionError(f"{threads} threads: what is forked from this would hang")


def end_descendants() -> None:
    """Kill the children, and those that become children by it, until nobody is left."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    while True:
        for pid in Path("/proc/thread-self/children").read_text().split():
            with suppress(ProcessLookupError):
                os.kill(int(pid), signal.SIGKILL)
        try:
            os.waitpid(-1, 0)
        except ChildProcessError:
            return
