"""A master hands over to another process: the master of another container, made from another image.

It is the handover of ``handover.py``, with two differences. The descriptors travel over a connection to the control
socket (SCM_RIGHTS). And the old master stays where it is, asleep, with all it had: when the new one gives
back, or dies, it goes on as if nothing had happened. Only when a change was confirmed in the new one does it leave.
"""

from __future__ import annotations

import json
import os
import socket
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from aiops.gateway.master.handover import Handover, descriptors
from aiops.gateway.shared import installed, messages, protocol

ANSWER_SECONDS = 60.0  # until nothing is half done in the old master
APPROVED = b"+"
MOST_AT_ONCE = 200  # SCM_MAX_FD is 253


class AnotherServes(Exception):
    """Another master answers on the control socket, and nobody asked this one to take its place."""


@dataclass(frozen=True)
class Invitation:
    """Who is to succeed the master that serves, left in the run directory by the command line.

    ``hold``: seconds after which the new master gives back unless a change is confirmed; 0: it takes over for good.
    """

    container: str
    token: str
    hold: float

    @classmethod
    def take(cls, run: Path) -> Invitation | None:
        """The one that is meant for this very container. It is good for one time."""
        path = run / installed.INVITATION
        try:
            data = json.loads(path.read_bytes())
            found = cls(str(data["container"]), str(data["token"]), float(data["hold"]))
        except (OSError, ValueError, KeyError, TypeError):
            return None
        if found.container != os.environ.get(installed.CONTAINER_VARIABLE):
            return None
        path.unlink(missing_ok=True)
        return found


def require_alone(run: Path) -> None:
    """Raises AnotherServes, which says who. Two containers of one instance share the run directory, and people start
    programs by hand. The socket of a master that is gone answers nobody."""
    with suppress(OSError):
        _connect(run).close()
        raise AnotherServes(f"a gateway of this instance runs already{_pid(run)}: see `aiops status`")


def _pid(run: Path) -> str:
    with suppress(OSError):
        return f" (pid {(run / protocol.PID_FILE).read_text().strip()})"
    return ""


def ask(run: Path, invitation: Invitation) -> tuple[Handover | None, socket.socket | None]:
    """Take over from the master that serves; nothing when there is none, or when it left for good.

    Raises OSError, TimeoutError when it does not come to it.
    """
    try:
        link = _connect(run)
    except OSError:
        return None, None
    link.settimeout(ANSWER_SECONDS)
    if not invitation.hold:
        _send_away(link, run)
        return None, None
    answer, received = _order(link, messages.Succeed(invitation.token, invitation.hold, invitation.container))
    if len(received) != len(answer["descriptors"]):  # recvmsg(2): more than this process may have open are dropped
        raise OSError(f"{len(received)} of {len(answer['descriptors'])} descriptors arrived: the limit is too low")
    numbers = dict(zip(answer["descriptors"], received, strict=True))
    return _renumbered(answer["handover"], numbers), link


def send(link: socket.socket, handover: Handover) -> None:
    """Everything to the next master. Raises OSError."""
    numbers = sorted(descriptors(handover))
    link.settimeout(ANSWER_SECONDS)
    for start in range(0, len(numbers), MOST_AT_ONCE):
        socket.send_fds(link, [b" "], numbers[start : start + MOST_AT_ONCE])
    link.sendall(protocol.encode({"ok": True, "descriptors": numbers, "handover": asdict(handover)}))


def sleep(link: socket.socket) -> bool:
    """Wait for as long as the next master is on approval. Whether it stays; False: it gave back, or died."""
    link.settimeout(None)
    try:
        return link.recv(1) == APPROVED
    except OSError:
        return False


def approve(link: socket.socket) -> None:
    """Tell the master before that it may leave."""
    with suppress(OSError):
        link.sendall(APPROVED)
    link.close()


def still_there(link: socket.socket) -> bool:
    """Whether the master before still sleeps, so that there is somebody to give back to."""
    link.setblocking(False)
    try:
        return bool(link.recv(1, socket.MSG_PEEK))
    except BlockingIOError:
        return True
    except OSError:
        return False


def _connect(run: Path) -> socket.socket:
    link = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        link.connect(str(run / protocol.CONTROL))
    except OSError:
        link.close()
        raise
    return link


def _send_away(link: socket.socket, run: Path) -> None:
    """The master that serves leaves its workers to us, and its keeper starts no other."""
    with link:
        _order(link, messages.Leave(for_good=True))
    deadline = time.monotonic() + ANSWER_SECONDS
    while time.monotonic() < deadline:
        try:
            require_alone(run)
        except AnotherServes:
            time.sleep(0.02)
            continue
        return
    raise TimeoutError("the master that serves did not leave")


def _order(link: socket.socket, request: messages.Request[Any]) -> tuple[dict[str, Any], list[int]]:
    """The answer, and the descriptors that came with it. Raises OSError when it is no."""
    link.sendall(protocol.encode(request.plain()))
    data, received = b"", []
    while b"\n" not in data:
        part, more, _, _ = socket.recv_fds(link, 65536, MOST_AT_ONCE)
        received += more
        data += part
        if not part:
            raise OSError("the master that serves went away")
    answer = json.loads(data.partition(b"\n")[0])
    if not answer.get("ok"):
        raise OSError(f"the master that serves refused: {messages.Refusal.of(answer).error}")
    return answer, received


def _renumbered(data: Mapping[str, Any], numbers: Mapping[int, int]) -> Handover:
    """The same handover with the numbers that its descriptors have in this process."""
    given = Handover(**{**data, "listeners": tuple(data["listeners"]), "groups": tuple(data["groups"])})
    return replace(
        given,
        control=numbers[given.control],
        listeners=tuple(numbers[listener] for listener in given.listeners),
        groups=tuple({**group, "workers": list(_workers(group, numbers))} for group in given.groups),
    )


def _workers(group: Mapping[str, Any], numbers: Mapping[int, int]) -> Iterator[dict[str, Any]]:
    for worker in group["workers"]:
        yield {**worker, "channel": numbers[worker["channel"]], "child": False}
