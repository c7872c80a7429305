"""Sockets that a service manager passes, sd_listen_fds(3): taken when meant for this process, and only then."""

from __future__ import annotations

import os
import socket
import subprocess
import sys

PROGRAM = """
import os, socket
from aiops.gateway.master.listeners import Listeners
os.environ["LISTEN_PID"] = {pid}
listeners = Listeners()
taken = listeners.adopt_passed(os.environ)
port = int(os.environ["PORT"])
try:
    same = listeners.get("127.0.0.1", port).fileno() == 3
except OSError:
    same = False
print(taken, same, [name for name in os.environ if name.startswith("LISTEN_")], os.get_inheritable(3))
"""


def passed(pid: str) -> str:
    """What a program says that finds a listening socket as descriptor 3."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        environment = {**os.environ, "LISTEN_FDS": "1", "LISTEN_FDNAMES": "x", "PORT": str(listening.getsockname()[1])}
        moved = "import os, sys; os.dup2(int(sys.argv[1]), 3); os.execv(sys.executable, ['x', '-c', sys.argv[2]])"
        done = subprocess.run(
            [sys.executable, "-c", moved, str(listening.fileno()), PROGRAM.format(pid=pid)],
            env=environment,
            pass_fds=[listening.fileno()],
            capture_output=True,
            text=True,
            check=True,
        )
    return done.stdout.strip()


def test_a_socket_that_is_passed_is_used_instead_of_binding_the_port() -> None:
    assert passed("str(os.getpid())") == "1 True [] False"


def test_a_socket_that_is_meant_for_another_process_is_left_alone() -> None:
    assert passed("'1'").startswith("0 False []")
