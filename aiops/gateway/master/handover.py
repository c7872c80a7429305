"""A master becomes another program without becoming another process: execve, with its sockets kept open.

The process id stays (a service manager sees nothing), the listening sockets stay (nobody is refused), the control
socket stays (who asks meanwhile waits for the answer), and so do the channels to the workers (they do not notice,
and serve on). What the next program has to know of them is JSON in ``AIOPS_HANDOVER``.

With ``hold`` the handover is on approval: unless a change is confirmed, the next program hands everything back to
the one it came from. So does a program that cannot even start.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import sys
from collections.abc import Iterable, Mapping, MutableMapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, NoReturn

from aiops.gateway.master.group import Group, WorkerHandle
from aiops.gateway.shared import protocol
from aiops.gateway.worker.listed import Listed
from aiops.gateway.worker.settings import load, read_secrets

VARIABLE = "AIOPS_HANDOVER"
MODULE = "aiops.gateway"
# A program that does not get as far as answering within this time hands back. LiteLLM's import takes 5 to 14 s, and
# 120 s were not enough on two processors with a load of 12. Nobody waits for it: the workers serve on.
START_SECONDS = 300
# What a watchdog has to grant: a program that is given up at the last moment, and the import of the one before it.
SILENT_SECONDS = 2 * START_SECONDS
# The descriptors a service manager passed are handed over like all the others.
STALE = ("LISTEN_FDS", "LISTEN_PID", "LISTEN_FDNAMES")


@dataclass(frozen=True)
class Handover:
    """What one program leaves to the next. Descriptors are numbers; ``hold`` is in seconds, 0 for good.

    ``token`` names the request, so that whoever asked can tell the answer of the new program from one of the old.
    ``python`` is the interpreter that hands over. ``error``: why the one in between handed back.
    """

    token: str
    python: str
    hold: float
    control: int
    listeners: tuple[int, ...]
    groups: tuple[dict[str, Any], ...]
    error: str = ""


def receive(environment: MutableMapping[str, str]) -> Handover | None:
    """What an earlier program left, if any. The variable is removed: no child may take it for its own."""
    text = environment.pop(VARIABLE, "")
    if not text:
        return None
    data = json.loads(text)
    known = {name: data[name] for name in Handover.__dataclass_fields__ if name in data}
    return Handover(**{**known, "listeners": tuple(data["listeners"]), "groups": tuple(data["groups"])})


def descriptors(handover: Handover) -> set[int]:
    """All that are mentioned in it."""
    channels = {int(worker["channel"]) for group in handover.groups for worker in group["workers"]}
    return {handover.control, *handover.listeners, *channels}


def become(python: str, handover: Handover, environment: Mapping[str, str]) -> NoReturn:
    """Replace this program. ``environment``: as this program was started with. Raises OSError, with nothing changed."""
    kept = descriptors(handover)
    clean = {name: value for name, value in environment.items() if name not in STALE}
    argv = [python, "-P", "-m", MODULE, *sys.argv[1:]]
    stopping = {signal.SIGTERM, signal.SIGINT}
    # Kept until the next program can receive them; the mask survives execve.
    before = signal.pthread_sigmask(signal.SIG_BLOCK, stopping)
    try:
        for descriptor in kept:
            os.set_inheritable(descriptor, True)
        sys.stderr.flush()
        os.execve(python, argv, {**clean, VARIABLE: json.dumps(asdict(handover))})  # noqa: S606
    except OSError:
        for descriptor in kept:
            with contextlib.suppress(OSError):
                os.set_inheritable(descriptor, False)
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
        raise


def go_back(handover: Handover, error: BaseException, environment: Mapping[str, str]) -> NoReturn:
    """The program in between does not start: everything as it came, to where it came from. Raises OSError."""
    reason = f"{type(error).__name__}: {error}".strip(": ")
    become(handover.python, replace(handover, hold=0.0, error=reason), environment)


def describe(groups: Iterable[Group]) -> tuple[dict[str, Any], ...]:
    """All workers of all generations, for the next program."""
    return tuple(
        {
            "directory": str(group.settings.directory),
            "host": group.settings.host,
            "port": group.settings.port,
            "admin": group.settings.admin,
            "role": group.role,
            "drained_by": group.drained_by,
            "light": group.light,
            "workers": [
                {
                    "pid": worker.pid,
                    "index": worker.index,
                    "channel": worker.channel.sock.fileno(),
                    "started": worker.started,
                    "role": worker.role,
                    "http": worker.http,
                    "exchange": worker.exchange,
                }
                for worker in group.workers
                if not worker.channel.closed
            ],
        }
        for group in groups
        if group.workers
    )


def quiet(groups: Iterable[Group]) -> bool:
    """Whether no message is half received or half sent: what is in the kernel survives, what is in memory does not."""
    return all(worker.channel.between_messages for group in groups for worker in group.workers)


def sockets(handover: Handover) -> list[socket.socket]:
    """The listening sockets, as this program's own."""
    return [_own(descriptor) for descriptor in handover.listeners]


def address(described: Mapping[str, Any]) -> tuple[str, int]:
    return str(described["host"]), int(described["port"])


def admin_address(described: Mapping[str, Any]) -> tuple[str, int] | None:
    """Of the management API, when it has a port of its own that is still accepted on."""
    given = described.get("admin")
    return (str(given[0]), int(given[1])) if given and described["role"] != protocol.DRAINING else None


def let_go(described: Mapping[str, Any]) -> None:
    """Close the channels to workers that cannot be taken over: they see that they have no master."""
    for worker in described["workers"]:
        with contextlib.suppress(OSError):
            os.close(worker["channel"])


def control(handover: Handover) -> socket.socket:
    return _own(handover.control)


def group(described: Mapping[str, Any], listener: socket.socket, admin: socket.socket | None, secrets: Path) -> Group:
    """A generation whose workers were forked by an earlier program. Raises OSError, ValueError, KeyError."""
    settings = load(Path(described["directory"]))
    models = Listed.read(settings.config) if described.get("light") else None
    made = Group(settings, read_secrets(settings, secrets), listener, admin, role=described["role"], models=models)
    made.adopted = True
    made.drained_by = described.get("drained_by")
    made.workers = [
        WorkerHandle(
            pid=worker["pid"],
            index=worker["index"],
            channel=protocol.Peer(_own(worker["channel"])),
            started=worker["started"],
            role=worker["role"],
            http=worker["http"],
            exchange=worker["exchange"],
            child=worker.get("child", True),
        )
        for worker in described["workers"]
    ]
    return made


def _own(descriptor: int) -> socket.socket:
    os.set_inheritable(descriptor, False)
    return socket.socket(fileno=descriptor)
