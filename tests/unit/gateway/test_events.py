"""The master's select loop, also when one of its handlers takes another turn of it, as the import of LiteLLM does."""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import Callable, Iterator

import pytest

from aiops.gateway.master.events import Events


@pytest.fixture
def pair() -> Iterator[Callable[[], tuple[socket.socket, socket.socket]]]:
    made: list[socket.socket] = []

    def one() -> tuple[socket.socket, socket.socket]:
        ends = socket.socketpair()
        made.extend(ends)
        return ends

    yield one
    for sock in made:
        sock.close()


@pytest.fixture
def events() -> Iterator[Events]:
    before = signal.getsignal(signal.SIGUSR1)
    made = Events()
    yield made
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGUSR1, before)


Pair = Callable[[], tuple[socket.socket, socket.socket]]


def test_a_signal_that_an_inner_turn_has_seen_is_no_end_of_the_outer_one(events: Events, pair: Pair) -> None:
    near, far = pair()
    seen: list[set[int]] = []
    near.setblocking(False)

    def asks_for_a_turn() -> None:
        near.recv(1)
        seen.append(events.wait(0))

    events.watch(near, asks_for_a_turn)
    events.catch(signal.SIGUSR1)
    far.send(b"x")
    os.kill(os.getpid(), signal.SIGUSR1)  # both are ready when the outer turn looks
    assert events.wait(1) == set()
    assert seen == [{signal.SIGUSR1}]


def test_what_an_inner_turn_has_forgotten_is_not_handled_by_the_outer_one(events: Events, pair: Pair) -> None:
    (one, _one), (other, _other) = pair(), pair()
    handled: list[str] = []

    def forgets_the_other() -> None:
        handled.append("one")
        events.forget(other)
        other.close()

    events.watch(one, forgets_the_other)
    events.watch(other, lambda: handled.append("other"))
    _one.send(b"x")
    _other.send(b"x")
    events.wait(1)
    assert handled == ["one"]
