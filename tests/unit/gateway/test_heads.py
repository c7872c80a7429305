"""A head without end, of somebody whom nobody knows, is not kept."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Any

import pytest
import uvicorn

from aiops.gateway.worker import heads
from aiops.gateway.worker.front.asgi import Receive, Scope, Send


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    while (await receive()).get("more_body"):
        pass
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"0")]})
    await send({"type": "http.response.body", "body": b""})


def answers(*pieces: bytes) -> list[bytes]:
    """The first line of each answer."""

    async def story() -> list[bytes]:
        config = uvicorn.Config(app, http=heads.Bounded, ws="none", lifespan="off", log_config=None)
        config.load()
        server = uvicorn.Server(config)
        made: Any = config.http_protocol_class
        listening = await asyncio.get_running_loop().create_server(
            lambda: made(config=config, server_state=server.server_state, app_state={}), "127.0.0.1", 0
        )
        reader, writer = await asyncio.open_connection(*listening.sockets[0].getsockname())
        for piece in pieces:
            writer.write(piece)
            await asyncio.sleep(0.01)
        with suppress(OSError):  # it is closed already
            writer.write_eof()
        found = await asyncio.wait_for(reader.read(), 10)
        writer.close()
        listening.close()
        return [line for line in found.split(b"\r\n") if line.startswith(b"HTTP/")]

    return asyncio.run(story())


BEGIN = b"POST /x HTTP/1.1\r\nhost: h\r\n"
OK = b"HTTP/1.1 200 OK"


@pytest.mark.parametrize(
    "more", [b"x-a: 1\r\n" * 2000, b"x-a: " + b"1" * 20_000, b"1" * 20_000], ids=["headers", "one", "nothing"]
)
def test_a_head_without_end_is_refused(more: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(heads, "LARGEST", 10_000)
    found = answers(BEGIN + more, more)
    assert found == [b"HTTP/1.1 400 Bad Request"]


def test_bodies_and_many_requests_are_no_head(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(heads, "LARGEST", 10_000)
    body = BEGIN + b"content-length: 50000\r\n\r\n"
    small = BEGIN + b"content-length: 0\r\n\r\n"
    assert answers(body, b"x" * 25_000, b"x" * 25_000, small * 300, small[:20], small[20:]) == [OK] * 302
