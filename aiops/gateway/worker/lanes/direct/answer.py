"""What of a provider's answer is passed on: its bytes, with the name that was asked for, and a head of our own.

The head of a stream, and what it says before its first token, are kept back until that has come: until then another
provider may answer in its place. From there on nothing is kept.
"""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator
from dataclasses import dataclass

import orjson

from aiops.gateway.worker.board import BROKE_OFF, Board
from aiops.gateway.worker.call import Call
from aiops.gateway.worker.first_token import announces
from aiops.gateway.worker.front.asgi import Headers, Send
from aiops.gateway.worker.lanes.direct import failed, naming
from aiops.gateway.worker.lanes.direct.failed import Failed
from aiops.gateway.worker.lanes.upstream.failed import UpstreamError
from aiops.gateway.worker.reply import (
    FALLBACKS_HEADER,
    GROUP_HEADER,
    LANE_HEADER,
    PROVIDER_HEADER,
    RULE_HEADER,
    queue_headers,
)

RETRIES_HEADER = b"x-litellm-attempted-retries"
CALL_ID_HEADER = b"x-litellm-call-id"
OF_STREAMS: Headers = [(b"cache-control", b"no-cache"), (b"x-accel-buffering", b"no")]
"""Proxies in front of us, nginx among them, would keep the pieces back without."""
HELD = 64 * 1024  # bytes in which an answer may say that it begins
# How an answer that has begun says that it goes no further. In a text of a model quotes and ends of lines are escaped.
_ERROR, _ERROR_EVENT = b'{"error":', b"event: error"


def head(call: Call, status: int, kind: bytes, retries: int, provider_says: Headers) -> Headers:
    """``kind``: of what its body is. ``provider_says``: headers of the provider that are handed on."""
    found = [
        (b"content-type", kind),
        (CALL_ID_HEADER, str(uuid.uuid4()).encode()),
        (GROUP_HEADER, call.name.encode("latin-1", "replace")),
        (RETRIES_HEADER, str(retries).encode()),
        (FALLBACKS_HEADER, str(call.fallbacks).encode()),
        (LANE_HEADER, call.lane),
    ]
    if call.provider:
        found.append((PROVIDER_HEADER, call.provider.encode("latin-1", "replace")))
        if call.rule is not None:
            found.append((RULE_HEADER, call.rule))
    if call.queued is not None or status == 429:
        found += queue_headers(call, status)
    if provider_says:
        found += [(name.lower(), value) for name, value in provider_says if name[:12].lower() == b"x-ratelimit-"]
    return found


@dataclass(frozen=True, slots=True)
class Whole:
    """An answer in one piece. ``said``: the same, read; None for what is no JSON. ``kind``: what it is. ``headers``:
    the provider's."""

    content: bytes
    said: object
    kind: bytes
    headers: Headers

    async def pass_on(self, call: Call, board: Board, send: Send, name: str, retries: int) -> None:
        content = naming.whole(self.content, self.said, name)
        board.answered(call)
        headers = head(call, 200, self.kind, retries, self.headers)
        headers.append((b"content-length", str(len(content)).encode()))
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": content})


class Stream:
    """One answer that comes in pieces. ``headers``: its head."""

    def __init__(self, call: Call, board: Board, send: Send, name: str, provider: str) -> None:
        self.begun = False
        self._call = call
        self._board = board
        self._send = send
        self._naming = naming.Naming(name)
        self._provider = provider
        self._held: list[bytes] = []
        self._size = 0
        self._ends_whole = True

    async def pass_on(self, pieces: AsyncIterator[bytes], headers: Headers) -> Failed | None:
        """All of it. A failure only as long as nothing of it has gone out; raises UpstreamError likewise."""
        put_right, send = self._naming.put_right, self._send
        try:
            async for piece in pieces:
                if not self.begun:
                    found = self._look(piece)
                    if isinstance(found, Failed):
                        return found
                    if found:
                        await self._begin(headers)
                    continue
                passed = put_right(piece)
                if passed:
                    self._ends_whole = passed.endswith(b"\n")
                    await send({"type": "http.response.body", "body": passed, "more_body": True})
                if _ERROR in piece or piece.startswith(_ERROR_EVENT) or b"\n" + _ERROR_EVENT in piece:
                    self._board.failed(self._call, None, BROKE_OFF)
        except UpstreamError as error:
            if not self.begun:
                raise
            await self.break_off(failed.of_upstream(error, self._provider))
            return None
        if not self.begun:
            return failed.broke_off(self._provider)
        await send({"type": "http.response.body", "body": self._naming.end()})
        return None

    async def pass_bytes_on(self, pieces: AsyncIterator[bytes], headers: Headers) -> None:
        """What is no text: as it is. One that breaks off is left without an end, which its client sees."""
        send = self._send
        try:
            async for piece in pieces:
                if not self.begun:
                    await self._begin(headers)
                await send({"type": "http.response.body", "body": piece, "more_body": True})
        except UpstreamError as error:
            if not self.begun:
                raise
            failure = failed.of_upstream(error, self._provider)
            self._board.failed(self._call, failure.status, failure.failure)
            return
        if not self.begun:
            await self._begin(headers)
        await send({"type": "http.response.body", "body": b""})

    def _look(self, piece: bytes) -> Failed | bool:
        """Whether the first token is there now, in what was kept back so far."""
        self._held.append(piece)
        self._size += len(piece)
        if b"\n" not in piece and b"\r" not in piece:
            return self._size > HELD
        data = piece if len(self._held) == 1 else b"".join(self._held)
        begin = 0
        while (end := _end(data, begin)) > 0:
            event, begin = data[begin:end], end
            lines = [line for line in event.splitlines() if line.startswith(b"data:")]
            if b'"error"' in event:
                for line in lines:
                    failure = failed.in_a_stream(line[5:], self._provider)
                    if failure is not None:
                        return failure
            if lines and not announces(event):
                return True
        return self._size > HELD

    async def _begin(self, headers: Headers) -> None:
        self.begun = True
        self._board.answered(self._call)
        await self._send({"type": "http.response.start", "status": 200, "headers": headers})
        held, self._held = self._held, []
        if len(held) > 1:  # together they have whole events, however those were cut
            self._naming.look(b"".join(held).rpartition(b"\n")[0])
        for piece in held:
            passed = self._naming.put_right(piece)
            if passed:
                self._ends_whole = passed.endswith(b"\n")
                await self._send({"type": "http.response.body", "body": passed, "more_body": True})

    async def break_off(self, failure: Failed) -> None:
        """It has begun, so nobody else can answer: it is said in the stream, as LiteLLM does."""
        self._board.failed(self._call, failure.status, failure.failure)
        error = {"message": failure.message, "type": failure.type, "param": None, "code": str(failure.shown)}
        said = b"data: " + orjson.dumps({"error": error}) + b"\n\n"
        rest = self._naming.end()
        if rest or not self._ends_whole:
            said = rest + b"\n\n" + said
        await self._send({"type": "http.response.body", "body": said})


def _end(data: bytes, begin: int) -> int:
    """Behind the event that begins there; 0: it has no end yet."""
    found = [at + len(end) for end in (b"\n\n", b"\r\n\r\n", b"\r\r") if (at := data.find(end, begin)) >= 0]
    return min(found, default=0)
