"""What is said to a warm process: one order, one message. The answers: `begun PID` and, later, `ended CODE`."""

from __future__ import annotations

import json
import os
import socket
from dataclasses import asdict, dataclass

LARGEST = 1 << 20
BEGUN, ENDED = "begun", "ended"


@dataclass(frozen=True)
class Order:
    """A process to be. ``masters``: the socket that its own masters come from; empty when they start for real."""

    argv: list[str]
    module: str
    environment: dict[str, str]
    directory: str
    new_session: bool
    masters: str = ""

    def send(self, place: str, descriptors: tuple[int, int, int]) -> tuple[socket.socket, int]:
        """Given where a warm process listens and the three standard descriptors, have it forked; connection and pid."""
        peer = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        try:
            peer.connect(place)
            peer.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, LARGEST)
            socket.send_fds(peer, [json.dumps(asdict(self)).encode()], descriptors)
            # The fork says so itself, once it is what was ordered: whoever looks at it now sees the program.
            said, _, pid = peer.recv(64).decode().partition(" ")
            if said != BEGUN:
                raise AssertionError(f"the warm process at {place} did not start {self.argv}: see {place}.log")
            return peer, int(pid)
        except BaseException:
            peer.close()
            raise

    @classmethod
    def receive(cls, peer: socket.socket) -> tuple[Order, list[int]] | None:
        """Raises ValueError. None: whoever connected wanted the imports to begin, and nothing else."""
        data, descriptors, _, _ = socket.recv_fds(peer, LARGEST, 3)
        if not data:
            return None
        try:
            return cls(**json.loads(data)), descriptors
        except (TypeError, ValueError):
            for each in descriptors:
                os.close(each)
            raise
