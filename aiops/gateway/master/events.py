"""The master's select loop: sockets and signals become calls. Nothing here knows what a gateway is."""

from __future__ import annotations

import os
import selectors
import signal
import socket
from collections.abc import Callable
from contextlib import suppress

Handler = Callable[[], None]


class Events:
    def __init__(self) -> None:
        self._selector = selectors.DefaultSelector()
        self._arrived: list[int] = []

    def watch(self, sock: socket.socket, handler: Handler) -> None:
        self._selector.register(sock, selectors.EVENT_READ, handler)

    def forget(self, sock: socket.socket) -> None:
        if sock.fileno() >= 0:
            self._selector.unregister(sock)

    def catch(self, *numbers: int) -> None:
        """Signals wake the loop instead of interrupting whatever runs."""
        reading, writing = socket.socketpair()
        for end in (reading, writing):
            end.setblocking(False)
        signal.set_wakeup_fd(writing.fileno(), warn_on_full_buffer=False)
        self._wakeup = (reading, writing)
        for number in numbers:
            signal.signal(number, lambda *_: None)
        self.watch(reading, self._hear_of_signals)

    def _hear_of_signals(self) -> None:
        # A handler before this one may have taken a turn of its own, and then there is nothing any more.
        with suppress(BlockingIOError):
            self._arrived.extend(self._wakeup[0].recv(64))

    def wait(self, seconds: float) -> set[int]:
        """Handle what is ready, waiting at most ``seconds`` for it. Returns the signals that came."""
        watched = self._selector.get_map()
        for key, _ in self._selector.select(seconds):
            if watched.get(key.fd) is not key:
                continue  # what came before has forgotten it
            handler: Handler = key.data
            handler()
        arrived, self._arrived = set(self._arrived), []
        return arrived

    def leave_to_parent(self) -> None:
        """In a forked child: give up everything the parent watches, without touching the parent's side."""
        signal.set_wakeup_fd(-1)
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGCHLD):
            signal.signal(number, signal.SIG_DFL)
        for key in list(self._selector.get_map().values()):
            os.close(key.fd)
        self._wakeup[1].close()
        self._selector.close()
