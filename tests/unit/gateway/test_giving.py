"""A request that is given to another worker is the request that its client sent."""

from __future__ import annotations

import asyncio
import os
import socket
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import httptools
import pytest
import uvicorn

from aiops.gateway.shared.steady import LOST
from aiops.gateway.worker import connections, giving
from aiops.gateway.worker.connections import Heirs
from aiops.gateway.worker.front.asgi import ADMIN, Receive, Scope, Send
from aiops.gateway.worker.front.beyond import GIVEN, NeedsLiteLLM, id_of
from aiops.gateway.worker.light import Connection

CHUNKED = (
    b"POST /v1/a%20b?x=1&y=%2F HTTP/1.1\r\nHost: h\r\nX-Two: 1\r\nX-Two: 2\r\n"
    b"Transfer-Encoding: chunked\r\nExpect: 100-continue\r\n\r\n"
)


def parsed(data: bytes) -> tuple[bytes, bytes, list[tuple[bytes, bytes]], bytes]:
    class Seen:
        url, body = b"", b""

        def __init__(self) -> None:
            self.headers: list[tuple[bytes, bytes]] = []

        def on_url(self, url: bytes) -> None:
            self.url += url

        def on_header(self, name: bytes, value: bytes) -> None:
            self.headers.append((name, value))

        def on_body(self, body: bytes) -> None:
            self.body += body

    seen = Seen()
    parser = httptools.HttpRequestParser(seen)
    parser.feed_data(data)
    return parser.get_method(), seen.url, seen.headers, seen.body


def test_a_request_as_bytes_is_the_same_request_with_its_body_in_one_piece() -> None:
    scope: Scope = {
        "method": "POST",
        "path": "/v1/a b",
        "raw_path": b"/v1/a%20b",
        "query_string": b"x=1&y=%2F",
        "headers": [(b"host", b"h"), (b"x-two", b"1"), (b"transfer-encoding", b"chunked"), (b"x-two", b"2")],
    }
    method, url, headers, body = parsed(giving.as_bytes(scope, b"whole"))
    assert (method, url, body) == (b"POST", b"/v1/a%20b?x=1&y=%2F", b"whole")
    assert headers == [(b"host", b"h"), (b"x-two", b"1"), (b"x-two", b"2"), (b"content-length", b"5")]


def test_a_request_without_a_body_has_no_length() -> None:
    scope: Scope = {"method": "GET", "path": "/v1/models", "headers": [(b"host", b"h")]}
    assert parsed(giving.as_bytes(scope, b"")) == (b"GET", b"/v1/models", [(b"host", b"h")], b"")


@pytest.mark.parametrize("size", [0, 1, 10_000_000])
def test_what_is_packed_is_what_is_unpacked(size: int) -> None:
    given = giving.Given(b"x" * size, b"behind it", "an id", admin=True)
    assert giving.taken(giving.packet(given), giving.payload(given)) == given


def test_memory_is_closed_also_when_what_is_said_about_it_is_damaged() -> None:
    memory = giving.payload(giving.Given(b"x"))
    with pytest.raises(ValueError, match="Expecting"):
        giving.taken(connections.GIVE + b"{", memory)
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(memory)


def nothing(*_: object) -> None:
    pass


Answer = Callable[[Scope, Receive, Send], Any]


class Server:
    """uvicorn on a real socket, as a worker has it."""

    def __init__(self, app: Answer) -> None:
        config = uvicorn.Config(app, http=Connection, ws="none", lifespan="off", log_config=None, access_log=False)
        config.load()
        self.server = uvicorn.Server(config)
        self.server.lifespan = config.lifespan_class(config)

    def protocol(self, admin: bool = False) -> Any:
        config: Any = self.server.config
        return config.http_protocol_class(
            config=config, server_state=self.server.server_state, app_state={ADMIN: True} if admin else {}
        )

    async def take(self, sock: socket.socket, said: bytes, memory: int) -> None:
        given = giving.taken(said, memory)
        sock.setblocking(False)
        loop = asyncio.get_running_loop()
        _, made = await loop.connect_accepted_socket(lambda: self.protocol(given.admin), sock)
        giving.feed(made, given)


async def full(scope: Scope, receive: Receive, send: Send) -> None:
    """What a full worker answers: what it was asked, and by which id."""
    body = b""
    while (message := await receive())["type"] == "http.request":
        body += message["body"]
        if not message["more_body"]:
            break
    said = f"{scope['path']} {len(body)} {id_of(scope) if GIVEN in scope['state'] else '-'}".encode()
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % len(said))]})
    await send({"type": "http.response.body", "body": said})


def needs(id: str = "") -> Answer:
    async def light(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"] == "/direct":
            await full(scope, receive, send)
            return
        beyond = NeedsLiteLLM()
        beyond.id = id
        raise beyond

    return light


class Pair:
    """A light worker that gives to a full one, and a client of the light one."""

    def __init__(self, tmp_path: Path, front: Answer, seconds: float = 10.0) -> None:
        self.place = str(tmp_path / "full.fd")
        self.wanted = 0
        self.full = giving.FullWorkers(Heirs())
        self.light = Server(giving.Giving(front, self.full, self._want, seconds))
        self._full_server = Server(full)
        self._tasks: list[asyncio.Task[None]] = []

    def _want(self) -> None:
        self.wanted += 1

    async def connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        loop = asyncio.get_running_loop()
        self._listening = await loop.create_server(self.light.protocol, "127.0.0.1", 0)
        port = self._listening.sockets[0].getsockname()[1]
        return await asyncio.open_connection("127.0.0.1", port)

    def take_over(self) -> None:
        """A full worker is there."""
        self._exchange = connections.Exchange(Path(self.place), [socket.socket()], *[nothing] * 4, self._take)
        self.full.heirs.name([self.place])
        self.full.say()

    def _take(self, *what: Any) -> None:
        self._tasks.append(asyncio.ensure_future(self._full_server.take(*what)))


async def answer(reader: asyncio.StreamReader) -> bytes:
    head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 10)
    length = next(int(line.split()[1]) for line in head.split(b"\r\n") if line.startswith(b"content-length"))
    return head.split(b"\r\n")[0].split(b" ", 1)[1] + b": " + await reader.readexactly(length)


def request(path: str, body: bytes = b"") -> bytes:
    return f"POST {path} HTTP/1.1\r\nhost: h\r\ncontent-length: {len(body)}\r\n\r\n".encode() + body


def test_it_waits_and_is_answered_by_the_full_worker_under_its_own_id(tmp_path: Path) -> None:
    async def story() -> tuple[bytes, int]:
        pair = Pair(tmp_path, needs("its own"))
        reader, writer = await pair.connect()
        writer.write(request("/v1/x", b"b" * 200_000))
        while not pair.wanted:
            await asyncio.sleep(0.01)
        pair.take_over()
        found = await answer(reader)
        assert not pair.light.server.server_state.connections  # the light worker has nothing of it any more
        assert not memories()
        writer.close()
        return found, pair.wanted

    assert asyncio.run(story()) == (b"200 OK: /v1/x 200000 its own", 1)


def test_what_is_pipelined_behind_it_comes_along_and_has_an_id_of_its_own(tmp_path: Path) -> None:
    async def story() -> list[bytes]:
        pair = Pair(tmp_path, needs("first"))
        reader, writer = await pair.connect()
        last = request("/three", b"3" * 50)
        writer.write(request("/one") + request("/two", b"22") + last[:40])
        while not pair.wanted:
            await asyncio.sleep(0.01)
        pair.take_over()
        await asyncio.sleep(0.05)
        writer.write(last[40:])  # of what is half received nothing is lost
        found = [await answer(reader) for _ in range(3)]
        writer.write(request("/four"))
        found.append(await answer(reader))
        writer.close()
        return found

    assert asyncio.run(story()) == [
        b"200 OK: /one 0 first",
        b"200 OK: /two 2 -",
        b"200 OK: /three 50 -",
        b"200 OK: /four 0 -",
    ]


def test_one_that_is_pipelined_behind_a_direct_one_is_given_too(tmp_path: Path) -> None:
    async def story() -> list[bytes]:
        pair = Pair(tmp_path, needs())
        pair.take_over()
        reader, writer = await pair.connect()
        writer.write(request("/direct", b"1") + request("/two"))
        found = [await answer(reader) for _ in range(2)]
        writer.close()
        return found

    assert asyncio.run(story()) == [b"200 OK: /direct 1 -", b"200 OK: /two 0 -"]


def test_a_body_in_chunks_is_given_whole(tmp_path: Path) -> None:
    async def story() -> bytes:
        pair = Pair(tmp_path, needs())
        pair.take_over()
        reader, writer = await pair.connect()
        writer.write(CHUNKED)
        assert await reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
        writer.write(b"3\r\nabc\r\n4\r\ndefg\r\n0\r\n\r\n")
        found = await answer(reader)
        writer.close()
        return found

    assert asyncio.run(story()) == b"200 OK: /v1/a b 7 -"


@pytest.mark.parametrize(
    ("why", "told"),
    [
        ("ImportError: x (/srv/aiops/litellm.py)", b"does not serve now: it cannot be started."),
        ("", b"does not serve now: it does not come to it in time."),
    ],
    ids=["there will be none", "it takes too long"],
)
def test_who_cannot_be_helped_is_told_and_nothing_of_what_is_the_operators(
    tmp_path: Path, why: str, told: bytes
) -> None:
    async def story() -> bytes:
        pair = Pair(tmp_path, needs(), seconds=10.0 if why else 0.05)
        reader, writer = await pair.connect()
        if why:
            pair.full.say(why)
        writer.write(request("/v1/x"))
        found = await answer(reader)
        writer.close()
        return found

    found = asyncio.run(story())
    assert found.startswith(b"503 Service Unavailable: ")
    assert told in found
    assert b"/srv/aiops" not in found
    assert b"ImportError" not in found


def test_heirs_that_have_left_are_nobody_and_the_request_is_refused_not_lost(tmp_path: Path) -> None:
    async def story() -> bytes:
        pair = Pair(tmp_path, needs(), seconds=0.2)
        pair.full.heirs.name([pair.place])  # nobody listens there
        pair.full.say()
        reader, writer = await pair.connect()
        writer.write(request("/v1/x"))
        found = await answer(reader)
        writer.close()
        return found

    assert asyncio.run(story()).startswith(b"503 Service Unavailable: ")


HANDSHAKE = (
    b"GET %s HTTP/1.1\r\nhost: h\r\nconnection: Upgrade\r\nupgrade: websocket\r\n"
    b"sec-websocket-version: 13\r\nsec-websocket-key: eHh4\r\n\r\n"
)


def test_a_handshake_for_a_websocket_is_given_as_it_came_or_refused_here(tmp_path: Path) -> None:
    kinds: list[str] = []

    async def front(scope: Scope, receive: Receive, send: Send) -> None:
        kinds.append(scope["type"])
        if scope["path"] == "/closed":
            await send({"type": "websocket.close", "code": 1008})
            return
        raise NeedsLiteLLM

    async def story() -> list[bytes]:
        pair = Pair(tmp_path, front)
        pair.take_over()
        found = []
        for path in (b"/v1/realtime", b"/closed"):
            reader, writer = await pair.connect()
            writer.write(HANDSHAKE % path)
            found.append(await answer(reader))
            writer.close()
        return found

    assert asyncio.run(story()) == [b"200 OK: /v1/realtime 0 -", b"403 Forbidden: "]
    assert kinds == ["websocket", "websocket"]


def memories() -> list[str]:
    """Of requests that are packed, and not unpacked and closed."""
    found = []
    for each in Path("/proc/self/fd").iterdir():
        with suppress(OSError):  # that of this very look
            found.append(str(each.readlink()))
    return [each for each in found if "aiops-request" in each]


def test_an_heir_that_dies_at_that_very_moment_leaves_the_connection_as_it_was(tmp_path: Path) -> None:
    async def story() -> list[bytes]:
        pair = Pair(tmp_path, needs())
        pair.take_over()
        reader, writer = await pair.connect()
        writer.write(request("/direct"))
        found = [await answer(reader)]
        assert pair.full.here
        pair._exchange.close()  # its end of the link is gone, which is seen when something is sent
        writer.write(request("/v1/x"))
        found.append(await answer(reader))
        writer.write(request("/direct"))
        found.append(await answer(reader))
        writer.close()
        return found

    direct, refused, again = asyncio.run(story())
    assert (direct, again) == (b"200 OK: /direct 0 -", b"200 OK: /direct 0 -")
    assert refused.startswith(b"503 Service Unavailable: ")
    assert not memories()


def test_who_leaves_while_waiting_is_forgotten(tmp_path: Path) -> None:
    async def story() -> None:
        pair = Pair(tmp_path, needs())
        _, writer = await pair.connect()
        writer.write(request("/v1/x"))
        while not pair.wanted:
            await asyncio.sleep(0.01)
        writer.close()
        state = pair.light.server.server_state
        until = time.monotonic() + 5
        while (state.connections or state.tasks) and time.monotonic() < until:
            await asyncio.sleep(0.01)
        assert not state.connections
        assert not state.tasks

    asyncio.run(story())


def test_while_it_waits_it_says_again_what_it_waits_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A master that becomes another program has heard it, and the new one has not."""
    monkeypatch.setattr(giving, "WANT_AGAIN_SECONDS", 0.02)

    async def story() -> bytes:
        pair = Pair(tmp_path, needs("its own"))
        reader, writer = await pair.connect()
        writer.write(request("/v1/x"))
        while pair.wanted < 3:
            await asyncio.sleep(0.01)
        pair.take_over()
        found = await answer(reader)
        writer.close()
        return found

    assert asyncio.run(asyncio.wait_for(story(), 10)) == b"200 OK: /v1/x 0 its own"


@pytest.mark.parametrize(("why", "leaves"), [("", False), ("ImportError: x", False), ("", True)])
def test_what_was_let_in_is_given_back_when_nobody_answers_it(tmp_path: Path, why: str, leaves: bool) -> None:
    given_back: list[str] = []

    async def give_up() -> None:
        given_back.append("its own")

    async def light(scope: Scope, receive: Receive, send: Send) -> None:
        beyond = NeedsLiteLLM()
        beyond.give_up = give_up
        raise beyond

    async def story() -> None:
        pair = Pair(tmp_path, light)
        reader, writer = await pair.connect()
        writer.write(request("/v1/x"))
        while not pair.wanted:
            await asyncio.sleep(0.01)
        assert given_back == []
        if why:
            pair.full.say(why)
        elif not leaves:
            pair.take_over()
        if not leaves:
            await answer(reader)
            assert given_back == (["its own"] if why else []), "before its client can ask again"
        writer.close()
        while pair.light.server.server_state.tasks:
            await asyncio.sleep(0.01)

    asyncio.run(asyncio.wait_for(story(), 10))
    assert given_back == (["its own"] if why or leaves else [])


def test_the_readiness_says_since_when_there_is_no_litellm() -> None:
    async def story() -> None:
        full = giving.FullWorkers(Heirs())
        assert full.conditions() == {}
        full.say("it is broken")
        assert full.conditions()["litellm"].state == LOST
        full.say()
        assert full.conditions() == {}

    asyncio.run(story())


def test_a_body_that_nobody_let_in_is_not_taken_without_end(tmp_path: Path) -> None:
    async def story() -> bytes:
        pair = Pair(tmp_path, needs())
        reader, writer = await pair.connect()
        writer.write(b"POST /v1/x HTTP/1.1\r\nhost: h\r\ncontent-length: 99999999\r\n\r\n" + b"x" * 1_200_000)
        found = await answer(reader)
        writer.close()
        return found

    assert asyncio.run(story()).startswith(b"413 ")


def test_what_is_sent_behind_it_is_not_taken_without_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(giving, "LARGEST_BEHIND", 300_000)

    async def story() -> bytes:
        pair = Pair(tmp_path, needs("x"))
        pair.take_over()
        reader, writer = await pair.connect()
        half = b"POST /v1/y HTTP/1.1\r\nhost: h\r\ncontent-length: 99999999\r\n\r\n" + b"x" * 1_200_000
        writer.write(request("/v1/x") + half)
        found = await answer(reader)
        writer.close()
        return found

    assert asyncio.run(story()).startswith(b"413 ")
