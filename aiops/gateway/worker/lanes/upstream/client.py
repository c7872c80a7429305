"""Asks providers, and hands on what they answer as it comes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Final

import aiohttp
from multidict import CIMultiDict
from yarl import URL

from aiops import __version__
from aiops.gateway.worker.lanes.upstream.ask import Ask, Headers
from aiops.gateway.worker.lanes.upstream.failed import BrokeOff, Malformed, Refused, Stage, TimedOut

IDLE_SECONDS: Final = 4.0
"""vLLM's, llama.cpp's and Ollama's servers close a connection that was idle for five."""
HEAD_BYTES: Final = 65_536
OWN: Final = {"user-agent": f"aiops/{__version__}", "accept-encoding": "identity", "accept": "*/*"}


class Answer:
    """The head of what a provider answers; its body comes in ``pieces``."""

    def __init__(self, response: aiohttp.ClientResponse, between: float | None) -> None:
        self._response = response
        self._between = between
        self.status = response.status
        self.headers: Headers = list(response.raw_headers)

    async def pieces(self) -> AsyncIterator[bytes]:
        """The body, as it comes. Raises TimedOut, BrokeOff, Malformed."""
        try:
            async for piece in self._response.content.iter_any():
                yield piece
        except aiohttp.SocketTimeoutError as error:
            raise TimedOut(Stage.BETWEEN, self._between) from error
        except aiohttp.http_exceptions.TransferEncodingError as error:
            raise Malformed(str(error)) from error
        except (aiohttp.ClientError, OSError) as error:
            if isinstance(error.__cause__, aiohttp.http_exceptions.TransferEncodingError):
                raise Malformed(str(error)) from error
            raise BrokeOff(str(error), began=True) from error

    async def whole(self) -> bytes:
        """All of the body. Raises as ``pieces``."""
        return b"".join([piece async for piece in self.pieces()])


class Upstream:
    """One for each worker: its connections are kept for the next request."""

    def __init__(self) -> None:
        self._session: aiohttp.ClientSession | None = None

    @asynccontextmanager
    async def ask(self, ask: Ask) -> AsyncIterator[Answer]:
        """Leaving before the end of the answer closes the connection, which stops the provider.

        Raises Refused, TimedOut, BrokeOff, Malformed.
        """
        response = await self._answered(ask)
        try:
            yield Answer(response, ask.between)
        finally:
            response.close()  # what was read to its end has given its connection back

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()

    async def _answered(self, ask: Ask) -> aiohttp.ClientResponse:
        reused: list[bool] = []
        try:
            return await self._once(ask, reused)
        except (aiohttp.ServerDisconnectedError, aiohttp.ClientOSError) as error:
            if not reused or isinstance(error, aiohttp.ClientConnectorError):
                raise _failed(ask, error) from error
        except (aiohttp.ClientError, OSError) as error:
            raise _failed(ask, error) from error
        # The server closed it in the moment in which it was used again. It answered nothing, so it did nothing.
        try:
            return await self._once(ask, reused, CIMultiDict(connection="close"))
        except (aiohttp.ClientError, OSError) as error:
            raise _failed(ask, error) from error

    async def _once(self, ask: Ask, reused: list[bool], more: CIMultiDict[str] | None = None) -> aiohttp.ClientResponse:
        headers = CIMultiDict(OWN)
        headers.extend((name.decode("latin-1"), value.decode("latin-1")) for name, value in ask.headers)
        response = await self._opened().request(
            ask.method,
            URL(ask.url, encoded=True),
            headers=headers if more is None else CIMultiDict([*headers.items(), *more.items()]),
            data=ask.body,
            allow_redirects=False,
            timeout=aiohttp.ClientTimeout(connect=ask.connect, sock_read=ask.first_byte),
            trace_request_ctx=reused,
        )
        with suppress(AttributeError):  # all of the answer came with its head
            response.connection.protocol.read_timeout = ask.between  # type: ignore[union-attr]
        return response

    def _opened(self) -> aiohttp.ClientSession:
        if self._session is None:
            traced = aiohttp.TraceConfig()
            traced.on_connection_reuseconn.append(_reused)
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=IDLE_SECONDS),
                cookie_jar=aiohttp.DummyCookieJar(),
                auto_decompress=False,
                trace_configs=[traced],
                max_line_size=HEAD_BYTES,
                max_field_size=HEAD_BYTES,
            )
        return self._session


async def _reused(_session: object, context: object, _parameters: object) -> None:
    context.trace_request_ctx.append(True)  # type: ignore[attr-defined]


def _failed(ask: Ask, error: Exception) -> Exception:
    if isinstance(error, aiohttp.ConnectionTimeoutError):
        return TimedOut(Stage.CONNECT, ask.connect)
    if isinstance(error, aiohttp.SocketTimeoutError | asyncio.TimeoutError):
        return TimedOut(Stage.FIRST_BYTE, ask.first_byte)
    if isinstance(error, aiohttp.ClientConnectorError | ConnectionRefusedError):
        return Refused(str(error))
    if isinstance(error, aiohttp.ClientResponseError):
        return Malformed(error.message)
    return BrokeOff(str(error), began=False)
