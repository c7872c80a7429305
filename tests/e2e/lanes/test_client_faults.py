"""What the direct lane makes of clients that leave, dawdle, or do not keep to HTTP: the provider is not asked, or asked
once and properly, and stopped when nobody waits; nothing is left, nor found in another's request."""

from __future__ import annotations

import json
import time
from contextlib import suppress
from typing import Literal

import pytest

from tests.e2e.lanes import answers
from tests.e2e.lanes.asking import ALONE, CHAT, SOON, ask, asking, chat, head_and_body, headers, require_error
from tests.e2e.lanes.failures import hang, token
from tests.e2e.lanes.place import Place
from tests.e2e.lanes.upstream import Arrived, Peer, Upstream
from tests.e2e.lanes.wire import Client, chunked, client, request
from tests.kit.waiting import until

MEGABYTE = 1024 * 1024
MARK = "smuggled"

pytestmark = pytest.mark.usefixtures("rest")


# --- who leaves -------------------------------------------------------------------------------------------------------


def _before_it_has_asked() -> dict[str, slice]:
    return {
        "nothing said": slice(0),
        "in the first line": slice(20),
        "in the headers": slice(70),
        "in the body": slice(-5),
    }


@pytest.mark.parametrize("stage", _before_it_has_asked())
def test_who_leaves_before_all_is_said_has_asked_nobody(gateway: Place, provider: Upstream, stage: str) -> None:
    for _ in range(3):
        with client(gateway.gateway.port) as connection:
            connection.send(head_and_body(gateway, ALONE)[_before_it_has_asked()[stage]])
    assert ask(gateway, ALONE).status == 200  # by the same worker, so that it has noticed
    assert len(provider.posted) == 1


def test_who_leaves_in_the_middle_of_a_chunk_has_asked_nobody(gateway: Place, provider: Upstream) -> None:
    with client(gateway.gateway.port) as connection:
        connection.send(request(CHAT, chat(ALONE), headers(gateway), chunks=7)[:-20])
    assert ask(gateway, ALONE).status == 200
    assert len(provider.posted) == 1


def test_who_leaves_when_told_to_go_on_has_asked_nobody(gateway: Place, provider: Upstream) -> None:
    with client(gateway.gateway.port) as connection:
        data = head_and_body(gateway, ALONE, ("expect", "100-continue"))
        connection.send(data.partition(b"\r\n\r\n")[0] + b"\r\n\r\n")
        assert connection.read().startswith(b"HTTP/1.1 100 ")
    assert ask(gateway, ALONE).status == 200
    assert len(provider.posted) == 1


Says = Literal["nothing", "half a head", "a head", "a token", "half an answer"]


@pytest.mark.parametrize(
    ("path", "stream", "says"),
    [
        *(("/v1/chat/completions", False, says) for says in ("nothing", "half a head", "a head", "half an answer")),
        *(("/v1/chat/completions", True, says) for says in ("nothing", "half a head", "a head", "a token")),
        *((path, False, "nothing") for path in ("/v1/embeddings", "/v1/completions", "/v1/responses")),
        *((path, True, "half an answer") for path in ("/v1/completions", "/v1/responses")),
    ],
)
def test_who_leaves_stops_the_provider_and_is_accounted_once(
    gateway: Place, provider: Upstream, says: Says, stream: bool, path: str
) -> None:
    async def script(peer: Peer, arrived: Arrived) -> None:
        whole = answers.answer(arrived.target, arrived.said)
        head = whole.index(b"\r\n\r\n") + 4
        match says:
            case "half a head":
                await peer.send(whole[: head - 10])
            case "a head":
                await peer.send(whole[:head])
            case "a token" if stream:
                await peer.stream(*token(answers.events(arrived.target, arrived.said)), end=False)
            case "half an answer" | "a token":
                await peer.send(whole[:-30])
        await peer.left()

    provider.script = script
    key = gateway.keys.make(max_parallel_requests=1, max_budget=10**15)
    said = {"model": f"{MODELS[path]}-d", "messages": None, "stream": stream or None, **FIELDS[path]}
    with client(gateway.gateway.port) as connection:
        connection.send(request(path, json.dumps(said).encode(), _of(key)))
        until(lambda: provider.posted, SOON, "a request at the provider")
        if stream and says in ("a token", "half an answer") and path != "/v1/embeddings":
            assert b"200 OK" in connection.read()
    until(lambda: provider.posted[0].left, SOON, "the connection to the provider to be closed")
    (used,) = gateway.keys.used(key, 1)
    assert (used.outcome, used.provider) == ("left", "lane-d")
    provider.script = None
    gateway.at_rest()
    assert gateway.keys.ask(key, model=ALONE).status_code == 200  # its only slot is free again
    assert len(provider.posted) == 2


MODELS = {
    "/v1/chat/completions": "chat",
    "/v1/embeddings": "embed",
    "/v1/completions": "text",
    "/v1/responses": "respond",
}
FIELDS = {
    "/v1/chat/completions": {"messages": [{"role": "user", "content": "hello"}]},
    "/v1/embeddings": {"input": "hello"},
    "/v1/completions": {"prompt": "hello"},
    "/v1/responses": {"input": "hello"},
}


def _of(key: str) -> list[tuple[str, str]]:
    return [("host", "gateway.test"), ("authorization", f"Bearer {key}"), ("content-type", "application/json")]


def test_who_says_no_more_than_that_they_are_done_is_answered(gateway: Place, provider: Upstream) -> None:
    """Half of a connection closed is no hang-up to everybody, but to this server it is: nothing may be left of it."""
    for _ in range(3):
        with asking(gateway, ALONE) as connection:
            connection.say_no_more()
            connection.read()
    gateway.at_rest()


def test_a_crowd_that_leaves_leaves_nothing(gateway: Place, provider: Upstream) -> None:
    provider.script = hang
    crowd = [Client(gateway.gateway.port) for _ in range(40)]
    for number, each in enumerate(crowd):
        each.send(head_and_body(gateway, ALONE, stream=number % 2 == 1))
    until(lambda: len(provider.posted) == len(crowd), SOON, "all of them at the provider")
    assert gateway.providers()["lane-d"]["in_flight"] == len(crowd)
    for each in crowd:
        each.hang_up()
    until(lambda: all(each.left for each in provider.posted), SOON, "all connections to the provider to be closed")


# --- who takes their time ---------------------------------------------------------------------------------------------


def test_who_sends_slowly_is_answered_and_nobody_waits_for_it(gateway: Place, provider: Upstream) -> None:
    data = head_and_body(gateway, ALONE, user="slow")
    with client(gateway.gateway.port) as slow:
        for at in range(0, len(data), 4):
            slow.send(data[at : at + 4])
            if at % 40 == 0:
                time.sleep(0.002)
                assert ask(gateway, ALONE, user="quick").said.endswith(" for quick")
        assert slow.answer().said.endswith(" for slow")


def test_a_hundred_megabytes_are_passed_on_whole(gateway: Place, provider: Upstream) -> None:
    text = "a" * 100 * MEGABYTE
    assert ask(gateway, ALONE, prediction={"type": "content", "content": text}).status == 200
    assert provider.posted[0].body == chat(ALONE, prediction={"type": "content", "content": text})


def test_more_than_anybody_reads_is_refused_before_it_is_sent(gateway: Place, provider: Upstream) -> None:
    with client(gateway.gateway.port) as connection:
        lines = [f"POST {CHAT} HTTP/1.1", *(f"{name}: {value}" for name, value in headers(gateway))]
        connection.send("\r\n".join([*lines, f"content-length: {10**10}", "", '{"model":']).encode())
        answer = connection.answer()
    assert require_error(answer, 413)["type"] == "invalid_request_error"
    assert provider.posted == []


# --- who does not keep to HTTP ----------------------------------------------------------------------------------------

SMUGGLED = f"POST {CHAT} HTTP/1.1\r\nhost: x\r\nx-mark: {MARK}\r\ncontent-length: 0\r\n\r\n".encode()
_BODY = chat(ALONE)
TWO_FRAMES = {
    "TE and CL": ("transfer-encoding: chunked\r\ncontent-length: 5\r\n", chunked(_BODY, 99) + SMUGGLED),
    "CL and TE": ("content-length: {whole}\r\ntransfer-encoding: chunked\r\n", chunked(_BODY, 99) + SMUGGLED),
    "TE that is hidden": ("content-length: {body}\r\ntransfer-encoding : chunked\r\n", _BODY + SMUGGLED),
    "TE of another kind": ("content-length: {body}\r\ntransfer-encoding: xchunked\r\n", _BODY + SMUGGLED),
    "TE twice": ("transfer-encoding: chunked\r\ntransfer-encoding: identity\r\n", chunked(_BODY, 99) + SMUGGLED),
    "TE not last": ("transfer-encoding: chunked, identity\r\n", chunked(_BODY, 99) + SMUGGLED),
    "TE in a fold": ("content-length: {body}\r\nx: y\r\n transfer-encoding: chunked\r\n", _BODY + SMUGGLED),
    "CL twice": ("content-length: {body}\r\ncontent-length: 0\r\n", _BODY + SMUGGLED),
    "CL in a list": ("content-length: {body}, {body}\r\n", _BODY + SMUGGLED),
    "CL with a sign": ("content-length: +{body}\r\n", _BODY + SMUGGLED),
    "CL below nothing": ("content-length: -1\r\n", _BODY + SMUGGLED),
    "CL in hexadecimal": ("content-length: 0x10\r\n", _BODY + SMUGGLED),
    "a chunk without a size": ("transfer-encoding: chunked\r\n", b"\r\n" + _BODY + SMUGGLED),
    "a chunk of a false size": ("transfer-encoding: chunked\r\n", b"1\r\n" + _BODY + b"\r\n0\r\n\r\n" + SMUGGLED),
    "LF alone": ("content-length: {body}\nx: y\r\n", _BODY + SMUGGLED),
}


@pytest.mark.parametrize("name", TWO_FRAMES)
def test_nothing_is_smuggled_past_the_front(gateway: Place, provider: Upstream, name: str) -> None:
    """Whatever has no key is refused, so what is behind may be a request of its own, but never one of whoever came
    first; and what comes to the provider has one length, by which it is whole."""
    framing, body = TWO_FRAMES[name]
    framing = framing.format(body=len(_BODY), whole=len(body))
    head = "\r\n".join([f"POST {CHAT} HTTP/1.1", *(f"{name}: {value}" for name, value in headers(gateway)), ""])
    with client(gateway.gateway.port) as connection:
        connection.send(head.encode() + framing.encode() + b"\r\n" + body)
        statuses = []
        for _ in range(3):
            try:
                statuses.append(connection.answer().status)
            except (ConnectionError, TimeoutError):
                break
            if statuses[-1] >= 400:
                break
    assert statuses in ([400], [200, 401], [200]), statuses
    assert [each.body for each in provider.posted] == [_BODY] * statuses.count(200)
    assert not any(each.header("x-mark") or each.header("transfer-encoding") for each in provider.posted)
    assert provider.troubles == []


HOP_BY_HOP = (
    *(("te", "trailers"), ("trailer", "x-t"), ("keep-alive", "timeout=5")),
    *(("proxy-authorization", "Basic eDp5"), ("proxy-connection", "keep-alive"), ("x-hop", "1")),
)


def test_what_belongs_to_the_clients_connection_stays_there(gateway: Place, provider: Upstream) -> None:
    assert ask(gateway, ALONE, *HOP_BY_HOP, ("connection", "x-hop, te, keep-alive")).status == 200
    (asked,) = provider.posted
    assert not {name for name, _ in HOP_BY_HOP} & {name.lower() for name, _ in asked.headers}


def test_who_wants_another_protocol_gets_none(gateway: Place, provider: Upstream) -> None:
    """What follows is no request by then, whatever it looks like."""
    wanted = (("connection", "upgrade, http2-settings"), ("upgrade", "h2c"), ("http2-settings", "AAMAAABk"))
    with client(gateway.gateway.port) as connection:
        connection.send(head_and_body(gateway, ALONE, *wanted) + SMUGGLED)
        assert connection.answer().status in (200, 400)
    assert not any(each.header("upgrade") or each.header("x-mark") for each in provider.posted)


def test_the_key_of_a_client_is_nobodys_but_the_gateways(gateway: Place, provider: Upstream) -> None:
    for header in ("authorization", "x-api-key", "api-key", "x-goog-api-key", "x-litellm-api-key"):
        value = f"Bearer {gateway.key}" if header == "authorization" else gateway.key
        with client(gateway.gateway.port) as connection:
            own = [("host", "gateway.test"), (header, value), ("content-type", "application/json")]
            connection.send(request(CHAT, chat(ALONE), own))
            assert connection.answer().status == 200
    assert len(provider.posted) == 5
    for each in provider.posted:
        assert gateway.key not in json.dumps(each.headers)
        assert each.header("authorization") == "Bearer sk-of-d"


@pytest.mark.parametrize(
    "twice",
    [
        (("content-type", "text/plain"), ("content-type", "multipart/form-data; boundary=a")),
        (("host", "other.test"),),
        (("authorization", "Bearer sk-of-nobody"),),
        (("accept-encoding", "gzip"), ("accept-encoding", "br")),
        (("user-agent", "a"), ("user-agent", "b")),
    ],
    ids=lambda twice: twice[0][0],
)
def test_headers_that_come_twice_are_one_or_refused(
    gateway: Place, provider: Upstream, twice: tuple[tuple[str, str], ...]
) -> None:
    answer = ask(gateway, ALONE, *twice)
    assert answer.status in (200, 400, 401)
    assert len(provider.posted) == (answer.status == 200)
    for each in provider.posted:
        names = [name.lower() for name, _ in each.headers]
        assert len(names) == len(set(names))
        assert each.header("host") == f"127.0.0.1:{provider.port}"


TARGETS = {
    "http://other.test/v1/chat/completions": 200,  # as RFC 9112 has it, 3.2.2
    "https://user:pass@127.0.0.1:1/v1/chat/completions": 200,
    "//other.test/v1/chat/completions": 404,
    "/v1/../v1/chat/completions": 404,
    "/v1/chat%2fcompletions": None,
    "/v1/chat/completions#/../../x": None,
    "/v1/chat/completions?x=%0d%0ahost:%20other": 200,
    "/v1/chat/completions;a=b": 404,
    "/V1/chat/completions": 404,
    "*": None,
    "other.test:443": None,
}


@pytest.mark.parametrize("target", TARGETS)
def test_where_a_provider_is_asked_is_not_the_clients_to_say(gateway: Place, provider: Upstream, target: str) -> None:
    with client(gateway.gateway.port) as connection:
        connection.send(request(target, _BODY, headers(gateway)))
        try:
            status = connection.answer().status
        except ConnectionError:
            status = 400
    assert status in ((TARGETS[target],) if TARGETS[target] else (200, 400, 404)), status
    assert [(each.target, each.header("host")) for each in provider.posted] == [
        (CHAT, f"127.0.0.1:{provider.port}")
    ] * (status == 200)


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "DELETE", "PATCH", "CONNECT", "TRACE", "post", "NONSENSE"])
def test_only_post_asks(gateway: Place, provider: Upstream, method: str) -> None:
    with client(gateway.gateway.port) as connection:
        connection.send(request(CHAT, _BODY, headers(gateway), method=method))
        with suppress(ConnectionError):
            assert connection.answer(method).status in (400, 404, 405)
    assert provider.posted == []


@pytest.mark.parametrize("bad", [b"x\x00y: z\r\n", b"x: a\x00b\r\n", b": z\r\n", b"x y: z\r\n", b"x: a\rb: c\r\n"])
def test_bytes_that_no_header_has_get_no_further(gateway: Place, provider: Upstream, bad: bytes) -> None:
    data = head_and_body(gateway, ALONE)
    first, _, rest = data.partition(b"\r\n")
    with client(gateway.gateway.port) as connection:
        connection.send(first + b"\r\n" + bad + rest)
        try:
            status = connection.answer().status
        except ConnectionError:
            status = 400
    assert status in (200, 400)
    assert not any(
        b"\x00" in name.encode() + value.encode() for each in provider.posted for name, value in each.headers
    )
    assert provider.troubles == []
