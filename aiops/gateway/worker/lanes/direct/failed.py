"""An attempt that failed: what of, for the board and for what is tried next, and what its client is told."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any

import orjson

from aiops.gateway.worker.board import BROKE_OFF, LIMITED, TIMED_OUT
from aiops.gateway.worker.front.asgi import Headers
from aiops.gateway.worker.lanes.upstream import failed as upstream

LARGEST = 64 * 1024  # bytes of an error that are read
_LONGEST_WAIT = 64  # characters: a number of seconds, or a date
_TIMED_OUT, _LOST = 408, 500
"""As LiteLLM answers when a provider says nothing."""


class Kind(Enum):
    """What is done about it."""

    NO_CONNECTION = "no_connection"
    UNAVAILABLE = "unavailable"
    SERVER_ERROR = "server_error"
    TIMED_OUT = "timed_out"
    RATE_LIMITED = "rate_limited"
    TOO_LONG = "the prompt is too long for the model"
    AGAINST_POLICY = "the provider refuses to answer it"
    OURS = "aiops itself does not let it be asked"
    OTHER = "other"


@dataclass(frozen=True, kw_only=True)
class Failed:
    """``status``: HTTP, of the provider; None when it answered nothing that is an answer. ``failure``: in a word, for
    the board. ``shown``: the status for the client. ``type``, ``param``, ``code``: of OpenAI's errors. ``wait``: the
    provider's Retry-After. ``headers``: of the provider's that are handed on."""

    kind: Kind
    failure: str
    message: str
    shown: int
    status: int | None = None
    type: str = "api_error"
    param: str | None = None
    code: str | None = None
    wait: str | None = None
    headers: tuple[tuple[bytes, bytes], ...] = ()


def of_upstream(error: upstream.UpstreamError, provider: str) -> Failed:
    """Of an answer that did not come, or not to its end."""
    if isinstance(error, upstream.TimedOut):
        return too_late(provider)
    if isinstance(error, upstream.Malformed):
        return nonsense(provider, "what is no HTTP")
    if isinstance(error, upstream.BrokeOff) and error.began:
        return broke_off(provider)
    message = f"the provider `{provider}` cannot be reached, or closed the connection"
    return Failed(kind=Kind.NO_CONNECTION, failure="no connection", message=message, shown=_LOST)


def too_late(provider: str) -> Failed:
    message = f"the provider `{provider}` did not answer in time"
    return Failed(kind=Kind.TIMED_OUT, failure=TIMED_OUT, message=message, shown=_TIMED_OUT, type="timeout_error")


def broke_off(provider: str) -> Failed:
    message = f"the provider `{provider}` broke off its answer"
    return Failed(kind=Kind.SERVER_ERROR, failure=BROKE_OFF, message=message, shown=_LOST)


def nonsense(provider: str, what: str) -> Failed:
    """``what``: it answered with, in the place of an answer."""
    message = f"the provider `{provider}` answered with {what}"
    return Failed(kind=Kind.SERVER_ERROR, failure="no answer", message=message, shown=_LOST)


def of_answer(status: int, headers: Headers, content: bytes, provider: str) -> Failed:
    """Of an error that the provider answered with, in any API's shape."""
    error = _error(content)
    named = {name.lower(): value for name, value in headers}
    message = _text(error.get("message")) or f"the provider `{provider}` answered with HTTP {status}"
    shown = status if 400 <= status < 600 else _LOST
    wait = named.get(b"retry-after", b"")
    return Failed(
        kind=_kind(status, message, _text(error.get("code")) or "", error.get("type") or ""),
        failure=f"HTTP {status}",
        message=message,
        shown=shown,
        status=status,
        type=_text(error.get("type")) or _type(shown),
        param=_text(error.get("param")),
        code=_text(error.get("code")),
        wait=wait.decode() if wait.isascii() and 0 < len(wait) <= _LONGEST_WAIT else None,
        headers=tuple(pair for pair in headers if pair[0].lower().startswith(b"x-ratelimit-")),
    )


def in_a_stream(data: bytes, provider: str) -> Failed | None:
    """Of an event that is an error; None when it is none."""
    error = _error(data)
    if not error:
        return None
    code = error.get("code")
    status = code if isinstance(code, int) and 400 <= code < 600 else _LOST
    return of_answer(status, [], data, provider)


def turned_away(message: str) -> Failed:
    """aiops itself does not let it ask: a limit is full, or a queue."""
    return Failed(kind=Kind.OURS, failure="", message=message, shown=LIMITED, status=LIMITED, type="rate_limit_error")


def _error(content: bytes) -> Mapping[str, Any]:
    """OpenAI's and Anthropic's ``error``, FastAPI's ``detail``, vLLM's own of before, Ollama's."""
    try:
        said = orjson.loads(content)
    except ValueError:
        return {}
    if not isinstance(said, dict):
        return {}
    error = said.get("error")
    if isinstance(error, dict):
        return error
    if error:
        return {"message": str(error)}
    if said.get("object") == "error" or said.get("type") == "error":
        return said
    detail = said.get("detail")
    return {"message": detail if isinstance(detail, str) else orjson.dumps(detail).decode()} if detail else {}


def _kind(status: int, message: str, code: str, type: object) -> Kind:
    said = f"{message} {code} {type}".lower()
    if status < 500 and status != LIMITED:
        if _is_too_long(said):
            return Kind.TOO_LONG
        if any(words in said for words in AGAINST_POLICY):
            return Kind.AGAINST_POLICY
        return Kind.TIMED_OUT if status == 408 else Kind.OTHER
    if status == LIMITED:
        return Kind.RATE_LIMITED
    return Kind.UNAVAILABLE if status == 503 else Kind.SERVER_ERROR


TOO_LONG = (
    "context_length_exceeded",
    "exceed context limit",
    "this model's maximum context length is",
    "string too long. expected a string with maximum length",
    "model's maximum context limit",
    "is longer than the model's context length",
    "input tokens exceed the configured limit",
    "`inputs` tokens + `max_new_tokens` must be",
    "exceeds the available context size",
    "exceeds the maximum number of tokens allowed",
    "prompt is too long",
)
"""What providers say of a prompt that is too long, as LiteLLM knows them."""
AGAINST_POLICY = (
    "content_policy_violation",
    "violating our usage policy",
    "request was rejected as a result of the safety system",
    "content filtering policy",
)


def _is_too_long(said: str) -> bool:
    if "string_above_max_length" in said:
        return False
    return any(words in said for words in TOO_LONG) or ("maximum input length is" in said and "tokens" in said)


def _type(status: int) -> str:
    known = {401: "authentication_error", 403: "permission_error", 404: "not_found_error", 429: "rate_limit_error"}
    return known.get(status, "invalid_request_error" if status < 500 else "api_error")


def _text(value: object) -> str | None:
    """A code may be a number: that is the status again, which stands elsewhere."""
    return value if isinstance(value, str) and value else None
