"""What the master remembers of one change while it begins the next: no process is started here."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from aiops.gateway.master import changes
from aiops.gateway.master.changes import Changes
from aiops.gateway.master.control_socket import Refused
from aiops.gateway.master.group import Group
from aiops.gateway.master.options import Options
from aiops.gateway.master.orphans import Orphans
from aiops.gateway.master.session import OPENING, PAUSING, PROVISIONAL, REVERTING, STAGED, STAGING, Change
from aiops.gateway.shared import pointer, protocol
from aiops.gateway.shared.messages import Reverted
from aiops.gateway.worker.listed import Listed
from aiops.gateway.worker.settings import Settings
from aiops.spec.lanes.table import Direct, Lanes

LANES = Lanes(direct={"a": Direct(deployment="a", provider="one", url="http://127.0.0.1:1/v1")})
TAKEN_BACK = Reverted("a worker of the new generation ended: killed by signal 9", 2)
NOT_STARTED = Reverted("the committed generation does not start: it is damaged", boot=True, failures=1)


class _Workforce:
    """Forks nobody."""

    def __init__(self) -> None:
        self.groups: list[Group] = []

    def start(self, group: Group) -> None:
        self.groups.append(group)

    def kill(self, group: Group) -> None:
        group.role = protocol.DRAINING

    def succeed(self, previous: Group | None, heirs: list[str]) -> None:
        if previous is not None:
            previous.role = protocol.DRAINING


@dataclass
class _Loading:
    """An import that is done, or that fails with ``failure``."""

    is_here: bool = True
    failure: str = ""
    seconds: float = 1.0
    again_at: float = 0.0
    wait: float = 0.0

    def in_turns(self, for_: protocol.Peer | None = None) -> bool:
        self.again_at = time.monotonic() + self.wait
        return not self.failure


@dataclass
class Made:
    changes: Changes
    workforce: _Workforce
    loading: _Loading
    directory: Path
    listener: socket.socket
    session: protocol.Peer

    def group(self, generation: int, *, light: bool, role: str) -> Group:
        settings = replace(settings_of(self.directory), generation=generation)
        group = Group(settings, {}, self.listener, role=role, models=Listed((), ()) if light else None)
        self.workforce.groups.append(group)
        return group

    def change(self, candidate: Group, previous: Group | None, session: protocol.Peer | None) -> Change:
        orphans = self.changes.orphans
        self.changes.current = made = Change(
            candidate, previous, orphans, session, estimate=1.0, deadline=time.monotonic() + 60, phase=PROVISIONAL
        )
        return made


def settings_of(directory: Path) -> Settings:
    return Settings(
        generation=1,
        directory=directory,
        host="127.0.0.1",
        port=1,
        workers=1,
        drain_seconds=1.0,
        models=1,
        lanes=LANES,
    )


def worker(role: str) -> Any:
    """It has this role, and takes no other."""
    return SimpleNamespace(role=role, ready=True, channel=SimpleNamespace(send=lambda message: None))


@pytest.fixture
def made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Made]:
    directory = tmp_path / "000001"
    directory.mkdir()
    pointer.flip(tmp_path, directory)
    monkeypatch.setattr(changes.settings, "load", settings_of)
    monkeypatch.setattr(changes.settings, "read_secrets", lambda loaded, secrets: {})
    listener, (near, far) = socket.socket(), socket.socketpair()
    workforce, loading = _Workforce(), _Loading()
    listeners: Any = SimpleNamespace(of=lambda loaded: (listener, None))
    succession: Any = SimpleNamespace(approve=lambda by_somebody: None)
    options = Options(state=tmp_path, run=tmp_path, secrets=tmp_path, host="127.0.0.1", port=1)
    these = Changes(options, listeners, workforce, succession, loading)  # type: ignore[arg-type]
    these.orphans = Orphans(tmp_path)
    yield Made(these, workforce, loading, directory, listener, protocol.Peer(near))
    for each in (listener, near, far):
        each.close()


def _is_confirmed(made: Made, change: Change) -> None:
    made.changes._confirm(change)
    assert made.changes.current is None


def test_why_a_change_was_taken_back_is_known_when_full_workers_have_relieved_the_light_ones(made: Made) -> None:
    """Whoever made it may ask only then: what is to prove it waits for LiteLLM, in the generation before it."""
    light = made.group(1, light=True, role=protocol.SERVING)
    made.changes.last_revert = TAKEN_BACK
    _is_confirmed(made, made.change(made.group(1, light=False, role=protocol.PROVISIONAL), light, None))
    assert made.changes.last_revert == TAKEN_BACK


@pytest.mark.parametrize("before", [TAKEN_BACK, NOT_STARTED])
def test_a_change_that_is_confirmed_is_an_end_of_what_was_wrong_before(made: Made, before: Reverted) -> None:
    old = made.group(1, light=False, role=protocol.SERVING)
    made.changes.last_revert = before
    _is_confirmed(made, made.change(made.group(1, light=False, role=protocol.PROVISIONAL), old, made.session))
    assert made.changes.last_revert is None


def test_a_generation_that_starts_at_last_is_not_said_not_to(made: Made) -> None:
    made.changes.last_revert = NOT_STARTED
    _is_confirmed(made, made.change(made.group(1, light=False, role=protocol.PROVISIONAL), None, None))
    assert made.changes.last_revert is None


def test_what_gave_way_to_a_change_that_cannot_be_begun_is_started_again(made: Made) -> None:
    """Nobody else would serve it."""
    made.change(made.group(1, light=False, role=protocol.CANDIDATE), None, None).phase = STAGING
    made.loading.is_here, made.loading.failure = False, "ImportError: broken"
    made.changes._only_full = True
    with pytest.raises(Refused, match="ImportError: broken"):
        made.changes.stage(made.directory, made.session)
    assert made.changes.current is None
    made.loading.is_here, made.loading.failure = True, ""
    made.changes.go_on(time.monotonic())
    assert made.changes.current is not None
    assert made.changes.current.session is None


def test_a_start_that_is_to_be_tried_again_still_is_after_a_change_that_cannot_be_begun(made: Made) -> None:
    made.changes.boot_failed("it is damaged")
    made.loading.is_here, made.loading.failure = False, "ImportError: broken"
    made.changes._only_full = True
    with pytest.raises(Refused):
        made.changes.stage(made.directory, made.session)
    made.loading.is_here, made.loading.failure = True, ""
    made.changes.go_on(time.monotonic() + 60)
    assert made.changes.current is not None


@pytest.mark.parametrize(
    ("phase", "light", "soon"),
    [(STAGING, False, False), (STAGED, False, False), (STAGING, True, True), (OPENING, False, True)],
)
def test_what_the_master_starts_is_left_alone_as_soon_as_others_make_way_for_it(
    made: Made, phase: str, light: bool, soon: bool
) -> None:
    change = made.change(made.group(1, light=light, role=protocol.CANDIDATE), None, None)
    change.phase = phase
    assert made.changes.is_about_to_serve is soon
    made.changes.current = replace(change, session=made.session)
    assert not made.changes.is_about_to_serve


@pytest.mark.parametrize("phase", [OPENING, REVERTING])
def test_what_does_not_come_to_serve_gives_way_and_those_who_made_way_serve_again(made: Made, phase: str) -> None:
    light = made.group(1, light=True, role=protocol.STANDBY)
    change = made.change(made.group(1, light=False, role=protocol.PROVISIONAL), light, None)
    change.phase, change.deadline = phase, time.monotonic() - 1
    assert not made.changes.is_about_to_serve
    made.changes.stage(made.directory, made.session)
    assert made.changes.current is not None
    assert made.changes.current.previous is light
    assert light.role == protocol.SERVING
    assert change.candidate.role == protocol.DRAINING


@pytest.mark.parametrize("phase", [OPENING, PAUSING])
def test_a_change_of_places_that_does_not_come_to_an_end_is_taken_back(made: Made, phase: str) -> None:
    """A worker that hangs says nothing, and no other change could be made."""
    serving = made.group(1, light=False, role=protocol.SERVING)
    serving.workers.append(worker(protocol.SERVING))
    candidate = made.group(1, light=False, role=protocol.CANDIDATE)
    change = made.change(candidate, serving, made.session)
    change.promote()
    candidate.workers.append(worker(protocol.CANDIDATE if phase == OPENING else protocol.PROVISIONAL))
    made.changes.go_on(time.monotonic())
    assert change.phase == phase
    made.changes.go_on(time.monotonic() + 24)
    assert change.phase == phase
    made.changes.go_on(time.monotonic() + 26)
    assert change.phase == REVERTING
    assert "did not change places within 25 s" in change.reason
    assert serving.role == protocol.SERVING


def test_light_workers_do_not_take_over_from_workers_without_a_master_that_have_litellm(
    made: Made, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As long as these are there: nobody tells a master when they end."""
    some = replace(settings_of(made.directory), lanes=replace(LANES, why_not={"b": "it is asked by LiteLLM"}))
    monkeypatch.setattr(changes.settings, "load", lambda directory: some)
    monkeypatch.setattr(changes.Listed, "read", lambda config: Listed((), ()))
    made.loading.is_here, made.loading.failure = False, "ImportError: broken"
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as exchange:
        exchange.bind(str(made.directory.parent / "11.fd"))
        exchange.listen()
        made.changes.orphans = Orphans(made.directory.parent)
        made.changes.boot()
        assert made.changes.current is None
        assert made.changes.last_revert is not None
        assert "ImportError: broken" in made.changes.last_revert.reason
        assert made.changes.orphans.pids == [11]
    made.changes.go_on(time.monotonic() + 60)
    assert made.changes.current is not None
    assert made.changes.current.candidate.light
    assert made.changes.orphans.pids == []


def test_when_litellm_is_tried_again_is_said_where_light_workers_wait_for_it(
    made: Made, capsys: pytest.CaptureFixture[str]
) -> None:
    """What boots says its own time."""
    made.group(1, light=True, role=protocol.SERVING)
    made.changes.asks_for_litellm = True
    made.loading.is_here, made.loading.failure = False, "ImportError: broken"
    made.loading.wait = 30.0
    for seconds, tried in ((0.0, True), (-0.1, False), (0.0, True)):
        made.changes.go_on(made.loading.again_at + seconds)
        assert ("LiteLLM is tried again in" in capsys.readouterr().err) is tried
