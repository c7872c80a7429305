"""Workers whose master is gone, as the next master finds them: real sockets, no workers behind them."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from threading import Thread

import pytest

from aiops.gateway.master.orphans import Orphans
from aiops.gateway.worker.connections import RETIRE, STAND_BY


class Exchange:
    """Where a worker can be told to leave."""

    def __init__(self, run: Path, pid: int) -> None:
        self.path = run / f"{pid}.fd"
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.sock.bind(str(self.path))
        self.sock.listen()
        self.sock.setblocking(False)

    def answer(self) -> None:
        """Stand by, as a worker does that is asked to."""
        self.sock.settimeout(5)
        while True:
            self.held, _ = self.sock.accept()
            if said := self.held.recv(4096):  # not the look whether somebody is there
                break
        self.asked = json.loads(said.removeprefix(STAND_BY))
        self.held.send(STAND_BY)
        self.sock.setblocking(False)

    def heard(self) -> list[list[str]]:
        """The heirs it was told of, each time somebody said something."""
        told = []
        while True:
            try:
                link, _ = self.sock.accept()
            except BlockingIOError:
                return told
            with link:
                if said := link.recv(4096):
                    told.append(json.loads(said.removeprefix(RETIRE))["heirs"])


@pytest.fixture
def workers(tmp_path: Path) -> Iterator[tuple[Exchange, Exchange]]:
    """Number 11 and number 12."""
    with ExitStack() as stack:
        both = Exchange(tmp_path, 11), Exchange(tmp_path, 12)
        for each in both:
            stack.enter_context(each.sock)
        yield both


def test_those_with_a_master_are_not_found_and_what_the_dead_left_is_removed(
    tmp_path: Path, workers: tuple[Exchange, Exchange]
) -> None:
    dead = Exchange(tmp_path, 13)
    dead.sock.close()
    (tmp_path / "13.http").touch()
    found = Orphans(tmp_path, known={12})
    assert (found.pids, found.exchanges) == ([11], [str(workers[0].path)])
    assert sorted(path.name for path in tmp_path.iterdir()) == ["11.fd", "12.fd"]


def test_they_are_told_to_leave_once_and_of_newer_heirs_for_as_long_as_they_are_there(
    tmp_path: Path, workers: tuple[Exchange, Exchange], capfd: pytest.CaptureFixture[str]
) -> None:
    first, second = workers
    found = Orphans(tmp_path)
    found.retire(["a.fd"])
    assert (found.pids, found.exchanges) == ([], [])
    second.sock.close()
    found.retire(["b.fd"])
    assert first.heard() == [["a.fd"], ["b.fd"]]
    said = capfd.readouterr().err
    assert [said.count(f"worker {pid} of an earlier master leaves") for pid in (11, 12)] == [1, 1]


def test_one_that_stands_by_is_told_to_leave_on_the_link_that_holds_it(
    tmp_path: Path, workers: tuple[Exchange, Exchange]
) -> None:
    first, second = workers
    answers = Thread(target=lambda: [each.answer() for each in (first, second)])
    answers.start()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        found = Orphans(tmp_path)
        found.stand_by(listener)
        address = list(listener.getsockname())
    answers.join(5)
    second.held.close()
    found.retire(["a.fd"])
    assert [each.asked for each in workers] == [{"address": address}] * 2
    with first.held:
        assert json.loads(first.held.recv(4096).removeprefix(RETIRE)) == {"heirs": ["a.fd"]}
        assert first.held.recv(4096) == b"", "the link is closed after that, not before"
    assert first.heard() == []
    assert found.pids == []
