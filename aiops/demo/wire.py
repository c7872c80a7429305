"""The little of ASGI that the double needs: read a body, answer, stream, and break a connection on purpose."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import Any

Scope = dict[str, Any]
Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]

JSON, SSE, NDJSON = b"application/json", b"text/event-stream; charset=utf-8", b"application/x-ndjson"


@dataclass(frozen=True)
class Stream:
    """Pieces to send one by one. ``cut_after`` pieces the connection is broken, when that is not None."""

    pieces: Iterable[bytes]
    content_type: bytes
    pause: float = 0.0
    cut_after: int | None = None


@dataclass(frozen=True)
class Answer:
    """A whole answer. ``cut`` breaks the connection after half of the body."""

    body: bytes
    status: int = 200
    content_type: bytes = JSON
    headers: tuple[tuple[bytes, bytes], ...] = ()
    cut: bool = False


def as_json(value: object, status: int = 200, headers: tuple[tuple[bytes, bytes], ...] = ()) -> Answer:
    return Answer(encode(value), status, headers=headers)


def encode(value: object) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


async def read_body(receive: Receive) -> bytes:
    message = await receive()
    body: bytes = message.get("body", b"")
    while message.get("more_body"):
        message = await receive()
        body += message.get("body", b"")
    return body


async def send_answer(answer: Answer, receive: Receive, send: Send) -> None:
    length = str(len(answer.body)).encode()
    headers = [(b"content-type", answer.content_type), (b"content-length", length), *answer.headers]
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    if answer.cut:
        await send({"type": "http.response.body", "body": answer.body[: len(answer.body) // 2], "more_body": True})
        await break_connection(receive, send)
    else:
        await send({"type": "http.response.body", "body": answer.body})


async def send_stream(stream: Stream, receive: Receive, send: Send) -> None:
    headers = [(b"content-type", stream.content_type), (b"cache-control", b"no-cache")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    for number, piece in enumerate(stream.pieces):
        if stream.pause and number:
            await asyncio.sleep(stream.pause)
        if number == stream.cut_after:
            await break_connection(receive, send)
            return
        await send({"type": "http.response.body", "body": piece, "more_body": True})
    await send({"type": "http.response.body", "body": b""})


async def break_connection(receive: Receive, send: Send) -> None:
    """Close the socket as a crashing server does: what was written goes out, then nothing more comes.

    ASGI has no word for that. In both of uvicorn's HTTP implementations ``send`` is a method of the object
    that holds the transport.
    """
    await asyncio.sleep(0)
    send.__self__.transport.close()  # type: ignore[attr-defined]
    await until_disconnected(receive)


async def until_disconnected(receive: Receive) -> None:
    """Wait without answering until the client hangs up."""
    while (await receive())["type"] != "http.disconnect":
        pass
