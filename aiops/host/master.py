"""Talking to the gateway's master over its control socket."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar, cast

from aiops.errors import AiopsError, Precondition
from aiops.gateway.shared import messages, protocol
from aiops.gateway.shared.messages import Answer, Request, Status

Progress = Callable[[messages.Progress], None]
A = TypeVar("A", bound=Answer)


class MasterGone(Precondition):
    """Nobody answers on the control socket."""


class MasterRefused(AiopsError):
    """The master answered no. The message is its reason."""

    exit_code = 4
    name = "gateway"


class Session:
    """One connection to the master. A change lives as long as the session it was staged on, until confirmed."""

    def __init__(self, run: Path, timeout: float = 10.0) -> None:
        """Connect. Raises MasterGone, MasterRefused."""
        self._run = run
        self._timeout = timeout
        self._connect()

    def _connect(self) -> None:
        self._sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._sock.settimeout(self._timeout)
        self._lines = protocol.LineBuffer()
        self._queue: list[dict[str, Any]] = []
        try:
            self._sock.connect(str(self._run / protocol.CONTROL))
        except BlockingIOError as error:
            # unix(7): so many wait already that the socket's queue is full. Somebody listens who has no time.
            self._sock.close()
            raise MasterRefused(
                "the gateway is too busy to answer", "try again; `aiops logs` shows what it does"
            ) from error
        except OSError as error:
            self._sock.close()
            raise MasterGone("the gateway is not running", "`aiops up` starts it") from error

    def reopen(self) -> None:
        """A new connection: the master became another program and dropped the old one.

        Raises MasterGone, MasterRefused.
        """
        self._sock.close()
        self._connect()

    def __enter__(self) -> Session:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._sock.close()

    def call(self, request: Request[A], timeout: float | None = None, progress: Progress | None = None) -> A:
        """Send a request and wait for its answer. Progress events restart the clock of ``timeout`` seconds.

        Raises MasterRefused with the master's reason, MasterGone when the connection breaks.
        """
        command, patience = request.command, self._timeout if timeout is None else timeout
        try:
            self._sock.sendall(protocol.encode(request.plain()))
            while True:
                answer = self._next(patience)
                if answer.get("event") == "progress":
                    if progress is not None:
                        progress(messages.Progress.of(answer))
                    continue
                break
        except TimeoutError as error:
            raise MasterRefused(f"the gateway did not answer `{command}` within {patience:g} s") from error
        except OSError as error:
            raise MasterGone(f"the gateway's master went away during `{command}`", "`aiops up` starts it") from error
        if not answer.get("ok"):
            raise MasterRefused(messages.Refusal.of(answer).error)
        try:
            return cast(A, request.answers.of(answer))
        except ValueError as error:
            raise MasterRefused(f"the gateway's answer to `{command}` is not understood: {error}") from error

    def _next(self, patience: float) -> dict[str, Any]:
        deadline = time.monotonic() + patience
        while not self._queue:
            self._sock.settimeout(max(deadline - time.monotonic(), 0.001))
            data = self._sock.recv(65536)
            if not data:
                raise ConnectionResetError("closed")
            self._queue += self._lines.feed(data)
        return self._queue.pop(0)


def status(run: Path, timeout: float = 2.0) -> Status | None:
    """The master's own account of itself. None when there is no master; a state of BUSY when it does not
    answer within ``timeout`` seconds (it is importing LiteLLM, or the machine is very slow)."""
    try:
        with Session(run, timeout) as session:
            return session.call(messages.Look())
    except MasterGone:
        return None
    except MasterRefused:
        return Status(messages.BUSY)
