"""What a test holds of a forked process: all that ``subprocess.Popen`` gives, of a child that is somebody else's."""

from __future__ import annotations

import os
import select
import signal
import socket
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.kit.warm.orders import Order
from tests.kit.warm.product import Program, same_start


class Forked(subprocess.Popen[Any]):
    """Started by fork where a warm process can become that program, and for real otherwise.

    The pipes, ``communicate`` and the rest are the standard library's; only who starts and who waits is other.
    """

    places: Mapping[str, str] = {}
    masters = ""

    def _execute_child(self, args: Any, *more: Any) -> None:
        # In the order of the standard library, 3.11 to 3.14.
        (_, preexec, _, pass_fds, cwd, env, _, _, shell, *pipes, _, gid, gids, uid, umask, session, group) = more
        self._answers: socket.socket | None = None
        program = None if shell or isinstance(args, str | bytes | os.PathLike) else Program.of(args)
        environment = dict(os.environ if env is None else env)
        special = preexec or pass_fds or gid is not None or gids or uid is not None or umask >= 0 or group >= 0
        if program is None or program.warm not in self.places or special or not same_start(environment):
            super()._execute_child(args, *more)  # type: ignore[misc]
            return
        order = Order(
            argv=[str(each) for each in args],
            module=program.module,
            environment=environment,
            directory=str(Path.cwd() / (cwd or "")),
            new_session=bool(session),
            masters=self.masters if program.warm == "commands" else "",
        )
        theirs = (pipes[0], pipes[3], pipes[5])
        given = tuple(own if one == -1 else one for own, one in enumerate(theirs))
        self._answers, self.pid = order.send(self.places[program.warm], given)  # type: ignore[arg-type]
        self._child_created = True
        self._close_pipe_fds(*pipes)  # type: ignore[attr-defined]

    def _internal_poll(self, *more: Any, **named: Any) -> int | None:
        if self._answers is None:
            code: int | None = super()._internal_poll(*more, **named)  # type: ignore[misc]
            return code
        return self._told(0)

    def _wait(self, timeout: float | None) -> int:
        if self._answers is None:
            code: int = super()._wait(timeout=timeout)  # type: ignore[misc]
            return code
        told = self._told(timeout)
        if told is None:
            raise subprocess.TimeoutExpired(self.args, timeout or 0)
        return told

    def _told(self, timeout: float | None) -> int | None:
        """The exit code, once the warm process has said it."""
        assert self._answers is not None
        if self.returncode is None and select.select([self._answers], [], [], timeout)[0]:
            # Nothing: the warm process is gone, and took its forks along.
            self.returncode = int(self._answers.recv(64).decode().partition(" ")[2] or -signal.SIGKILL)
            self._answers.close()
        return self.returncode


def through(places: Mapping[str, str], masters: str = "") -> type[Forked]:
    """A ``Popen`` that forks from the warm processes at ``places``."""
    return type("Forked", (Forked,), {"places": places, "masters": masters})
