"""A client that says what it is told to, byte by byte, and reads what comes back."""

from __future__ import annotations

import gzip
import io
import json
import socket
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from http.client import HTTPException, HTTPResponse, IncompleteRead
from typing import Any

PATIENCE = 10.0


@dataclass(frozen=True)
class Answer:
    """``whole``: its end came, and not that of the connection."""

    status: int
    headers: list[tuple[str, str]]
    body: bytes
    whole: bool

    def header(self, name: str) -> str | None:
        return next((value for key, value in self.headers if key.lower() == name), None)

    @property
    def json(self) -> Any:
        return json.loads(self.unpacked)

    @property
    def unpacked(self) -> bytes:
        return gzip.decompress(self.body) if self.header("content-encoding") == "gzip" else self.body

    @property
    def events(self) -> list[str]:
        """What the events of a stream say, each: the data of it."""
        return list(data_of(self.body))

    @property
    def said(self) -> str:
        """The words of a chat, of a whole answer or of a stream."""
        if (self.header("content-type") or "").startswith("text/event-stream"):
            pieces = [json.loads(each) for each in self.events if each != "[DONE]"]
            return "".join(
                choice["delta"].get("content") or "" for piece in pieces for choice in piece.get("choices", ())
            )
        return str(self.json["choices"][0]["message"]["content"])


def data_of(stream: bytes) -> Iterator[str]:
    """As the HTML standard reads a stream of events."""
    lines: list[str] = []
    for line in io.StringIO(stream.decode(errors="surrogateescape"), newline=None):
        name, _, value = line.rstrip("\n").partition(":")
        if name == "data":
            lines.append(value.removeprefix(" "))
        elif not line.strip() and lines:
            yield "\n".join(lines)
            lines.clear()


class Client:
    """One connection."""

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=PATIENCE)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._reads = self._socket.makefile("rb")

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self.hang_up()

    def send(self, data: bytes) -> None:
        self._socket.sendall(data)

    def read(self, size: int = 65536) -> bytes:
        """What is there, as soon as something is; nothing when the other side has closed."""
        try:
            return self._reads.read1(size)
        except ConnectionError:
            return b""

    def answer(self, method: str = "POST", hears: Callable[[], None] = lambda: None) -> Answer:
        """The next one. ``hears`` is called when something of its body is there. Raises ConnectionError when none
        comes."""
        response = HTTPResponse(_Kept(self._reads), method=method)  # type: ignore[arg-type]
        try:
            response.begin()
        except (HTTPException, ConnectionError) as error:
            raise ConnectionError(f"no answer: {error!r}") from None
        body, whole = b"", True
        try:
            body = response.read(1)
            hears()
            body += response.read()
        except IncompleteRead as error:
            body, whole = body + error.partial, False
        except ConnectionError:
            whole = False
        return Answer(response.status, response.getheaders(), body, whole)

    def say_no_more(self) -> None:
        """Close this side's half of the connection."""
        self._socket.shutdown(socket.SHUT_WR)

    def hang_up(self) -> None:
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._reads.close()
        self._socket.close()


class _Kept:
    """What an ``HTTPResponse`` reads from, and would close: there may be another answer behind."""

    def __init__(self, reads: io.BufferedReader) -> None:
        self._reads = reads

    def makefile(self, _: str) -> _Kept:
        return self

    def close(self) -> None:
        pass

    def __getattr__(self, name: str) -> Any:
        return getattr(self._reads, name)


def request(
    path: str,
    body: bytes,
    headers: Iterable[tuple[str, str]],
    *,
    method: str = "POST",
    version: str = "1.1",
    chunks: int = 0,
) -> bytes:
    """``chunks``: how many bytes each has; 0: it is not sent in chunks."""
    framing = ("transfer-encoding", "chunked") if chunks else ("content-length", str(len(body)))
    lines = [f"{method} {path} HTTP/{version}", *(f"{name}: {value}" for name, value in [*headers, framing])]
    return "\r\n".join((*lines, "", "")).encode("latin-1") + (chunked(body, chunks) if chunks else body)


def chunked(body: bytes, size: int) -> bytes:
    pieces = [body[at : at + size] for at in range(0, len(body), size)]
    return b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n\r\n"


@contextmanager
def client(port: int) -> Iterator[Client]:
    with Client(port) as made:
        yield made
