"""What systemd hears from the master, over a real datagram socket."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from aiops.gateway.master.notify import Notifier, condition
from aiops.gateway.shared.messages import Change, Reverted, Status


class Manager:
    """systemd's end of NOTIFY_SOCKET."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._sock.bind(str(path))
        self._sock.setblocking(False)

    def environment(self, **more: str) -> dict[str, str]:
        return {"NOTIFY_SOCKET": str(self.path), **more}

    def heard(self) -> list[str]:
        lines = []
        while True:
            try:
                lines += self._sock.recv(4096).decode().split("\n")
            except BlockingIOError:
                return lines

    def close(self) -> None:
        self._sock.close()


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[Manager]:
    made = Manager(tmp_path / "n")
    yield made
    made.close()


def test_ready_is_said_once_and_a_status_when_it_changes(manager: Manager) -> None:
    notifier = Notifier(manager.environment())
    notifier.tell("ready", "generation 1 serves", 1.0)
    assert manager.heard() == ["READY=1", "STATUS=generation 1 serves"]
    notifier.tell("ready", "generation 1 serves", 2.0)
    assert manager.heard() == []


def test_a_reload_carries_the_time_systemd_wants_with_it_and_ends_with_ready(manager: Manager) -> None:
    notifier = Notifier(manager.environment())
    notifier.tell("reloading", "x", 1.0)
    reloading, clock, _ = manager.heard()
    assert reloading == "RELOADING=1"
    assert clock.startswith("MONOTONIC_USEC=")
    assert int(clock.partition("=")[2]) > 0
    notifier.tell("ready", "x", 2.0)
    assert manager.heard() == ["READY=1"]


def test_the_watchdog_hears_from_it_twice_as_often_as_it_must(manager: Manager) -> None:
    notifier = Notifier(manager.environment(WATCHDOG_USEC="10000000", WATCHDOG_PID=str(os.getpid())))
    for now in range(100, 120):
        notifier.tell("ready", "", float(now))
    assert manager.heard().count("WATCHDOG=1") == 4
    assert notifier.patience <= 5


def test_somebody_elses_watchdog_is_none_of_its_business(manager: Manager) -> None:
    notifier = Notifier(manager.environment(WATCHDOG_USEC="10000000", WATCHDOG_PID="1"))
    notifier.tell("ready", "", 1.0)
    assert "WATCHDOG=1" not in manager.heard()


def test_a_long_start_asks_for_more_time_again_and_again(manager: Manager) -> None:
    notifier = Notifier(manager.environment())
    for now in range(60):
        notifier.tell("starting", "", float(now))
    asked = [line for line in manager.heard() if line.startswith("EXTEND_TIMEOUT_USEC=")]
    assert len(asked) == 6


def test_no_child_inherits_the_right_to_speak(manager: Manager) -> None:
    environment = manager.environment(WATCHDOG_USEC="1", WATCHDOG_PID="1", HOME="/")
    Notifier(environment)
    assert environment == {"HOME": "/"}


def test_without_systemd_or_with_one_that_is_gone_nothing_happens(manager: Manager) -> None:
    Notifier({}).tell("ready", "", 1.0)
    notifier = Notifier(manager.environment())
    manager.close()
    manager.path.unlink()
    notifier.tell("ready", "", 1.0)


IDLE = Status("idle")
STAGING = Change(4, "staging")


@pytest.mark.parametrize(
    ("status", "settled", "leaves", "expected"),
    [
        (IDLE, True, False, ("ready", "no generation yet: `aiops up` makes the first")),
        (Status("serving", generation=3), True, False, ("ready", "generation 3 serves")),
        (
            Status("serving", generation=3, loads=True),
            True,
            False,
            ("ready", "generation 3 serves directly, LiteLLM is being loaded"),
        ),
        (
            Status("serving", generation=3, without="ImportError: x"),
            True,
            False,
            ("ready", "generation 3 serves directly, without LiteLLM: ImportError: x"),
        ),
        (Status("idle", change=STAGING), False, False, ("starting", "generation 4 is staging")),
        (Status("idle", change=STAGING), True, False, ("reloading", "generation 4 is staging")),
        (Status("idle", last_revert=Reverted("it does not start")), True, False, ("ready", "it does not start")),
        (Status("stopping", generation=3), True, False, ("stopping", "open requests are finishing")),
        (Status("serving", generation=3), True, True, ("stopping", "the workers serve on")),
    ],
)
def test_every_state_of_the_master_has_its_words(
    status: Status, settled: bool, leaves: bool, expected: tuple[str, str]
) -> None:
    assert condition(status, settled, leaves) == expected
