"""One connection to a provider, one request at a time. llhttp (httptools) reads what comes."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from typing import Any, Final, cast

import httptools

from aiops.gateway.worker.lanes.upstream.answer import Answer
from aiops.gateway.worker.lanes.upstream.ask import Ask
from aiops.gateway.worker.lanes.upstream.failed import BrokeOff, Malformed

HEAD_BYTES: Final = 65_536
"""The most that the head of an answer may have, together with interim ones (1xx) before it."""
JOINED: Final = 16_384
"""A body up to here is written together with its head: the copy costs less than another write."""
_FRAMED: Final = (b"content-length", b"transfer-encoding")
_KEPT_ALIVE: Final = (
    # A model that thinks for ten minutes is silent: a NAT would forget the connection, a dead host go unnoticed.
    (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
    (socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 60),
    (socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 20),
    (socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 4),
)


class Connection(asyncio.Protocol):
    """``free`` is called with it after each answer that leaves it usable. ``lost``: the other side has closed it."""

    def __init__(self, loop: asyncio.AbstractEventLoop, free: Callable[[Connection], None]) -> None:
        self.lost = False
        self.idle_since = 0.0  # by the loop's clock
        self._loop = loop
        self._free = free
        self._parser: Any = httptools.HttpResponseParser(self)
        self._parser.set_dangerous_leniencies(lenient_optional_cr_before_lf=True, lenient_spaces_after_chunk_size=True)
        self._transport: asyncio.Transport | None = None
        self._answer: Answer | None = None
        self._head_bytes = 0
        self._reusable = False

    async def ask(self, head: bytes, ask: Ask) -> Answer:
        """Once the head of the answer is there. Raises TimedOut, BrokeOff, Malformed; it is closed then."""
        assert self._transport is not None, "it is not connected"
        self._answer = answer = Answer(self, self._loop, ask.between)
        self._head_bytes = 0
        if len(ask.body) <= JOINED:
            self._transport.write(head + ask.body)
        else:
            self._transport.write(head)
            self._transport.write(ask.body)
        try:
            await answer.head(ask.first_byte)
        except BaseException:
            self.cut()
            raise
        return answer

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()

    def cut(self) -> None:
        """Close it at once, whatever is still to be sent: this is what stops the provider."""
        self._answer = None
        if self._transport is not None:
            self._transport.abort()

    def pause(self) -> None:
        if self._transport is not None:
            self._transport.pause_reading()

    def resume(self) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.resume_reading()

    # --- called by the event loop ---------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        for option in _KEPT_ALIVE:
            transport.get_extra_info("socket").setsockopt(*option)

    def data_received(self, data: bytes) -> None:
        answer = self._answer
        if answer is None:  # nobody asked: the next answer must not begin with this
            self.cut()
            return
        answer.began = True
        if not answer.status:
            self._head_bytes += len(data)
        try:
            self._parser.feed_data(data)
            if not answer.status and self._head_bytes > HEAD_BYTES:
                raise Malformed(f"the head of the answer has more than {HEAD_BYTES} bytes")
        except httptools.HttpParserUpgrade:
            self._refuse(answer, Malformed("the provider changes to another protocol"))
        except httptools.HttpParserError as error:
            self._refuse(answer, Malformed(f"the answer is no HTTP: {error}"))
        except Malformed as error:
            self._refuse(answer, error)
        else:
            if self._answer is None:
                self._finish()
        answer.wake()

    def eof_received(self) -> None:
        self.lost = True

    def connection_lost(self, exc: Exception | None) -> None:
        self.lost = True
        self._parser = None  # it refers to this
        answer, self._answer = self._answer, None
        if answer is None:
            return
        if exc is None and answer.status and not any(name.lower() in _FRAMED for name, _ in answer.headers):
            answer.end()  # one that lasts as long as its connection
        else:
            answer.fail(BrokeOff(f"the provider closed the connection{f': {exc}' if exc else ''}", began=answer.began))
        answer.wake()

    # --- called by llhttp -----------------------------------------------------------------------------------------

    def on_message_begin(self) -> None:
        if self._answer is None:
            self._reusable = False  # more than was asked for

    def on_header(self, name: bytes, value: bytes) -> None:
        answer = self._answer
        if answer is not None and not answer.status:  # else a trailer
            answer.headers.append((name, value))

    def on_headers_complete(self) -> None:
        answer = self._answer
        if answer is None:
            return
        status = self._parser.get_status_code()
        if status < 200:
            answer.headers = []
        elif self._head_bytes <= HEAD_BYTES or sum(len(n) + len(v) for n, v in answer.headers) <= HEAD_BYTES:
            answer.status = status

    def on_body(self, piece: bytes) -> None:
        answer = self._answer
        if answer is not None and answer.status:
            answer.take(piece)

    def on_message_complete(self) -> None:
        answer = self._answer
        if answer is not None and answer.status:
            self._answer = None
            self._reusable = self._parser.should_keep_alive()
            answer.end()

    def _refuse(self, answer: Answer, failure: Malformed) -> None:
        answer.fail(failure)  # not one that is complete: then only what comes behind it is wrong
        self.cut()

    def _finish(self) -> None:
        if self._transport is not None and self._transport.get_write_buffer_size():
            self.cut()  # the answer came before all of the question was sent: nobody wants the rest
        elif self._reusable and not self.lost:
            self._free(self)
        else:
            self.close()
