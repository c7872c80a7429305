"""TLS and proxies of the direct lane's client: whom it trusts, as LiteLLM's lane does, and through whom it goes."""

from __future__ import annotations

import asyncio
import ssl
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from aiops.gateway.worker.lanes.upstream import connect
from aiops.gateway.worker.lanes.upstream.ask import Ask
from aiops.gateway.worker.lanes.upstream.client import Upstream
from aiops.gateway.worker.lanes.upstream.failed import BrokeOff, Refused, TimedOut
from tests.kit.faulty import CHUNKED, OK, Then, chunk, faulty, in_worker_loop, until

ASK = Ask(url="", headers=[(b"authorization", b"Bearer secret")], body=b"{}", connect=5, first_byte=5, between=5)
VARIABLES = (
    *("SSL_CERT_FILE", "SSL_VERIFY", "SSL_SECURITY_LEVEL", "SSL_ECDH_CURVE", "DISABLE_AIOHTTP_TRUST_ENV"),
    *("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"),
)


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of 127.0.0.1 and localhost, and its key in the same file; it vouches for itself."""
    made = tmp_path_factory.mktemp("tls") / "both.pem"
    made.touch(0o600)
    subprocess.run(
        ("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout",
         str(made), "-out", str(made.with_suffix(".crt")), "-days", "2", "-subj", "/CN=tests",
         "-addext", "subjectAltName=IP:127.0.0.1,DNS:localhost"),
        check=True, capture_output=True,
    )  # fmt: skip
    made.write_text(made.read_text() + made.with_suffix(".crt").read_text())
    return made


@pytest.fixture
def context(certificate: Path) -> ssl.SSLContext:
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    made.load_cert_chain(certificate)
    return made


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> Iterator[pytest.MonkeyPatch]:
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    connect.trusted.cache_clear()
    yield monkeypatch
    connect.trusted.cache_clear()


async def body(upstream: Upstream, url: str, **fields: float) -> bytes:
    async with upstream.ask(replace(ASK, url=url, **fields)) as answer:
        return await answer.whole()


@in_worker_loop
async def test_a_certificate_that_nobody_vouches_for_is_refused(context: ssl.SSLContext) -> None:
    async with faulty([OK], context=context) as server:
        with pytest.raises(Refused, match="certificate verify failed"):
            await body(Upstream(), server.url)
    assert not server.heard


@pytest.mark.parametrize("variable", ["SSL_CERT_FILE", "SSL_VERIFY"])
@in_worker_loop
async def test_an_authority_of_ones_own(
    variable: str, context: ssl.SSLContext, certificate: Path, environment: pytest.MonkeyPatch
) -> None:
    environment.setenv(variable, str(certificate))
    async with faulty([OK], context=context) as server:
        upstream = Upstream()
        for host in ("127.0.0.1", "localhost"):
            for _ in range(3):
                assert await body(upstream, server.url.replace("127.0.0.1", host)) == b"ok"
    assert server.connections == 2


@in_worker_loop
async def test_a_certificate_of_somebody_else_is_refused(
    context: ssl.SSLContext, certificate: Path, environment: pytest.MonkeyPatch
) -> None:
    environment.setenv("SSL_CERT_FILE", str(certificate))
    async with faulty([OK], context=context, host="::1") as server:
        with pytest.raises(Refused, match="certificate"):
            await body(Upstream(), server.url)


@in_worker_loop
async def test_who_wants_no_check_has_none(context: ssl.SSLContext, environment: pytest.MonkeyPatch) -> None:
    environment.setenv("SSL_VERIFY", "False")
    async with faulty([OK], context=context) as server:
        assert await body(Upstream(), server.url) == b"ok"


@in_worker_loop
async def test_ciphers_may_be_chosen(context: ssl.SSLContext, environment: pytest.MonkeyPatch) -> None:
    environment.setenv("SSL_VERIFY", "False")
    environment.setenv("SSL_ECDH_CURVE", "prime256v1")
    environment.setenv("SSL_SECURITY_LEVEL", "ECDHE-ECDSA-AES256-GCM-SHA384")
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers("ECDHE-ECDSA-AES128-GCM-SHA256")
    async with faulty([OK], context=context) as server:
        with pytest.raises(Refused):
            await body(Upstream(), server.url)
        context.set_ciphers("ECDHE-ECDSA-AES256-GCM-SHA384")
        assert await body(Upstream(), server.url) == b"ok"


@in_worker_loop
async def test_a_server_without_tls_is_refused() -> None:
    async def plain(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        writer.close()

    server = await asyncio.start_server(plain, "127.0.0.1", 0)
    with pytest.raises(Refused):
        await body(Upstream(), f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}/")
    server.close()


@in_worker_loop
async def test_a_handshake_that_does_not_end_is_part_of_connecting() -> None:
    async with faulty([Then.HANG]) as server:
        with pytest.raises(TimedOut, match="connect"):
            await body(Upstream(), server.url.replace("http:", "https:"), connect=0.1)
        await until(lambda: server.gone == 1)


@in_worker_loop
async def test_with_tls_too_who_leaves_ends_it_and_who_reads_slowly_makes_it_wait(
    context: ssl.SSLContext, environment: pytest.MonkeyPatch
) -> None:
    environment.setenv("SSL_VERIFY", "False")
    async with faulty([CHUNKED, *[chunk(b"z" * 1_000_000)] * 100], context=context) as server:
        async with Upstream().ask(replace(ASK, url=server.url)) as answer:
            await anext(answer.pieces())
            written = -1
            while written != server.written:
                written = server.written
                await asyncio.sleep(0.4)
            assert written < 50_000_000
        await until(lambda: server.gone == 1)


@pytest.mark.parametrize("end", [Then.CLOSE, Then.RESET])
@in_worker_loop
async def test_with_tls_too_an_end_is_seen(end: Then, context: ssl.SSLContext, environment: pytest.MonkeyPatch) -> None:
    environment.setenv("SSL_VERIFY", "False")
    async with faulty([OK], [end], [OK], [CHUNKED + chunk(b"a"), end], context=context) as server:
        upstream = Upstream()
        assert [await body(upstream, server.url) for _ in range(2)] == [b"ok", b"ok"]
        with pytest.raises(BrokeOff):
            await body(upstream, server.url)
    assert server.connections == 2


# --- proxies ----------------------------------------------------------------------------------------------------------


class Proxy:
    """Connects whoever says CONNECT, and answers everything else itself."""

    def __init__(self) -> None:
        self.heard: list[bytes] = []
        self.url = ""
        self.says = b"HTTP/1.1 200 Connection established\r\nx-proxy: 1\r\n\r\n"

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        self.heard.append(head)
        if not head.startswith(b"CONNECT "):
            writer.write(OK)
            return
        writer.write(self.says)
        host, _, port = head.split(b" ")[1].decode().rpartition(":")
        there, to_there = await asyncio.open_connection(host, int(port))
        await asyncio.gather(pump(reader, to_there), pump(there, writer))


async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while data := await reader.read(65536):
            writer.write(data)
    except ConnectionError:
        pass
    writer.close()


@asynccontextmanager
async def proxied(context: ssl.SSLContext | None = None) -> AsyncIterator[Proxy]:
    made = Proxy()
    server = await asyncio.start_server(made.serve, "127.0.0.1", 0, ssl=context)
    made.url = f"http{'s' if context else ''}://us%40er:pass@127.0.0.1:{server.sockets[0].getsockname()[1]}"
    yield made
    server.close()


CREDENTIALS = b"proxy-authorization: Basic dXNAZXI6cGFzcw==\r\n"


@in_worker_loop
async def test_a_proxy_is_asked_for_the_whole_url(environment: pytest.MonkeyPatch) -> None:
    async with proxied() as proxy:
        environment.setenv("HTTP_PROXY", proxy.url)
        assert await body(Upstream(), "http://elsewhere.test:81/v1/models?a=1") == b"ok"
    (head,) = proxy.heard
    assert head.startswith(b"POST http://elsewhere.test:81/v1/models?a=1 HTTP/1.1\r\nhost: elsewhere.test:81\r\n")
    assert CREDENTIALS in head


@in_worker_loop
async def test_a_proxy_digs_a_tunnel_and_sees_nothing(context: ssl.SSLContext, environment: pytest.MonkeyPatch) -> None:
    environment.setenv("SSL_VERIFY", "False")
    async with proxied() as proxy, faulty([OK], context=context) as server:
        environment.setenv("HTTPS_PROXY", proxy.url)
        upstream = Upstream()
        for _ in range(3):
            assert await body(upstream, server.url) == b"ok"
    (head,) = proxy.heard
    place = b"127.0.0.1:%d" % server.port
    assert head == b"CONNECT %b HTTP/1.1\r\nhost: %b\r\n%b\r\n" % (place, place, CREDENTIALS)
    assert server.connections == 1
    assert b"proxy-authorization" not in server.heard[0]


@pytest.mark.parametrize("scheme", ["http", "https"])
@in_worker_loop
async def test_a_proxy_that_is_asked_by_tls_itself(
    scheme: str, context: ssl.SSLContext, environment: pytest.MonkeyPatch
) -> None:
    environment.setenv("SSL_VERIFY", "False")
    async with proxied(context) as proxy, faulty([OK], context=context) as server:
        environment.setenv(f"{scheme.upper()}_PROXY", proxy.url)
        assert await body(Upstream(), server.url.replace("https", scheme)) == b"ok"
    assert len(proxy.heard) == 1


@pytest.mark.parametrize("says", [b"HTTP/1.1 407 Who are you\r\n\r\n", b"nonsense\r\n\r\n", b"x" * 20_000])
@in_worker_loop
async def test_a_proxy_that_does_not(says: bytes, context: ssl.SSLContext, environment: pytest.MonkeyPatch) -> None:
    async with proxied() as proxy, faulty([OK], context=context) as server:
        proxy.says = says
        environment.setenv("HTTPS_PROXY", proxy.url)
        with pytest.raises(Refused, match="the proxy says") as refused:
            await body(Upstream(), server.url)
        assert "pass" not in str(refused.value)
    assert not server.heard


@in_worker_loop
async def test_whom_no_proxy_is_for_is_asked_directly(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    environment.setenv("NO_PROXY", "127.0.0.1")
    async with faulty([OK]) as server:
        assert await body(Upstream(), server.url) == b"ok"


@in_worker_loop
async def test_proxies_may_be_left_aside(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    environment.setenv("DISABLE_AIOHTTP_TRUST_ENV", "True")
    async with faulty([OK]) as server:
        assert await body(Upstream(), server.url) == b"ok"


@in_worker_loop
async def test_a_proxy_of_another_kind_is_named(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("ALL_PROXY", "socks5://127.0.0.1:1")
    with pytest.raises(Refused, match="a proxy of socks5 is not supported"):
        await body(Upstream(), "http://elsewhere.test/")
