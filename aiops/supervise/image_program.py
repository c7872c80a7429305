"""Changing to another image within a change: a container of it takes over, on approval."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from aiops.errors import AiopsError
from aiops.gateway.shared.messages import Back, Look
from aiops.host import master
from aiops.host.master import MasterGone, MasterRefused, Session
from aiops.host.process import Update
from aiops.supervise.containers import Containers, Made

BACK_SECONDS = 60.0
END_SECONDS = 5.0


class ImageProgram:
    """A ``Program`` of a transaction, see ``supervise/program.py``."""

    def __init__(self, containers: Containers, made: Made, run: Path) -> None:
        self._containers = containers
        self._made = made
        self._run = run
        self._name = ""

    def enter(self, session: Session, hold: float, update: Update) -> None:
        self._name = self._containers.succeed(self._made, hold, update)
        session.reopen()

    def leave(self, session: Session) -> None:
        if not self._name:
            return
        with suppress(MasterGone, MasterRefused), Session(self._run) as fresh:
            if fresh.call(Look()).container == self._name:
                fresh.call(Back())
        if not self._wait(BACK_SECONDS, self._is_back) and master.status(self._run) is not None:
            raise MasterRefused(
                f"the gateway did not come back from the container {self._name} within {BACK_SECONDS:g} s",
                "`aiops restart` has it run in the image of the committed generation",
            )
        # What it had promoted before may still answer somebody: then it ends by itself, and is swept later.
        self._wait(END_SECONDS, self._has_ended)
        self._containers.sweep(keep=self._current())

    def stay(self) -> None:
        if self._name:
            with suppress(AiopsError):  # the change is live; what looks after the gateway finds out by itself
                self._containers.follow(self._name)

    def _is_back(self) -> bool:
        """Another one answers. No answer is no proof: whom the new master had not answered yet is cut off."""
        status = master.status(self._run)
        return status is not None and status.container not in (None, self._name)

    def _has_ended(self) -> bool:
        there = self._containers.get(self._name)
        return there is None or not there.runs

    def _current(self) -> str | None:
        current = self._containers.current()
        return current.name if current else None

    @staticmethod
    def _wait(seconds: float, holds: Callable[[], bool]) -> bool:
        """Whether it came to hold in time."""
        deadline = time.monotonic() + seconds
        while not (held := holds()) and time.monotonic() < deadline:
            time.sleep(0.1)
        return held
