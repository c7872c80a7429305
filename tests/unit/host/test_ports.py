"""Who listens on a port."""

from __future__ import annotations

import os
import socket
import subprocess
import sys

import pytest

from aiops.host import ports


@pytest.fixture
def listener() -> socket.socket:
    sock = socket.socket()
    sock.bind(("127.0.0.1", 0))
    sock.listen(1)
    return sock


def test_the_owner_of_a_port_is_named(listener: socket.socket) -> None:
    with listener:
        [owner] = ports.owners(listener.getsockname()[1])
    assert owner.pid == os.getpid()
    assert str(owner).startswith(f"pid {os.getpid()} (")


def test_a_port_nobody_listens_on_has_no_owner(listener: socket.socket) -> None:
    port = listener.getsockname()[1]
    listener.close()
    assert ports.owners(port) == []
    assert ports.can_bind("127.0.0.1", port)


def test_a_port_that_is_listened_on_cannot_be_bound(listener: socket.socket) -> None:
    with listener:
        assert not ports.can_bind("127.0.0.1", listener.getsockname()[1])


def test_every_process_that_shares_a_port_is_named(listener: socket.socket) -> None:
    with listener:
        os.set_inheritable(listener.fileno(), True)
        argv = [sys.executable, "-c", "print('up', flush=True); input()"]
        with subprocess.Popen(argv, close_fds=False, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
            assert child.stdout is not None and child.stdout.readline() == b"up\n"
            found = {owner.pid for owner in ports.owners(listener.getsockname()[1])}
            child.kill()
    assert found == {os.getpid(), child.pid}
