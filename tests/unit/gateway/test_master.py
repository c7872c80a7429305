"""What the master is asked while full workers are on their way to relieve light ones: no process is started here."""

from __future__ import annotations

import signal
import socket
import sys
import time
from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from aiops.gateway.master.control_socket import Refused
from aiops.gateway.master.group import Group
from aiops.gateway.master.loading import Loading
from aiops.gateway.master.master import Master
from aiops.gateway.master.options import Options
from aiops.gateway.master.orphans import Orphans
from aiops.gateway.master.session import OPENING, STAGING, Change
from aiops.gateway.master.succession import Succession
from aiops.gateway.shared import messages, protocol
from aiops.gateway.worker.listed import Listed
from tests.unit.gateway.test_changes import settings_of

BECOME = messages.Become(sys.executable, "a token", 1.0)


@dataclass
class Asked:
    """A master, whose light workers serve, and somebody who asks it something."""

    master: Any
    light: Group
    change: Change
    near: protocol.Peer
    far: protocol.Peer

    def ask(self, request: messages.AnyRequest) -> list[dict[str, Any]]:
        self.master._obey(self.near, request)
        return self.far.receive()


@pytest.fixture
def asked(tmp_path: Path) -> Iterator[Asked]:
    master: Any = Master(Options(tmp_path, tmp_path, tmp_path, "127.0.0.1", 0), Succession({}, None))
    listener, (near, far) = socket.socket(), socket.socketpair()
    light = Group(settings_of(tmp_path), {}, listener, role=protocol.SERVING, models=Listed((), ()))
    full = Group(settings_of(tmp_path), {}, listener)
    master._workforce.groups += [light, full]
    master._changes.orphans = master._orphans = Orphans(tmp_path)
    change = Change(full, light, master._orphans, None, estimate=1.0, deadline=time.monotonic() + 60, phase=STAGING)
    master._changes.current = change
    yield Asked(master, light, change, protocol.Peer(near), protocol.Peer(far))
    for each in (listener, near, far):
        each.close()


def test_a_restart_does_not_wait_for_them(asked: Asked) -> None:
    """Where the master does not leave, systemd stops it with all its workers."""
    assert asked.ask(messages.Leave()) == [{"ok": True}]
    assert asked.master._left == 0
    assert asked.master._changes.current is None
    assert asked.change.candidate.role == protocol.DRAINING
    assert asked.light.role == protocol.SERVING


def test_another_program_comes_when_they_have(asked: Asked) -> None:
    assert asked.ask(BECOME) == [{"ok": True}]
    assert asked.master._changes.current is asked.change


def test_where_somebody_changes_something_both_are_refused(asked: Asked) -> None:
    asked.change.session = asked.near
    for request in (messages.Leave(for_good=True), BECOME):
        with pytest.raises(Refused, match="a change is going on"):
            asked.ask(request)
    assert asked.master._left is None
    assert asked.change.candidate.role == protocol.CANDIDATE


@pytest.mark.parametrize("request_", [messages.Stage("/g"), messages.Leave(for_good=True), BECOME])
def test_whatever_ends_it_waits_for_the_moment_in_which_light_workers_have_made_way(
    asked: Asked, request_: messages.AnyRequest
) -> None:
    """They are told to stand by already, and nobody would tell them to serve again."""
    asked.change.phase = OPENING
    assert asked.ask(request_) == []
    assert asked.master._changes.current is asked.change
    assert asked.master._left is None
    assert asked.master._loading.take_later() == [(asked.near, request_)]


def test_who_wants_another_program_is_told_that_litellm_is_being_loaded(
    asked: Asked, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Or it has no more patience with the master before that is done."""
    said: list[dict[str, Any]] = []

    def at_once(self: Loading) -> None:
        until = time.monotonic() + 5
        while not said and time.monotonic() < until:
            said.extend(asked.far.receive())

    monkeypatch.setattr(Loading, "at_once", at_once)
    monkeypatch.setattr("aiops.gateway.master.loading.EVERY_SECONDS", 0.01)
    loading = Loading(lambda: None)
    loading.later.append((asked.near, BECOME))
    before = signal.getsignal(signal.SIGALRM)
    assert loading.in_turns()
    assert signal.getsignal(signal.SIGALRM) is before
    assert said
    assert said[0]["event"] == "progress"


@pytest.mark.parametrize(("orphans", "proved"), [(True, False), (True, True), (False, False)])
def test_a_litellm_that_is_broken_ends_no_master_beside_workers_without_one(
    asked: Asked, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, orphans: bool, proved: bool
) -> None:
    """It could replace nobody, and be asked nothing; but what was given on approval has to be given back."""

    def at_once(self: Loading) -> None:
        raise ImportError("it is broken")

    forgotten: list[bool] = []
    monkeypatch.setattr("aiops.gateway.worker.runtime.forget", lambda: forgotten.append(True))  # others here have it
    monkeypatch.setattr(Loading, "at_once", at_once)
    monkeypatch.setattr(Succession, "is_to_be_proved", proved)
    changes = asked.master._changes
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as exchange:
        if orphans:
            exchange.bind(str(tmp_path / "11.fd"))
            exchange.listen()
        asked.master._orphans = changes.orphans = Orphans(tmp_path)
        with nullcontext() if orphans and not proved else pytest.raises(ImportError):
            asked.master._load_first()
    assert changes.boot_failures == len(forgotten) == (orphans and not proved)
    assert ("it is broken" in str(changes.last_revert)) is (orphans and not proved)
