"""Who listens on a port."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from aiops.errors import Precondition
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


@pytest.mark.parametrize("host", ["nowhere.invalid", "203.0.113.9"])
def test_a_host_that_is_not_this_machine_is_named_and_not_a_port_that_is_taken(host: str) -> None:
    assert not ports.can_bind(host, 4000)
    with pytest.raises(Precondition, match=f"`gateway.host` {host} is no address of this machine: ") as refused:
        ports.require_free(host, 4000)
    assert "`gateway.host` in aiops.yaml" in refused.value.hint


UNPRIVILEGED = Path("/proc/sys/net/ipv4/ip_unprivileged_port_start")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody who may not")
@pytest.mark.skipif(int(UNPRIVILEGED.read_text()) <= 99, reason="here everybody may")
def test_a_port_that_only_root_may_listen_on_is_not_called_taken() -> None:
    os.seteuid(65534)
    try:
        with pytest.raises(Precondition, match=r"^this user may not listen on port 99$"):
            ports.require_free("127.0.0.1", 99)
    finally:
        os.seteuid(0)
