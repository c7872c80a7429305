"""How a refusal is written: in OpenAI's shape, to Anthropic's clients in theirs."""

from __future__ import annotations

import json
import math
from datetime import UTC, datetime
from typing import Any

from aiops.gateway.worker.front import limits_shown
from aiops.gateway.worker.front.asgi import Headers, Scope, Send
from aiops.state.rules import Refusal

ANTHROPIC_PATHS = ("/v1/messages",)
_ANTHROPIC = {
    400: "invalid_request_error",
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    422: "invalid_request_error",
    429: "rate_limit_error",
    503: "overloaded_error",
}


def body(refusal: Refusal, path: str) -> bytes:
    if path.startswith(ANTHROPIC_PATHS):
        kind = _ANTHROPIC.get(refusal.status, "api_error")
        return json.dumps({"type": "error", "error": {"type": kind, "message": refusal.message}}).encode()
    error: dict[str, Any] = {
        "message": refusal.message,
        "type": refusal.kind,
        "param": refusal.param,
        "code": refusal.code or str(refusal.status),
    }
    return json.dumps({"error": error}).encode()


def headers(refusal: Refusal) -> Headers:
    """``Retry-After`` in whole seconds, never too early; what makes no sense to repeat says so."""
    found: Headers = []
    if refusal.wait is not None:
        found.append((b"retry-after", str(math.ceil(refusal.wait)).encode()))
        found.append((b"retry-after-ms", str(math.ceil(refusal.wait * 1000)).encode()))
    if refusal.final:
        found.append((b"x-should-retry", b"false"))
    if refusal.limit is not None:
        found.append((b"rate_limit_type", refusal.limit.encode()))
    if refusal.resets is not None:
        at = datetime.fromtimestamp(math.ceil(refusal.resets), UTC)
        found.append((b"reset_at", f"{at:%Y-%m-%dT%H:%M:%SZ}".encode()))
    return found


async def send_refusal(scope: Scope, send: Send, refusal: Refusal, more: Headers | None = None) -> None:
    """To a websocket as the answer to its handshake."""
    content = body(refusal, scope["path"])
    head = [
        (b"content-type", b"application/json"),
        (b"content-length", str(len(content)).encode()),
        *headers(refusal),
        *limits_shown.shown(refusal.levels),
        *(more or ()),
    ]
    prefix = "" if scope["type"] == "http" else "websocket."
    if prefix and "websocket.http.response" not in scope.get("extensions", {}):
        await send({"type": "websocket.close", "code": 1008})
        return
    await send({"type": f"{prefix}http.response.start", "status": refusal.status, "headers": head})
    await send({"type": f"{prefix}http.response.body", "body": content})
