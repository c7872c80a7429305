"""When two requests ask the same: the name under which an answer is kept. PURE.

Whose key it is, where it leads to, and all that is said: what is not known to mean nothing makes another question.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import orjson

from aiops.gateway.worker.front import key
from aiops.gateway.worker.front.asgi import Scope
from aiops.gateway.worker.front.asked import Asked
from aiops.gateway.worker.prices import Prices, Ways
from aiops.state.shapes import Identity

MASTER = "master"
_PATHS = re.compile(
    r"(?:/v1)?/(?:chat/completions|completions|embeddings|rerank)|/v1/messages|/v2/rerank"
    r"|/(?:engines|openai/deployments)/.+/(?:chat/completions|completions|embeddings)"
)
# Who asks, by which way and how often: the answer is the same. A rule may ask for any other header.
_MEANS_NOTHING = frozenset(
    {
        *key.HEADERS,
        *(b"accept", b"accept-encoding", b"accept-language", b"cache-control", b"connection", b"content-length"),
        *(b"content-type", b"cookie", b"date", b"dnt", b"forwarded", b"host", b"idempotency-key", b"origin", b"pragma"),
        *(b"referer", b"te", b"traceparent", b"tracestate", b"baggage", b"user-agent", b"via", b"x-real-ip"),
        *(b"x-request-id", b"x-correlation-id", b"x-amzn-trace-id", b"x-cloud-trace-context", b"transfer-encoding"),
    }
)
_MEAN_NOTHING = (b"x-forwarded-", b"x-stainless-", b"x-b3-", b"sec-")
_CONTROLS = {"no-cache", "no-store"}


@dataclass(frozen=True)
class Question:
    """``name``: of its answer, which may be kept. ``looks``: one that is kept will do."""

    name: str
    looks: bool


class Routes:
    """Where a name leads to, and how those are asked. ``definitions``: by the id of a deployment."""

    def __init__(self, ways: Callable[[str], Ways], book: Prices, definitions: Mapping[str, str]) -> None:
        self._ways, self._book, self._definitions = ways, book, definitions
        self._known: dict[str, str | None] = {}

    def of(self, name: str) -> str | None:
        """The same for as long as a name leads to the same; None: nowhere."""
        if name not in self._known:
            if len(self._known) >= 10_000:  # names are a client's to invent where rules are open
                self._known.clear()
            self._known[name] = self._of(name)
        return self._known[name]

    def _of(self, name: str) -> str | None:
        ways = self._ways(name)
        found = [each.id for each in self._book.answering(name, ways.deployments)]
        return "\n".join(f"{id} {self._definitions.get(id, '')}" for id in sorted(found)) or None


def question(scope: Scope, identity: Identity, asked: Asked, routes: Routes) -> Question | None:
    """None: its answer is nobody else's."""
    if scope["type"] != "http" or scope["method"] != "POST" or _PATHS.fullmatch(scope["path"]) is None:
        return None
    headers = [(name, value) for name, value in scope["headers"] if not _is_nothing(name)]
    kind = next((value for name, value in scope["headers"] if name == b"content-type"), b"")
    if not kind.startswith(b"application/json"):
        return None
    controls = _controls(scope)
    try:
        said = orjson.loads(asked.body)
        own = said.pop("cache", None) or {}
        body = orjson.dumps(said, option=orjson.OPT_SORT_KEYS)
    except (ValueError, TypeError, AttributeError):
        return None
    leads_to = [routes.of(name) for name in asked.models]
    if not leads_to or None in leads_to or not isinstance(own, dict) or not own.keys() <= _CONTROLS:
        return None
    controls |= {name for name in own if own[name]}
    if "no-store" in controls:
        return None
    whose = ("key", identity.id) if identity.id else (MASTER, "")
    parts = (*whose, scope["path"], scope.get("query_string", b""), leads_to, sorted(headers), body)
    return Question(_digest(*parts), looks="no-cache" not in controls)


def _is_nothing(name: bytes) -> bool:
    return name in _MEANS_NOTHING or name.startswith(_MEAN_NOTHING)


def _controls(scope: Scope) -> set[str]:
    """``Cache-Control`` of the request, RFC 9111: an answer that must have no age is no older one."""
    said = b",".join(value for name, value in scope["headers"] if name == b"cache-control").decode("latin-1").lower()
    words = {word.strip().replace(" ", "") for word in said.split(",")}
    return words & _CONTROLS | ({"no-cache"} if "max-age=0" in words else set())


def _digest(*parts: object) -> str:
    """Each part by its length and its kind, so that no two lists of parts are the same bytes."""
    digest = hashlib.sha256()
    for part in parts:
        raw = part if isinstance(part, bytes) else repr(part).encode("utf-8", "surrogatepass")
        digest.update(f"{type(part).__name__}{len(raw)}:".encode() + raw)
    return digest.hexdigest()
