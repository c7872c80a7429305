"""LiteLLM in the master: imported when somebody needs it, while the master goes on with everything but forking full
workers.

The import takes 5 to 14 seconds of the one thread that there is. A timer interrupts it several times a second for one
turn of the master's loop: it answers, reaps, feeds a watchdog and can be told to stop, and light workers that die are
forked again. The interpreter runs a signal's handler between two instructions, never inside of C code, and the import
goes on where it was.
"""

from __future__ import annotations

import os
import signal
import sys
import time
import traceback
from collections.abc import Callable
from contextlib import suppress
from types import FrameType

from aiops.gateway.master.estimate import IMPORT_SECONDS
from aiops.gateway.master.say import say
from aiops.gateway.shared import messages, protocol
from aiops.gateway.shared.journald import WARNING
from aiops.gateway.worker import runtime

EVERY_SECONDS = 0.2
AGAIN_FIRST, AGAIN_MOST = 30.0, 600.0  # until an import that failed is tried again, doubled each time

# Who asks for these tells progress from the answer; another master, which asks to succeed, does not.
TOLD = messages.Stage | messages.Become | messages.Back


class Loading:
    """``turn``: one turn of the master."""

    def __init__(self, turn: Callable[[], None]) -> None:
        self.going_on = False
        self.failure = ""
        self.seconds = IMPORT_SECONDS
        """That it took; before, about how many it may take."""
        self.again_at = 0.0
        self.later: list[tuple[protocol.Peer, messages.AnyRequest]] = []
        """What cannot be done meanwhile, and who asked for it."""
        self._turn = turn
        self._began = 0.0
        self._failures = 0
        self._in_turn = False
        self._before: frozenset[str] = frozenset()

    @property
    def is_here(self) -> bool:
        return not self.going_on and runtime.is_loaded()

    def at_once(self) -> None:
        """With nothing beside it. Raises whatever the import raises."""
        from aiops.gateway.master.scout import warm_up  # pydantic, which a master without LiteLLM does without

        self.seconds = warm_up()
        say(f"LiteLLM {runtime.version()} imported in {self.seconds:.1f} s")
        for note in runtime.notes():
            say(note)
        if not runtime.is_safe_to_fork():
            say("warning: importing LiteLLM left threads behind; forking is not safe", WARNING)

    def take_later(self) -> list[tuple[protocol.Peer, messages.AnyRequest]]:
        """What was put off, of those who are still there."""
        later, self.later = self.later, []
        return [(peer, request) for peer, request in later if not peer.closed]

    def in_turns(self, for_: protocol.Peer | None = None) -> bool:
        """Whether it is here then; ``failure`` says why not. ``for_``: who waits for it."""
        self._before = frozenset(sys.modules)
        self._began = time.monotonic()
        self.going_on, self.failure = True, ""
        owner = os.getpid()

        def interrupt(number: int, frame: FrameType | None) -> None:
            if self._in_turn or os.getpid() != owner:
                return
            self._in_turn = True
            try:
                self._turn()
                self._tell(for_)
            except Exception:
                with suppress(Exception):  # it would end the import
                    traceback.print_exc()
            finally:
                self._in_turn = False

        before = signal.signal(signal.SIGALRM, interrupt)
        signal.setitimer(signal.ITIMER_REAL, EVERY_SECONDS, EVERY_SECONDS)
        try:
            self.at_once()
            self._failures = 0
        except BaseException as error:  # whatever it is: the direct lane serves on
            self.failure = f"{type(error).__name__}: {error}".strip(": ")
            self._failures += 1
            wait = min(AGAIN_FIRST * 2.0 ** (self._failures - 1), AGAIN_MOST)
            self.again_at = time.monotonic() + wait
            runtime.forget()
            say(f"LiteLLM cannot be imported: {self.failure}", WARNING)
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, before)
            self.going_on = False
        return not self.failure

    def _tell(self, for_: protocol.Peer | None) -> None:
        """Who waits for it is told several times a second how far it is: a session loses its patience else."""
        said = messages.Progress(
            elapsed=round(time.monotonic() - self._began, 2), estimate=self.seconds, loads=True
        ).plain()
        for peer in [for_, *(peer for peer, request in self.later if isinstance(request, TOLD))]:
            if peer is not None:
                peer.send(said)

    def leave_to_master(self) -> None:
        """In a light worker that is forked meanwhile."""
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        self.forget_what_is_not_finished()

    def forget_what_is_not_finished(self) -> None:
        """What is imported in part is as good as not at all."""
        if self.going_on:
            for name in sys.modules.keys() - self._before:
                del sys.modules[name]
