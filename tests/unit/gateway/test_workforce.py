"""Workers that are to be forked on a machine that cannot, for now: no process is started here."""

from __future__ import annotations

import errno
import os
import socket
import time
from pathlib import Path

import pytest

from aiops.gateway.master.events import Events
from aiops.gateway.master.group import Group
from aiops.gateway.master.listeners import Listeners
from aiops.gateway.master.options import Options
from aiops.gateway.master.workforce import FORK_AGAIN_SECONDS, Workforce
from aiops.gateway.shared import protocol
from tests.unit.gateway.test_changes import settings_of


def test_a_worker_that_cannot_be_forked_is_forked_later_and_the_master_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Another worker that it has may be what took the memory."""

    def fork() -> int:
        raise OSError(errno.ENOMEM, os.strerror(errno.ENOMEM))

    options = Options(tmp_path, tmp_path, tmp_path, "127.0.0.1", 0)
    workforce = Workforce(Events(), Listeners(), options, lambda *_: None, lambda *_: None)
    monkeypatch.setattr(os, "fork", fork)
    held = len(list(Path("/proc/self/fd").iterdir()))
    with socket.socket() as listener:
        group = Group(settings_of(tmp_path), {}, listener, role=protocol.SERVING)
        workforce.groups.append(group)
        now = time.monotonic()
        group.refork_at[0] = now
        workforce.fork_again(now, full=True)
        assert group.refork_at == {0: now + FORK_AGAIN_SECONDS}
    assert "cannot fork a worker: Cannot allocate memory" in capsys.readouterr().err
    assert len(list(Path("/proc/self/fd").iterdir())) == held
