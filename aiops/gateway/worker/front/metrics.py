"""``/metrics``: who may read it, and its answer.

Whoever has the master key or an administrator's, from anywhere. Without a key, only who asks from this machine itself
and was not sent on by a proxy: behind one, everybody seems to be near.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from ipaddress import ip_address

from aiops.gateway.shared.metrics.text import TYPE
from aiops.gateway.worker.front.asgi import Scope, Send
from aiops.state.rules import Refusal

PATH = "/metrics"
_SENT_ON = frozenset(
    {b"forwarded", b"via", b"x-forwarded-for", b"x-forwarded-host", b"x-forwarded-proto", b"x-real-ip"}
)

Ask = Callable[[], Awaitable[str]]
"""The text of it. Does not raise."""

ONLY_ADMINS = Refusal(
    status=403,
    kind="auth_error",
    code="403",
    message="/metrics answers to the master key, or a key of an administrator, and without a key on this machine only.",
)


def is_near(scope: Scope) -> bool:
    """Whether both ends are this machine, and nobody says that he asks for another one."""
    client, server = scope.get("client"), scope.get("server")
    if client is None or server is None or any(name in _SENT_ON for name, _ in scope["headers"]):
        return False
    return _is_loopback(client[0]) and _is_loopback(server[0])


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
