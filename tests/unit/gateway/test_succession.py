"""What a watchdog hears when the master becomes another program, and a successor that changes its mind."""

from __future__ import annotations

import os
import socket
from pathlib import Path

from aiops.gateway.master.events import Events
from aiops.gateway.master.handover import START_SECONDS
from aiops.gateway.master.listeners import Listeners
from aiops.gateway.master.options import Options
from aiops.gateway.master.succession import Succession
from aiops.gateway.master.workforce import Workforce
from aiops.gateway.shared import messages, protocol
from tests.unit.gateway.test_notify import Manager


def options(place: Path) -> Options:
    return Options(place, place, place, "127.0.0.1", 0)


def test_the_watchdog_waits_longer_than_a_program_may_take_and_not_when_it_stays_the_same(tmp_path: Path) -> None:
    manager = Manager(tmp_path / "n")
    broken = tmp_path / "python"
    broken.write_bytes(b"\0")  # execve(2): ENOEXEC
    broken.chmod(0o755)
    environment = manager.environment(WATCHDOG_USEC="3000000", WATCHDOG_PID=str(os.getpid()))
    succession = Succession(environment, None)
    ours, theirs = socket.socketpair()
    request = messages.Become(str(broken), "t", 1.0)
    succession.want(protocol.Peer(ours), request, busy=False)
    listeners = Listeners()
    workforce = Workforce(Events(), listeners, options(tmp_path), lambda *_: None, lambda *_: None)
    with ours, theirs, socket.socket() as control:
        assert not succession.go(workforce, listeners, control.fileno(), lambda: None)
    granted, back = (int(line.partition("=")[2]) for line in manager.heard() if line.startswith("WATCHDOG_USEC="))
    assert granted >= 2 * START_SECONDS * 1_000_000, "a program that is given up, and the import of the one before it"
    assert back == 3_000_000
    manager.close()


def test_a_successor_that_has_given_up_is_forgotten_and_the_master_serves_on(tmp_path: Path) -> None:
    ours, theirs = socket.socketpair()
    peer = protocol.Peer(ours)
    succession = Succession({}, None)
    succession.want(peer, messages.Succeed("t", 30.0), busy=False)
    theirs.close()
    assert peer.receive() == []
    peer.close()
    listeners = Listeners()
    workforce = Workforce(Events(), listeners, options(tmp_path), lambda *_: None, lambda *_: None)
    asked: list[str] = []
    with socket.socket() as control:
        assert not succession.go(workforce, listeners, control.fileno(), lambda: asked.append("catch up"))
    assert asked == [], "it never let go of anything"
