"""Workers of a generation and the phases of a change, as the master sees them: no process is started here."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from aiops.gateway.master import session as change
from aiops.gateway.master.group import BACKOFF_MOST, LEAVING_SECONDS, STEADY_SECONDS, Group, WorkerHandle
from aiops.gateway.master.listeners import Listeners
from aiops.gateway.master.orphans import Orphans
from aiops.gateway.master.session import Change
from aiops.gateway.shared import protocol
from aiops.gateway.worker.settings import Settings


@dataclass
class Ends:
    """Both ends of every socket pair that a test made."""

    open: list[socket.socket] = field(default_factory=list)

    def peers(self) -> tuple[protocol.Peer, protocol.Peer]:
        near, far = socket.socketpair()
        self.open += [near, far]
        return protocol.Peer(near), protocol.Peer(far)


@pytest.fixture
def ends() -> Iterator[Ends]:
    made = Ends()
    yield made
    for end in made.open:
        end.close()


def group_of(ends: Ends, generation: int, workers: int = 1) -> Group:
    settings = Settings(
        generation=generation,
        directory=Path("/g"),
        host="127.0.0.1",
        port=1,
        workers=workers,
        drain_seconds=9.0,
        models=3,
    )
    group = Group(settings, {}, socket.socket())
    ends.open.append(group.listener)
    group.workers = [
        WorkerHandle(
            100 + index, index, ends.peers()[0], time.monotonic(), role=protocol.CANDIDATE, exchange=f"{index}.fd"
        )
        for index in range(workers)
    ]
    return group


def acknowledge(group: Group) -> None:
    for worker in group.workers:
        worker.role = group.role


def test_each_death_in_a_row_doubles_the_wait_up_to_a_limit(ends: Ends) -> None:
    group = group_of(ends, 1)
    waits = []
    for _ in range(12):
        waits.append(group.crashed(group.workers[0], "killed by signal 9"))
        group.workers = [WorkerHandle(1, 0, ends.peers()[0], time.monotonic())]
    assert waits[:4] == [0.1, 0.2, 0.4, 0.8]
    assert waits[-1] == BACKOFF_MOST
    assert group.describe().crash_loop
    assert group.describe().last_failure == "killed by signal 9"


def test_a_worker_that_lived_long_starts_the_wait_anew(ends: Ends) -> None:
    group = group_of(ends, 1)
    group.crashes_in_a_row = 5
    group.workers[0].started = time.monotonic() - STEADY_SECONDS - 1
    assert group.crashed(group.workers[0], "x") == 0.1
    assert not group.describe().crash_loop


def test_the_reason_a_worker_gave_counts_more_than_its_exit_code(ends: Ends) -> None:
    group = group_of(ends, 1)
    group.workers[0].failure = "HookMissing: no hook"
    group.crashed(group.workers[0], "exit code 1")
    assert group.last_failure == "HookMissing: no hook"


def test_a_worker_that_becomes_ready_late_is_told_its_role_then(ends: Ends) -> None:
    group = group_of(ends, 1)
    near, far = ends.peers()
    group.workers = [WorkerHandle(1, 0, near, time.monotonic())]
    group.take_role(protocol.SERVING)
    assert far.receive() == []
    group.workers[0].role = protocol.CANDIDATE
    group.tell(group.workers[0])
    assert far.receive() == [{"role": "serving", "heirs": []}]


def test_a_generation_is_overdue_only_when_it_finishes_for_longer_than_it_may(ends: Ends) -> None:
    group = group_of(ends, 1)
    group.take_role(protocol.SERVING)
    assert group.drained_by is None
    began = time.monotonic()
    group.take_role(protocol.DRAINING)
    until = group.drained_by
    assert until is not None
    assert began + 9.0 + LEAVING_SECONDS <= until <= time.monotonic() + 9.0 + LEAVING_SECONDS
    assert group.describe().overdue == 0.0
    group.take_role(protocol.DRAINING, ["others"])
    assert group.drained_by == until, "other heirs are no other limit"
    group.drained_by = time.monotonic() - 5
    assert group.describe().overdue >= 5.0
    group.take_role(protocol.SERVING)
    assert group.describe().overdue == 0.0, "it was taken back"


@dataclass
class Staged:
    change: Change
    old: Group
    client: protocol.Peer

    def answers(self) -> list[dict[str, Any]]:
        return self.client.receive()


@pytest.fixture
def staged(ends: Ends, tmp_path: Path) -> Staged:
    """A change that is staged, over a generation that serves."""
    old, new = group_of(ends, 1, workers=2), group_of(ends, 2, workers=2)
    new.listener = old.listener
    old.take_role(protocol.SERVING)
    acknowledge(old)
    session, client = ends.peers()
    nobody = Orphans(tmp_path)
    made = Change(new, old, nobody, session, estimate=1.0, deadline=0.0, phase=change.STAGED, confirm_within=5.0)
    return Staged(made, old, client)


def test_the_old_generation_accepts_until_every_worker_of_the_new_one_does(staged: Staged) -> None:
    staged.change.promote()
    staged.change.candidate.workers[0].role = protocol.PROVISIONAL
    assert not staged.change.advance()
    assert staged.old.role == protocol.SERVING
    acknowledge(staged.change.candidate)
    assert staged.change.advance()
    assert staged.old.role == protocol.STANDBY


def test_the_time_to_confirm_begins_when_the_old_generation_has_paused(staged: Staged) -> None:
    staged.change.promote()
    acknowledge(staged.change.candidate)
    staged.change.advance()
    assert not staged.change.advance()
    acknowledge(staged.old)
    before = time.monotonic()
    assert staged.change.advance()
    assert staged.change.phase == change.PROVISIONAL
    assert before + 5.0 <= staged.change.deadline <= time.monotonic() + 5.0


def test_an_old_generation_that_listens_elsewhere_accepts_until_the_new_one_is_confirmed(
    ends: Ends, staged: Staged
) -> None:
    staged.change.candidate.listener = group_of(ends, 3).listener
    staged.change.promote()
    acknowledge(staged.change.candidate)
    assert staged.change.advance()
    assert staged.change.advance()
    assert (staged.change.phase, staged.old.role) == (change.PROVISIONAL, protocol.SERVING)


def test_a_port_that_was_let_go_is_refused_although_others_hold_its_socket_and_can_be_had_again() -> None:
    listeners = Listeners()
    sock = listeners.get("127.0.0.1", 0)
    address = sock.getsockname()
    listeners.adopt([sock])
    with sock.dup() as held_by_a_service_manager, socket.create_connection(address):
        listeners.let_go(sock)
        assert held_by_a_service_manager.fileno() > 0
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(address)
        again = listeners.get(*address)
        assert again is not sock
        socket.create_connection(address).close()
    listeners.close()


def test_whoever_waits_for_a_promotion_is_told_that_it_was_taken_back(staged: Staged) -> None:
    staged.change.promote()
    staged.change.start_revert("a worker died")
    assert staged.answers() == [{"ok": False, "error": "a worker died"}]
    assert staged.old.role == protocol.SERVING


def test_whoever_asked_for_the_revert_gets_one_answer_only(staged: Staged) -> None:
    staged.change.promote()
    staged.change.asked = True
    staged.change.start_revert("asked to")
    assert staged.answers() == []


def test_the_first_generation_has_nobody_to_wait_for(staged: Staged) -> None:
    staged.change.previous = None
    staged.change.promote()
    acknowledge(staged.change.candidate)
    assert staged.change.advance() and staged.change.advance()
    assert staged.change.phase == change.PROVISIONAL


def test_a_change_is_taken_back_when_the_old_generation_serves_again_and_the_new_one_has_stopped(
    staged: Staged,
) -> None:
    told: list[str] = []

    def drain(group: Group, heirs: list[str]) -> None:
        group.role = protocol.DRAINING
        told.extend(heirs)

    now = time.monotonic()
    staged.change.promote()
    acknowledge(staged.change.candidate)
    staged.change.advance()
    acknowledge(staged.old)
    staged.change.start_revert("asked to")
    assert not staged.change.taken_back(drain, now)
    assert told == [], "as long as the old one does not accept, the new one does"
    acknowledge(staged.old)
    assert not staged.change.taken_back(drain, now)
    assert told == staged.old.exchanges
    first, second = staged.change.candidate.workers
    first.role = protocol.DRAINING
    assert not staged.change.taken_back(drain, now)
    assert staged.change.taken_back(drain, now + change.STOP_ACCEPTING_SECONDS + 1), "one that hangs"
    second.role = protocol.DRAINING
    assert staged.change.taken_back(drain, now)
    assert told == staged.old.exchanges, "told once"
