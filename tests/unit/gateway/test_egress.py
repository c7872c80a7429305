"""Where a worker connects to, whichever client asks: real clients, real sockets, a process of its own each."""

from __future__ import annotations

import socket
import subprocess
import sys
import textwrap
from collections.abc import Iterator

import pytest

from aiops.gateway.worker.egress import Egress, NoProvider

ANSWER = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\nok"


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as made:
        made.settimeout(0.5)
        yield made


CLIENTS = {
    "the direct lane": "await Upstream().answer(Ask(url=URL, headers=[], connect=1, first_byte=1))",
    "httpx": "async with httpx.AsyncClient(trust_env=False) as c: await c.get(URL, timeout=1)",
    "aiohttp": "async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(1)) as c: await c.get(URL)",
    "asyncio": "await asyncio.open_connection(HOST, PORT)",
    "websockets": "await websockets.connect(URL.replace('http', 'ws'), proxy=None, open_timeout=1)",
    "httpx in a thread": "await asyncio.to_thread(httpx.get, URL, trust_env=False, timeout=1)",
    "requests": "await asyncio.to_thread(requests.get, URL, timeout=1)",
    "a bare socket": "socket.create_connection((HOST, PORT), 1)",
}


def run(client: str, host: str, port: int, allowed: str) -> str:
    """The name of the exception, or nothing."""
    program = f"""
    import aiohttp, asyncio, httpx, requests, socket, websockets
    from aiops.gateway.worker import egress
    from aiops.gateway.worker.lanes.upstream.ask import Ask
    from aiops.gateway.worker.lanes.upstream.client import Upstream
    HOST, PORT, URL = {host!r}, {port}, "http://{host}:{port}/"
    async def main():
        guarded = egress.guard(asyncio.get_running_loop(), [{allowed!r}])
        try:
            {CLIENTS[client]}
        except BaseException as error:
            pass
        print(guarded.refused)
    with asyncio.Runner(loop_factory=egress.Loop) as runner:
        runner.run(main())
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program)], capture_output=True, text=True, check=True, timeout=60
    )
    return done.stdout.strip()


def came(listener: socket.socket) -> bool:
    try:
        connection, _ = listener.accept()
    except TimeoutError:
        return False
    connection.sendall(ANSWER)
    connection.close()
    return True


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
@pytest.mark.parametrize("client", CLIENTS)
def test_nobody_connects_to_where_no_provider_is(listener: socket.socket, client: str, host: str) -> None:
    port = listener.getsockname()[1]
    assert int(run(client, host, port, "127.0.0.1:1")) >= 1
    assert not came(listener)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
@pytest.mark.parametrize("client", CLIENTS)
def test_everybody_connects_to_a_provider(listener: socket.socket, client: str, host: str) -> None:
    port = listener.getsockname()[1]
    assert run(client, host, port, f"{host}:{port}") == "0"
    assert came(listener)


@pytest.mark.parametrize("spelling", ["EXAMPLE.test", "example.test.", b"example.test"])
def test_the_spelling_of_a_host_does_not_matter(spelling: object) -> None:
    Egress(["example.test:443"]).check(spelling, "443")
    with pytest.raises(NoProvider, match=r"example\.test:80 is no address of an active provider"):
        Egress(["example.test:443"]).check(spelling, "80")


def test_an_address_of_version_six_is_one() -> None:
    Egress(["::1:8000"]).check("::1", 8000)


def test_a_proxy_that_the_operator_set_may_be_reached(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy.test:3128")
    Egress([]).check("proxy.test", 3128)


def test_hosts_below_a_name_may_be_reached_and_the_name_in_front_of_another_may_not() -> None:
    """A service whose host depends on a region."""
    egress = Egress([".amazonaws.com:443"])
    egress.check("bedrock-runtime.eu-west-1.amazonaws.com", 443)
    for host, port in (("evilamazonaws.com", 443), ("amazonaws.com.evil.test", 443), ("s3.amazonaws.com", 80)):
        with pytest.raises(NoProvider):
            egress.check(host, port)
