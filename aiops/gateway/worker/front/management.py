"""LiteLLM's management API, answered by the accountant: a request as it is told to it, and its answer."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from urllib.parse import parse_qsl

import orjson

from aiops.gateway.shared.accounting import Manage, Managed
from aiops.gateway.worker.front.asgi import Receive, Scope, Send, TooLarge, header, read_body
from aiops.gateway.worker.front.refusals import send_refusal
from aiops.state.rules import Refusal
from aiops.state.shapes import Identity

# What of it is not supported is refused there, by name.
PATHS = re.compile(r"(?:/v2)?/(?:key|team|user|budget|spend|global|customer|end_user|organization|project|tag)/.+")
METHODS = frozenset({"GET", "POST", "PUT", "PATCH", "DELETE"})
LARGEST_BODY = 4 * 1024 * 1024
CHANGED_BY = b"litellm-changed-by"

Ask = Callable[[Manage], Awaitable[Managed]]
ONLY_ADMINS = Refusal(
    status=403,
    kind="auth_error",
    code="403",
    message="Only the master key, or a key of an administrator, may administer keys, teams, budgets and usage.",
)
ELSEWHERE = Refusal(
    status=404,
    kind="invalid_request_error",
    code="404",
    message="The management API is on the admin port of this gateway (`gateway.admin_port` in aiops.yaml), not here.",
)
NOT_FOR_MODELS = Refusal(
    status=404,
    kind="invalid_request_error",
    code="404",
    message="This is the admin port: models are asked on the gateway's other port (`gateway.port` in aiops.yaml).",
)


def is_managed(method: str, path: str) -> bool:
    """No browser asks there, so nobody is told what one may (``OPTIONS``)."""
    return method in METHODS and PATHS.fullmatch(path.rstrip("/")) is not None


async def manage(ask: Ask, scope: Scope, receive: Receive, send: Send, identity: Identity) -> None:
    """Have it answered for ``identity``, which is an administrator."""
    try:
        raw = await read_body(receive, LARGEST_BODY)
        if raw is None:
            return
        said = orjson.loads(raw) if raw.strip() else None
    except (TooLarge, orjson.JSONDecodeError) as error:
        what = str(error) if isinstance(error, TooLarge) else f"The body is not JSON: {error}."
        await send_refusal(scope, send, Refusal(status=400, kind="invalid_request_error", code="400", message=what))
        return
    client = scope.get("client")
    changed_by = header(scope, CHANGED_BY).decode("latin-1")
    request = Manage(
        method=scope["method"],
        path=scope["path"].rstrip("/"),
        query=dict(parse_qsl(scope.get("query_string", b"").decode("latin-1"), keep_blank_values=True)),
        body=said,
        who=identity.id,
        from_where=client[0] if client else "",
        changed_by=changed_by[:256] or None,
    )
    try:
        answer = await ask(request)
    except Exception as error:  # nobody there, or nothing to be done: it is to be asked again
        why = Refusal(status=503, kind="service_unavailable_error", code="503", message=f"{error}", wait=1.0)
        await send_refusal(scope, send, why)
        return
    body = orjson.dumps(answer.body)
    head = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": answer.status, "headers": head})
    await send({"type": "http.response.body", "body": body})
