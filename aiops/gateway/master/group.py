"""The workers of one generation, as the master keeps track of them."""

from __future__ import annotations

import socket
import time
from dataclasses import dataclass, field

from aiops.gateway.shared import messages, protocol
from aiops.gateway.worker.listed import Listed
from aiops.gateway.worker.settings import Settings
from aiops.gateway.worker.slots import Slots

# A worker that dies is forked again after this many seconds, doubled for each death in a row.
BACKOFF_FIRST, BACKOFF_MOST = 0.1, 30.0
STEADY_SECONDS = 60.0  # a worker that lived this long starts again at the first step
LEAVING_SECONDS = 2.0  # a worker that has reached its limit cuts off and tidies up meanwhile


@dataclass(eq=False)
class WorkerHandle:
    """One child process. ``role`` is what it acknowledged; None until it is ready."""

    pid: int
    index: int
    channel: protocol.Peer
    started: float
    role: str | None = None
    http: str = ""
    exchange: str = ""
    failure: str = ""
    exit_code: int | None = None  # negative: the signal that killed it
    child: bool = True  # of this master: of one in another container only the end of its channel is seen

    @property
    def ready(self) -> bool:
        return self.role is not None

    def describe(self) -> messages.Worker:
        return messages.Worker(pid=self.pid, http=self.http, role=self.role or "starting")


@dataclass(eq=False)
class Group:
    """All workers of one generation. ``role`` is what they are meant to be."""

    settings: Settings
    environment: dict[str, str]
    listener: socket.socket
    admin: socket.socket | None = None  # of the management API, when it has a port of its own
    role: str = protocol.CANDIDATE
    workers: list[WorkerHandle] = field(default_factory=list)
    started: float = field(default_factory=time.monotonic)
    crashes: int = 0
    crashes_in_a_row: int = 0
    last_failure: str = ""
    refork_at: dict[int, float] = field(default_factory=dict)  # worker index -> monotonic time
    heirs: list[str] = field(default_factory=list)
    limit: float | None = None
    drained_by: float | None = None  # monotonic; when the last worker of a draining generation is to have left
    adopted: bool = False  # forked by an earlier program, perhaps with another LiteLLM
    models: Listed | None = None  # of light workers
    slots: Slots = field(init=False)  # made before the first fork, so that all workers share it

    def __post_init__(self) -> None:
        routing = self.settings.routing
        self.slots = Slots(self.settings.workers, len(routing.providers) if routing else 0)

    @property
    def generation(self) -> int:
        return self.settings.generation

    @property
    def light(self) -> bool:
        """Its workers have no LiteLLM."""
        return self.models is not None

    @property
    def ready(self) -> bool:
        """All workers are ready, whatever their role."""
        return len(self.workers) == self.settings.workers and all(worker.ready for worker in self.workers)

    @property
    def listeners(self) -> list[socket.socket]:
        return [self.listener, *([self.admin] if self.admin is not None else ())]

    def all_in(self, role: str) -> bool:
        """Every worker has acknowledged ``role``."""
        return bool(self.workers) and all(worker.role == role for worker in self.workers)

    @property
    def exchanges(self) -> list[str]:
        return [worker.exchange for worker in self.workers if worker.ready]

    def take_role(self, role: str, heirs: list[str] | None = None, limit: float | None = None) -> None:
        """Tell every ready worker its role; those that become ready later are told then."""
        self.role = role
        self.heirs = heirs or []
        self.limit = limit
        if role != protocol.DRAINING:
            self.drained_by = None
        elif self.drained_by is None:  # heirs may be named again later; the limit counts from the first time
            seconds = self.settings.drain_seconds if limit is None else limit
            self.drained_by = time.monotonic() + seconds + LEAVING_SECONDS
        for worker in self.workers:
            self.tell(worker)

    def tell(self, worker: WorkerHandle) -> None:
        message: protocol.Message = {"role": self.role, "heirs": self.heirs}
        if self.limit is not None:
            message["limit"] = self.limit
        if worker.ready:
            worker.channel.send(message)

    def say_of_litellm(self, why: str) -> None:
        """Tell light workers why there is none, and none on its way; empty: it is on its way."""
        for worker in self.workers:
            if worker.ready:
                worker.channel.send({"litellm": why})

    def crashed(self, worker: WorkerHandle, reason: str) -> float:
        """Note a death that was not asked for. Returns the seconds to wait before forking again."""
        self.workers.remove(worker)
        self.slots.clear(worker.index)  # what it was answering, nobody answers now
        self.crashes += 1
        steady = time.monotonic() - worker.started > STEADY_SECONDS
        self.crashes_in_a_row = 1 if steady else self.crashes_in_a_row + 1
        self.last_failure = worker.failure or reason
        wait = min(BACKOFF_FIRST * 2.0 ** (self.crashes_in_a_row - 1), BACKOFF_MOST)
        self.refork_at[worker.index] = time.monotonic() + wait
        return float(wait)

    @property
    def overdue(self) -> float:
        """Seconds since the last worker should have left; 0.0 while it may take its time."""
        return 0.0 if self.drained_by is None else max(time.monotonic() - self.drained_by, 0.0)

    def describe(self) -> messages.Group:
        return messages.Group(
            generation=self.generation,
            role=self.role,
            models=self.settings.models,
            workers=tuple(worker.describe() for worker in self.workers),
            wanted=self.settings.workers,
            crashes=self.crashes,
            crash_loop=self.crashes_in_a_row >= 3,
            last_failure=self.last_failure,
            overdue=round(self.overdue, 1),
            light=self.light,
        )
