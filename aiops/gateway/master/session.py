"""One change session as the master sees it: a candidate on its way to serving, and the way back.

    staging -> staged -> opening -> pausing -> provisional -> (confirmed)
                                       \\__________\\______-> reverting -> (reverted)

`opening` ends when every worker of the candidate accepts on the public socket; only then is the old generation
told to stop accepting (`pausing`), so at no moment does nobody accept. One that listens elsewhere accepts there until
the new one is confirmed: its address must not be lost to users before the other has proved itself.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from aiops.gateway.master.group import Group
from aiops.gateway.master.orphans import Orphans
from aiops.gateway.shared import protocol
from aiops.gateway.shared.messages import Answer, Progress, Refusal

STAGING, STAGED, OPENING, PAUSING, PROVISIONAL, REVERTING = (
    "staging",
    "staged",
    "opening",
    "pausing",
    "provisional",
    "reverting",
)
SWITCH_SECONDS = 25.0  # for workers to change places, which takes milliseconds; who asked waits for 30, and is told why
STOP_ACCEPTING_SECONDS = 2.0  # of a generation that is taken back; one that hangs cannot say that it has stopped


@dataclass(eq=False)
class Change:
    """``session`` is None for the generation the master starts by itself: it is promoted and confirmed unasked."""

    candidate: Group
    previous: Group | None
    orphans: Orphans  # of an earlier master, and perhaps at the same address
    session: protocol.Peer | None
    estimate: float
    deadline: float  # monotonic; of staging, of the change of places, of the confirmation
    phase: str = STAGING
    confirm_within: float = 0.0
    next_progress: float = field(default_factory=time.monotonic)
    reason: str = ""  # why it is being reverted
    asked: bool = False  # the session asked for the revert and waits for the answer
    labels: dict[str, object] = field(default_factory=dict)  # for the journal: generation, verb, provider

    @property
    def moves(self) -> bool:
        """Whether the candidate listens on another address."""
        return self.previous is not None and self.previous.listener is not self.candidate.listener

    @property
    def relieves(self) -> bool:
        """Full workers take over from light ones of the same generation: nothing changes for anybody."""
        return self.session is None and self.previous is not None and self.previous.light

    def answer(self, message: Answer | Progress | Refusal) -> None:
        if self.session is not None:
            self.session.send(message.plain())

    def progress(self, now: float) -> None:
        """Tell the session how far staging is, twice a second."""
        if self.session is None or now < self.next_progress:
            return
        self.next_progress = now + 0.5
        self.answer(
            Progress(
                elapsed=round(now - self.candidate.started, 2),
                estimate=round(self.estimate, 2),
                ready=sum(worker.ready for worker in self.candidate.workers),
                workers=self.candidate.settings.workers,
            )
        )

    def promote(self) -> None:
        self.phase = OPENING
        self.deadline = time.monotonic() + SWITCH_SECONDS
        self.candidate.take_role(protocol.PROVISIONAL)

    def advance(self) -> bool:
        """Go one phase on when its condition holds. True when something changed."""
        if self.phase == OPENING and self.candidate.all_in(protocol.PROVISIONAL):
            self.phase = PAUSING
            if self.previous is not None and not self.moves:
                self.previous.take_role(protocol.STANDBY)
            self.orphans.stand_by(self.candidate.listener)
            return True
        paused = self.previous is None or not self.previous.workers or self.previous.all_in(protocol.STANDBY)
        if self.phase == PAUSING and (paused or self.moves):
            self.phase = PROVISIONAL
            self.deadline = time.monotonic() + self.confirm_within
            return True
        return False

    def start_revert(self, reason: str) -> None:
        if self.phase in (OPENING, PAUSING) and not self.asked:
            self.answer(Refusal(reason))  # whoever asked for the promotion still waits for its answer
        self.phase = REVERTING
        self.reason = reason
        if self.previous is not None:
            self.previous.take_role(protocol.SERVING)
        self.orphans.resume()

    def taken_back(self, drain: Callable[[Group, list[str]], None], now: float) -> bool:
        """Whether the old generation serves again, and nobody but it: the new one lets go after it has taken over."""
        if not (self.previous is None or not self.previous.workers or self.previous.all_in(protocol.SERVING)):
            return False
        if self.candidate.role != protocol.DRAINING:
            self.deadline = now + STOP_ACCEPTING_SECONDS
            drain(self.candidate, self.previous.exchanges if self.previous else self.orphans.exchanges)
        stopped = all(worker.role == protocol.DRAINING for worker in self.candidate.workers)
        return stopped or now > self.deadline
