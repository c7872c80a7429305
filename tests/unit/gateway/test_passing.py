"""What one master passes to another process: descriptors over a connection, and who may take over."""

from __future__ import annotations

import json
import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Thread

import pytest

from aiops.gateway.master import passing
from aiops.gateway.master.handover import Handover
from aiops.gateway.master.passing import AnotherServes, Invitation
from aiops.gateway.shared import protocol


def invite(run: Path, container: str) -> Path:
    path = run / "successor.json"
    path.write_text(json.dumps({"container": container, "token": "t", "hold": 30.0}))
    return path


def test_an_invitation_is_for_one_container_and_one_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = invite(tmp_path, "aiops-x-2")
    monkeypatch.setenv("AIOPS_CONTAINER", "aiops-x-1")
    assert Invitation.take(tmp_path) is None
    assert path.exists()
    monkeypatch.setenv("AIOPS_CONTAINER", "aiops-x-2")
    assert Invitation.take(tmp_path) == Invitation("aiops-x-2", "t", 30.0)
    assert Invitation.take(tmp_path) is None


def test_a_damaged_invitation_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIOPS_CONTAINER", "aiops-x-2")
    for text in ("", "{", "[]", '{"container": "aiops-x-2"}', '{"container": "aiops-x-2", "token": "t", "hold": "x"}'):
        (tmp_path / "successor.json").write_text(text)
        assert Invitation.take(tmp_path) is None


def test_where_somebody_answers_nobody_else_starts(tmp_path: Path) -> None:
    passing.require_alone(tmp_path)
    with socket.socket(socket.AF_UNIX) as master:
        master.bind(str(tmp_path / protocol.CONTROL))
        passing.require_alone(tmp_path)  # a socket of a dead master
        master.listen()
        with pytest.raises(AnotherServes, match="a gateway of this instance runs already: see `aiops status`"):
            passing.require_alone(tmp_path)
        (tmp_path / protocol.PID_FILE).write_text("4711\n")
        with pytest.raises(AnotherServes, match=r"runs already \(pid 4711\): "):
            passing.require_alone(tmp_path)


def test_every_descriptor_arrives_as_what_it_was_however_many_there_are(tmp_path: Path) -> None:
    paths = [tmp_path / str(index) for index in range(450)]
    opened = [os.open(path, os.O_CREAT | os.O_RDWR) for path in paths]
    control, listener, *channels = opened
    workers = tuple({"pid": index, "channel": channel} for index, channel in enumerate(channels))
    left = Handover("t", "/python", 30.0, control, (listener,), ({"directory": "/g", "workers": workers},))
    with socket.socket(socket.AF_UNIX) as master:
        master.bind(str(tmp_path / protocol.CONTROL))
        master.listen()

        def serve() -> None:
            link, _ = master.accept()
            assert json.loads(link.recv(4096))["command"] == "succeed"
            passing.send(link, left)
            assert passing.sleep(link)
            link.close()

        serving = Thread(target=serve)
        serving.start()
        given, link = passing.ask(tmp_path, Invitation("aiops-x-2", "t", 30.0))
        assert given is not None
        assert link is not None
        assert passing.still_there(link)
        passing.approve(link)
        serving.join()
    got = [given.control, *given.listeners, *(worker["channel"] for worker in given.groups[0]["workers"])]
    assert [os.fstat(fd).st_ino for fd in got] == [path.stat().st_ino for path in paths]
    assert {worker["child"] for worker in given.groups[0]["workers"]} == {False}
    for descriptor in (*opened, *got):
        os.close(descriptor)


@contextmanager
def master_that_answers(run: Path, *parts: bytes) -> Iterator[None]:
    """It says this to the first that comes, in so many pieces, and is gone."""
    with socket.socket(socket.AF_UNIX) as master:
        master.bind(str(run / protocol.CONTROL))
        master.listen()

        def serve() -> None:
            link, _ = master.accept()
            master.close()
            with link:
                link.recv(4096)
                for part in parts:
                    link.sendall(part)
                    time.sleep(0.05)

        serving = Thread(target=serve)
        serving.start()
        yield
        serving.join()


def test_a_master_that_leaves_for_good_hands_nothing_over(tmp_path: Path) -> None:
    with master_that_answers(tmp_path, b'{"ok"', b": true}\n"):
        assert passing.ask(tmp_path, Invitation("aiops-x-2", "t", 0.0)) == (None, None)


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (b'{"ok":false,"error":"a change is going on"}\n', "the master that serves refused: a change is going on"),
        (b'{"ok":true,"descriptors":[5,6],"handover":{}}\n', "0 of 2 descriptors arrived"),
        (b'{"ok":', "the master that serves went away"),
    ],
)
def test_what_does_not_come_off_is_said(tmp_path: Path, answer: bytes, said: str) -> None:
    with master_that_answers(tmp_path, answer), pytest.raises(OSError, match=said):
        passing.ask(tmp_path, Invitation("aiops-x-2", "t", 30.0))


def test_a_master_that_lets_go_or_dies_wakes_the_one_before() -> None:
    before, after = socket.socketpair()
    after.close()
    assert not passing.sleep(before)
    before, after = socket.socketpair()
    before.close()
    assert not passing.still_there(after)
