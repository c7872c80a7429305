"""Making the master become another program, and waiting until that one answers."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Protocol

from aiops.errors import VerificationFailed
from aiops.gateway.shared import installed
from aiops.gateway.shared.messages import BUSY, Become, Look, Status
from aiops.host import master
from aiops.host.master import MasterGone, MasterRefused, Session
from aiops.host.process import Update
from aiops.supervise.contract import IMPORT_SECONDS

# The new program gives itself 300 s before it hands back, and the one before it imports again.
ANSWER_SECONDS = 600.0
QUESTION_SECONDS = 5.0  # every question that is given up stays in the queue of the control socket
ATTEMPTS = 3


class Program(Protocol):
    """What a change has the gateway run in, if that is another than now: an interpreter, or an image."""

    def enter(self, session: Session, hold: float, update: Update) -> None:
        """Make it serve, on approval for ``hold`` seconds at a time; ``session`` talks to it afterwards.

        Raises DoesNotStart, MasterRefused, MasterGone, with the one before serving as it did.
        """
        ...

    def leave(self, session: Session) -> None:
        """Back to the one before, unless it went there by itself. Raises MasterRefused."""
        ...

    def stay(self) -> None:
        """The change is confirmed."""
        ...


class Interpreter:
    """A runtime of this machine: the master becomes a program of it."""

    def __init__(self, python: Path, run: Path) -> None:
        self._python = python
        self._run = run
        self._came_from: Path | None = None

    def enter(self, session: Session, hold: float, update: Update) -> None:
        self._came_from = Path(session.call(Look()).python)
        switch(session, self._run, self._python, hold, update)

    def leave(self, session: Session) -> None:
        if self._came_from is not None:
            return_to(session, self._run, self._came_from)

    def stay(self) -> None:
        return None


class DoesNotStart(VerificationFailed):
    """The new program gave up before it served anything, and the one before it is back."""


def python_for(state: Path, runtime: str | None, status: Status | None) -> Path | None:
    """The interpreter of a runtime, None when it is gone. Of the installation: where the master came from, or ours."""
    if runtime is not None:
        return installed.python_of(state, runtime)
    came_from = status.handover.python if status and status.handover else ""
    if came_from and not Path(came_from).is_relative_to(state / installed.RUNTIMES) and Path(came_from).exists():
        return Path(came_from)
    return Path(sys.executable)


def switch(session: Session, run: Path, python: Path, hold: float, update: Update) -> None:
    """Make the master become ``python``; ``session`` talks to the new program afterwards.

    ``hold``: seconds after which it hands back by itself unless a change is staged and confirmed; 0 for good.
    Raises DoesNotStart when it handed back at once, MasterRefused, MasterGone.
    """
    import secrets

    token = secrets.token_hex(8)
    session.call(Become(str(python), token, hold))
    started = time.monotonic()
    unanswered = 0
    while (elapsed := time.monotonic() - started) < ANSWER_SECONDS:
        # The control socket itself stays open: who asks meanwhile is answered as soon as the new program can.
        status = master.status(run, timeout=QUESTION_SECONDS)
        # Once is no death: whom the old program had accepted but not answered is cut off when it becomes the new one.
        unanswered = unanswered + 1 if status is None else 0
        if unanswered > 1 and elapsed > 1.0:
            raise MasterGone("the gateway's master died while it changed its runtime", "`aiops up` starts it")
        handover = status.handover if status is not None else None
        if handover is not None and handover.token == token:
            session.reopen()
            if handover.error:
                raise DoesNotStart(
                    f"the gateway does not start in {python.parents[1]}: {handover.error}",
                    "the old one never stopped serving; `aiops logs` shows more",
                )
            return
        update(elapsed, max(IMPORT_SECONDS, elapsed * 1.2), "importing LiteLLM")
        time.sleep(0.02)
    raise MasterGone(f"the gateway's master did not answer within {ANSWER_SECONDS:g} s of changing its runtime")


def return_to(session: Session, run: Path, python: Path) -> None:
    """Back to the interpreter that served before, unless the master went there by itself. Raises MasterRefused."""
    try:
        status = calm(run)
        if status is not None and status.python != str(python):
            session.reopen()
            switch(session, run, python, 0.0, lambda *_: None)
    except MasterGone:
        return  # its workers serve on, and the next master starts in the runtime of the committed generation


def settle(state: Path, run: Path) -> str | None:
    """Bring the master back into the runtime of the committed generation. A sentence when it was in another."""
    wanted = installed.committed(state)
    if installed.is_image(wanted):
        return _settle_image(run, wanted)
    for _ in range(ATTEMPTS):
        status = calm(run)
        if status is None or not status.tells_runtime or (status.runtime == wanted and not status.on_approval):
            return None
        python = python_for(state, wanted, status)
        if python is None:
            return f"the runtime {wanted} of the committed generation is gone; the gateway runs in another one"
        try:
            with Session(run) as session:
                switch(session, run, python, 0.0, lambda *_: None)
        except (MasterGone, MasterRefused):
            continue  # it was on its way there by itself
        return f"the gateway runs in {wanted or 'the installation'} again"
    return f"warning: the gateway does not run in {wanted or 'the installation'}, as it should"


def _settle_image(run: Path, wanted: str | None) -> str | None:
    """A container on approval gives back by itself. A sentence when it is not the committed one that serves."""
    deadline = time.monotonic() + ANSWER_SECONDS
    while (status := calm(run)) is not None and status.on_approval and time.monotonic() < deadline:
        time.sleep(0.1)
    if status is None or status.runtime in (None, wanted):
        return None
    return f"warning: the gateway runs in {status.runtime}, not in {wanted} as it should: `aiops restart`"


def calm(run: Path) -> Status | None:
    """The master's status as soon as it has time to say it; None when there is no master."""
    deadline = time.monotonic() + ANSWER_SECONDS
    while (status := master.status(run)) is not None and status.state == BUSY and time.monotonic() < deadline:
        time.sleep(0.05)
    return status
