"""One HTTP request and its answer, over TCP or a unix socket, with what Python brings along.

httpx takes 0.15 to 0.25 s of CPU to import, more than a whole change may cost. It is used where it is needed: for
``https``, and where the environment names a proxy.
"""

from __future__ import annotations

import http.client
import json
import os
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

PROXIES = ("http_proxy", "all_proxy")
REDIRECTS = (301, 302, 303, 307, 308)


class NoAnswer(Exception):
    """There was no HTTP answer; the text says why."""


class TookTooLong(NoAnswer):
    """Nothing came for as long as was allowed."""


class ClosedEarly(NoAnswer):
    """The connection was closed before the answer was whole, or what came is no HTTP."""


@dataclass(frozen=True)
class Answer:
    """``headers`` has lower-case names."""

    status_code: int
    headers: Mapping[str, str]
    content: bytes

    @property
    def text(self) -> str:
        return self.content.decode(errors="replace")

    @property
    def is_redirect(self) -> bool:
        return self.status_code in REDIRECTS and "location" in self.headers

    def json(self) -> Any:
        """Raises ValueError."""
        return json.loads(self.content)


def send(
    method: str,
    url: str,
    *,
    timeout: float,
    headers: Mapping[str, str] | None = None,
    body: Any = None,
    unix: str | None = None,
    proxies: bool = False,
) -> Answer:
    """One request on a connection of its own; ``body`` is sent as JSON, bytes as they are.

    ``timeout``: seconds for each wait.

    ``unix``: the socket to ask instead of the host in ``url``; ``proxies``: obey the environment's. Redirects are
    answers. Raises NoAnswer.
    """
    if url.startswith("https:") or (proxies and proxied()):
        return _through_httpx(method, url, timeout, headers or {}, body, proxies)
    with opened(method, url, timeout=timeout, headers=headers, body=body, unix=unix) as answer, _explained(timeout):
        return Answer(answer.status, _lower(answer), answer.read())


@contextmanager
def opened(
    method: str,
    url: str,
    *,
    timeout: float,
    headers: Mapping[str, str] | None = None,
    body: Any = None,
    unix: str | None = None,
) -> Iterator[http.client.HTTPResponse]:
    """The same with the answer's body still to be read, see ``lines``. Plain HTTP only."""
    parts = urlsplit(url)
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    connection: http.client.HTTPConnection
    if unix is not None:
        connection = _Unix(unix, timeout)
    else:
        connection = http.client.HTTPConnection(parts.hostname or "", parts.port or 80, timeout=timeout)
    named = dict(headers or {})
    if parts.username is not None and "authorization" not in {name.lower() for name in named}:
        named["authorization"] = _basic(parts.username, parts.password or "")
    content = None
    if isinstance(body, bytes):
        content = body
    elif body is not None:
        content = json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()
        named["content-type"] = "application/json"
    try:
        with _explained(timeout):
            connection.request(method, target, content, named)
            answer = connection.getresponse()
        yield answer
    finally:
        connection.close()


def lines(answer: http.client.HTTPResponse, timeout: float) -> Iterator[str]:
    """The lines of a body as they come. Raises NoAnswer when it breaks off."""
    while True:
        with _explained(timeout):
            line = answer.readline()
        if not line:
            if answer.chunk_left is not None or (answer.length or 0) > 0:
                raise ClosedEarly("the answer broke off")
            return
        yield line.decode(errors="replace").rstrip("\r\n")


class _Unix(http.client.HTTPConnection):
    def __init__(self, path: str, timeout: float) -> None:
        super().__init__("gateway", timeout=timeout)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


@contextmanager
def _explained(timeout: float) -> Iterator[None]:
    try:
        yield
    except TimeoutError as error:
        raise TookTooLong(f"no answer within {timeout:g} s") from error
    except (http.client.HTTPException, ConnectionResetError, BrokenPipeError) as error:
        raise ClosedEarly(str(error) or type(error).__name__) from error
    except (OSError, UnicodeError) as error:
        raise NoAnswer(str(error) or type(error).__name__) from error


def proxied() -> bool:
    """Whether the environment names a proxy for plain HTTP."""
    return any(os.environ.get(name) or os.environ.get(name.upper()) for name in PROXIES)


def _lower(answer: http.client.HTTPResponse) -> dict[str, str]:
    return {name.lower(): value for name, value in answer.getheaders()}


def _basic(user: str, password: str) -> str:
    import base64
    from urllib.parse import unquote

    return "Basic " + base64.b64encode(f"{unquote(user)}:{unquote(password)}".encode()).decode()


def _through_httpx(
    method: str, url: str, timeout: float, headers: Mapping[str, str], body: Any, proxies: bool
) -> Answer:
    import httpx

    try:
        answer = httpx.request(method, url, headers=dict(headers), json=body, timeout=timeout, trust_env=proxies)
    except httpx.TimeoutException as error:
        raise TookTooLong(f"no answer within {timeout:g} s") from error
    except (httpx.RemoteProtocolError, httpx.ReadError) as error:
        raise ClosedEarly(str(error) or type(error).__name__) from error
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise NoAnswer(str(error) or type(error).__name__) from error
    return Answer(answer.status_code, dict(answer.headers), answer.content)
