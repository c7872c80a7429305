"""``/metrics``: who may read it, and its answer.

Whoever has the master key or an administrator's, from anywhere. Without a key, only who asks from this machine itself,
by a name of this machine, and was not sent on by a proxy: behind one, everybody seems to be near. A page in a browser
here asks by the name of its own site, also when that leads to this machine.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from ipaddress import ip_address
from urllib.parse import urlsplit

from aiops.gateway.shared.metrics.text import TYPE
from aiops.gateway.worker.front.asgi import Scope, Send
from aiops.state.rules import Refusal

PATH = "/metrics"
_SENT_ON = frozenset(
    {
        *(b"forwarded", b"via", b"x-forwarded", b"x-real-ip", b"x-client-ip", b"x-cluster-client-ip"),
        *(b"cf-connecting-ip", b"true-client-ip", b"x-envoy-external-address"),
    }
)

Ask = Callable[[], Awaitable[str]]
"""The text of it. Does not raise."""

ONLY_ADMINS = Refusal(
    status=403,
    kind="auth_error",
    code="403",
    message="/metrics answers to the master key, or a key of an administrator, and without a key on this machine only.",
)


def is_near(scope: Scope, own: str = "") -> bool:
    """Whether both ends are this machine, which is asked by a name of its own, and nobody says that he asks for another
    one. ``own``: the host that the gateway listens on."""
    client, server = scope.get("client"), scope.get("server")
    if client is None or server is None:
        return False
    for name, value in scope["headers"]:
        if name in _SENT_ON or name.startswith(b"x-forwarded-"):
            return False
        if name == b"host" and not _is_ours(value.decode("latin-1"), own):
            return False
    return _is_loopback(client[0]) and _is_loopback(server[0])


def _is_ours(host: str, own: str) -> bool:
    """``host``: as the header has it."""
    try:
        name = urlsplit(f"//{host}").hostname or ""
    except ValueError:  # a bracket too few
        return False
    return bool(name) and (name in ("localhost", own.lower()) or _is_loopback(name))


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


async def answer(ask: Ask, send: Send) -> None:
    body = (await ask()).encode()
    head = [(b"content-type", TYPE), (b"content-length", str(len(body)).encode()), (b"cache-control", b"no-store")]
    await send({"type": "http.response.start", "status": 200, "headers": head})
    await send({"type": "http.response.body", "body": body})
