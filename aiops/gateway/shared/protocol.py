"""The words master, workers and the command line say to each other: one JSON object a line, over unix sockets.

A *change session* is one connection to the master's control socket on which ``stage``, ``promote``,
``confirm``, ``revert`` and ``abort`` follow each other. Losing that connection before ``confirm``
(the command line was killed, the SSH session dropped) undoes what the session had begun.
"""

from __future__ import annotations

import json
import socket
from typing import Any, Final

Message = dict[str, Any]

CONTROL: Final = "control.sock"
PID_FILE: Final = "master.pid"
GENERATION_HEADER: Final = "x-aiops-generation"
MAX_LINE: Final = 16 * 1024 * 1024

# Roles of a generation's workers. `provisional` and `standby` are the two halves of an unconfirmed promote:
# when the master vanishes the provisional half leaves and the standby half serves again, without being told.
CANDIDATE: Final = "candidate"
PROVISIONAL: Final = "provisional"
SERVING: Final = "serving"
STANDBY: Final = "standby"
DRAINING: Final = "draining"
PUBLIC_ROLES: Final = frozenset({PROVISIONAL, SERVING})


def encode(message: Message) -> bytes:
    """One message as the bytes of one line."""
    return json.dumps(message, separators=(",", ":")).encode() + b"\n"


class LineBuffer:
    """Bytes in, complete messages out."""

    def __init__(self) -> None:
        self._bytes = bytearray()

    @property
    def partial(self) -> bool:
        """The beginning of a message is here, its end is not."""
        return bool(self._bytes)

    def feed(self, data: bytes) -> list[Message]:
        """Add ``data``; return the messages it completes. Raises ValueError for a line that is not a JSON object."""
        self._bytes += data
        if len(self._bytes) > MAX_LINE:
            raise ValueError("line too long")
        messages: list[Message] = []
        while (end := self._bytes.find(b"\n")) >= 0:
            line = bytes(self._bytes[:end])
            del self._bytes[: end + 1]
            message = json.loads(line)
            if not isinstance(message, dict):
                raise ValueError("not an object")
            messages.append(message)
        return messages


class Peer:
    """A non-blocking stream socket that carries messages, for the master's select loop.

    What the kernel does not take at once is kept and sent by ``flush`` when the socket is writable again.
    """

    def __init__(self, sock: socket.socket) -> None:
        sock.setblocking(False)
        self.sock = sock
        self._lines = LineBuffer()
        self._out = bytearray()
        self.closed = False

    @property
    def wants_write(self) -> bool:
        return bool(self._out) and not self.closed

    @property
    def between_messages(self) -> bool:
        """Nothing is half received or half sent."""
        return self.closed or not (self._out or self._lines.partial)

    def receive(self) -> list[Message]:
        """Messages that have arrived. Sets ``closed`` at end of file or on a broken peer."""
        try:
            data = self.sock.recv(65536)
        except (BlockingIOError, InterruptedError):
            return []
        except OSError:
            data = b""
        if not data:
            self.closed = True
            return []
        try:
            return self._lines.feed(data)
        except ValueError:
            self.closed = True
            return []

    def send(self, message: Message) -> None:
        self._out += encode(message)
        self.flush()

    def flush(self) -> None:
        while self._out and not self.closed:
            try:
                sent = self.sock.send(self._out)
            except (BlockingIOError, InterruptedError):
                return
            except OSError:
                self.closed = True
                return
            del self._out[:sent]

    def close(self) -> None:
        self.closed = True
        self.sock.close()


SUCCEEDED = 3  # a master in another container serves; what is left here are workers that finish their streams
