"""Pages of other origins: a browser shows an answer to a page only when it names the origin. As LiteLLM does it for its
lane, by the same variables: for all origins, unless `LITELLM_CORS_ORIGINS` names some."""

from __future__ import annotations

import os
from collections.abc import Mapping

from aiops.gateway.worker.front.asgi import Headers, Message, Scope, Send, header

_ALLOW = b"access-control-allow-origin"
_CREDENTIALS = (b"access-control-allow-credentials", b"true")


class Origins:
    """One per worker. ``environment``: says which are allowed, and whether with credentials."""

    def __init__(self, environment: Mapping[str, str] = os.environ) -> None:
        named = [name.strip() for name in environment.get("LITELLM_CORS_ORIGINS", "").split(",")]
        self._allowed = frozenset(name.encode() for name in named if name) or frozenset({b"*"})
        self._any = b"*" in self._allowed
        said = environment.get("LITELLM_CORS_ALLOW_CREDENTIALS")
        self._credentials = not self._any if said is None else said.strip().lower() == "true"

    def told(self, scope: Scope, send: Send) -> Send:
        """What answers are sent with: to a page, with what its browser wants to read."""
        origin = header(scope, b"origin")
        found = self._headers(origin) if origin else []
        if not found:
            return send

        async def tell(message: Message) -> None:
            if message["type"] == "http.response.start" and all(name != _ALLOW for name, _ in message["headers"]):
                message["headers"] = [*message["headers"], *found]
            await send(message)

        return tell

    def _headers(self, origin: bytes) -> Headers:
        more = [_CREDENTIALS] if self._credentials else []
        if self._any and not self._credentials:
            return [(_ALLOW, b"*")]
        if self._any or origin in self._allowed:
            return [(_ALLOW, origin), (b"vary", b"Origin"), *more]
        return []
