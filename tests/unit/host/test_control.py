"""Asking a master that is there and has no time, and one that is not there."""

from __future__ import annotations

import socket
from pathlib import Path

from aiops.gateway.shared import messages, protocol
from aiops.host import master


def test_without_a_master_there_is_no_status(run: Path) -> None:
    assert master.status(run) is None


def test_a_master_that_so_many_wait_for_that_nobody_may_join_is_busy_and_not_gone(run: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(run / protocol.CONTROL))
        listening.listen(1)
        asked = [master.status(run, timeout=0.01) for _ in range(4)]
    assert asked == [messages.Status(messages.BUSY)] * 4
