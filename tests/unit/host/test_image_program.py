"""Back from the container of another image. The engine is left out: tests/lab has the containers."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from threading import Thread
from typing import Any, cast

import pytest

from aiops.gateway.shared import protocol
from aiops.host.engines import Container
from aiops.host.master import MasterRefused, Session
from aiops.supervise import image_program
from aiops.supervise.containers import Containers, Made
from aiops.supervise.image_program import ImageProgram

OLD, NEW = "aiops-x-1", "aiops-x-2"
MADE = Made("sha256:b", (), "2", b"", supervised=True)


class Engine:
    """In the place of the containers of an instance."""

    def __init__(self) -> None:
        self.swept: list[str | None] = []

    def succeed(self, made: Made, hold: float, update: object) -> str:
        return NEW

    def get(self, name: str) -> None:
        return None

    def current(self) -> Container:
        return Container(OLD, "running", "image-a", "1")

    def sweep(self, keep: str | None) -> None:
        self.swept.append(keep)


class Master:
    """Names the next of ``containers`` each time it is asked, the last one again and again.

    Whoever asks when it is None is cut off without an answer.
    """

    def __init__(self, run: Path) -> None:
        self.containers: list[str | None] = []
        self.commands: list[str] = []
        self._listening = socket.socket(socket.AF_UNIX)
        self._listening.bind(str(run / protocol.CONTROL))
        self._listening.listen()
        Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        with suppress(OSError):
            while True:
                peer, _ = self._listening.accept()
                with peer:
                    while data := peer.recv(4096):
                        command = json.loads(data)["command"]
                        self.commands.append(command)
                        if (container := self._next(command)) is None:
                            break
                        peer.sendall(protocol.encode({"ok": True, "container": container}))

    def _next(self, command: str) -> str | None:
        more = command == "status" and len(self.containers) > 1
        return self.containers.pop(0) if more else self.containers[0]

    def stop(self) -> None:
        self._listening.close()


@pytest.fixture
def master(run: Path) -> Iterator[Master]:
    made = Master(run)
    yield made
    made.stop()


@pytest.fixture
def engine() -> Engine:
    return Engine()


@pytest.fixture
def entered(master: Master, engine: Engine, run: Path) -> tuple[ImageProgram, Session]:
    """A program that a change has entered and has to leave."""
    program = ImageProgram(cast(Containers, engine), MADE, run)
    session = Session(run)
    program.enter(session, 30.0, lambda *_: None)
    session.__exit__(None, None, None)
    return program, session


def test_it_is_left_when_the_old_container_answers_again(
    entered: tuple[ImageProgram, Session], master: Master, engine: Engine
) -> None:
    program, session = entered
    master.containers = [NEW, NEW, None, NEW, OLD]  # once somebody is cut off: that is no end
    program.leave(session)
    assert "back" in master.commands
    assert master.containers == [OLD], "it has waited until then"
    assert engine.swept == [OLD]


def test_a_gateway_that_does_not_come_back_is_said(
    entered: tuple[ImageProgram, Session], master: Master, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(image_program, "BACK_SECONDS", 0.3)
    program, session = entered
    master.containers = [NEW]
    with pytest.raises(MasterRefused, match=f"did not come back from the container {NEW}"):
        program.leave(session)
    assert engine.swept == []


def test_one_that_was_never_entered_is_left_alone(run: Path, engine: Engine) -> None:
    ImageProgram(cast(Containers, engine), MADE, run).leave(cast(Any, None))
    assert engine.swept == []
