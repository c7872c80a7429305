"""How providers fail: what one does with a request in the place of an answer. What it says is nobody's else's, so that
a test finds it again."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from tests.e2e.lanes import answers
from tests.e2e.lanes.upstream import Arrived, Peer, Script

Asked = Literal["whole", "stream"]
BOTH: tuple[Asked, ...] = ("whole", "stream")
STATUSES = {
    400: "400 Bad Request",
    401: "401 Unauthorized",
    403: "403 Forbidden",
    404: "404 Not Found",
    408: "408 Request Timeout",
    413: "413 Payload Too Large",
    422: "422 Unprocessable Entity",
    429: "429 Too Many Requests",
    500: "500 Internal Server Error",
    502: "502 Bad Gateway",
    503: "503 Service Unavailable",
    529: "529 Site is overloaded",
}
HTML = b"<html><head><title>502 Bad Gateway</title></head><body>nginx at 10.0.0.7</body></html>"


@dataclass(frozen=True)
class Failure:
    """``asked``: by which requests it is seen. ``kind``: of the models with a fallback that are asked. ``alone``: by
    which requests it is seen where there is none; LiteLLM lets seconds pass before it tries once more there."""

    name: str
    script: Script | None
    asked: tuple[Asked, ...] = BOTH
    kind: str = "chain"
    alone: tuple[Asked, ...] = ()


def _error(status: int, said: object | bytes | None = None, kind: str = "application/json", **headers: str) -> Script:
    error = {"message": f"the provider says {status}", "type": "its_type", "param": "messages", "code": "its_code"}
    body = said if isinstance(said, bytes) else json.dumps({"error": error} if said is None else said).encode()

    async def script(peer: Peer, arrived: Arrived) -> None:
        await peer.answer(body, STATUSES[status], kind, **headers)

    return script


def bytes_of(data: bytes, *, closes: bool = False) -> Script:
    """Answers with these, and may say nothing more on that connection."""

    async def script(peer: Peer, arrived: Arrived) -> None:
        await peer.send(data)
        if closes:
            peer.close()

    return script


def _fine(body: bytes, kind: str) -> Script:
    async def script(peer: Peer, arrived: Arrived) -> None:
        await peer.answer(body, kind=kind)

    return script


def _pieces(arrived: Arrived) -> list[bytes]:
    return answers.events(arrived.target, arrived.said)


def _broken(upto: Callable[[list[bytes]], list[bytes]], *, reset: bool = False) -> Script:
    """A stream that goes so far, and breaks off when that has been heard."""

    async def script(peer: Peer, arrived: Arrived) -> None:
        await peer.stream(*upto(_pieces(arrived)), end=False)
        await peer.heard(0.1 if upto in (nothing, role) else 5.0)
        if reset:
            peer.reset()
        peer.close()

    return script


def _ended(upto: Callable[[list[bytes]], list[bytes]], *more: bytes) -> Script:
    """A stream that goes so far and, when that has been heard, ends as HTTP has it, and says no more than that."""

    async def script(peer: Peer, arrived: Arrived) -> None:
        await peer.stream(*upto(_pieces(arrived)), end=False)
        await peer.heard(0.1 if upto in (nothing, role) else 5.0)
        for event in more:
            await peer.piece(event)
        await peer.send(b"0\r\n\r\n")

    return script


def nothing(pieces: list[bytes]) -> list[bytes]:
    return []


def role(pieces: list[bytes]) -> list[bytes]:
    """What comes before the first token."""
    return pieces[:1]


def token(pieces: list[bytes]) -> list[bytes]:
    return pieces[:3]


def all_but_the_end(pieces: list[bytes]) -> list[bytes]:
    return pieces[:-1]


async def hang(peer: Peer, arrived: Arrived) -> None:
    await peer.left()


async def hang_after_the_head(peer: Peer, arrived: Arrived) -> None:
    await peer.stream(end=False)
    await peer.left()


async def hang_after_the_role(peer: Peer, arrived: Arrived) -> None:
    await peer.stream(*role(_pieces(arrived)), end=False)
    await peer.left()


async def hang_after_a_token(peer: Peer, arrived: Arrived) -> None:
    await peer.stream(*token(_pieces(arrived)), end=False)
    await peer.left()


async def close(peer: Peer, arrived: Arrived) -> None:
    peer.close()


async def reset(peer: Peer, arrived: Arrived) -> None:
    peer.reset()


async def half_a_head(peer: Peer, arrived: Arrived) -> None:
    await peer.send(b"HTTP/1.1 200 OK\r\ncontent-")
    peer.close()


async def half_a_body(peer: Peer, arrived: Arrived) -> None:
    whole = answers.answer(arrived.target, arrived.said | {"stream": False})
    await peer.send(whole[:-20])
    peer.close()


_SAID: dict[str, Any] = {"message": "the model fell over", "type": "server_error", "code": 500}
ERROR_EVENT = answers.event({"error": _SAID})
LIMIT_EVENT = answers.event({"error": {"message": "slow down", "type": "rate_limit_exceeded", "code": 429}})
_TOO_LONG = {
    "error": {
        "message": "This model's maximum context length is 8192 tokens. However, your messages resulted in 9000.",
        "type": "invalid_request_error",
        "param": "messages",
        "code": "context_length_exceeded",
    }
}
_POLICY = {
    "error": {
        "message": "Your request was rejected as a result of our safety system.",
        "type": "invalid_request_error",
        "code": "content_policy_violation",
    }
}

STREAM: tuple[Asked, ...] = ("stream",)
WHOLE: tuple[Asked, ...] = ("whole",)
FAILURES = {
    failure.name: failure
    for failure in (
        *(Failure(str(status), _error(status), alone=BOTH) for status in STATUSES if status not in (429, 500, 503)),
        *(Failure(str(status), _error(status), alone=WHOLE) for status in (500, 503)),
        Failure("429", _error(429, retry_after="7", x_ratelimit_remaining_requests="0"), alone=BOTH),
        Failure("429 without a time", _error(429)),
        Failure("too long a prompt", _error(400, _TOO_LONG), alone=WHOLE),
        Failure("a refused prompt", _error(400, _POLICY), alone=WHOLE),
        Failure("500 as text", _error(500, b"oops", "text/plain")),
        Failure("500 of FastAPI", _error(500, {"detail": "Internal Server Error"})),
        Failure("400 of FastAPI", _error(400, {"detail": [{"loc": ["body"], "msg": "field required"}]}), alone=WHOLE),
        Failure("400 with a word as the error", _error(400, {"error": "model not loaded"}), alone=WHOLE),
        Failure("502 in HTML", _error(502, HTML, "text/html"), alone=WHOLE),
        Failure("500 with nothing", _error(500, b"")),
        Failure("404 with nothing", _error(404, b""), alone=WHOLE),
        Failure("200 in HTML", _fine(HTML, "text/html")),
        Failure("200 with nothing", _fine(b"", "application/json")),
        Failure("200 that is half JSON", _fine(b'{"id": "a", "choices": [', "application/json"), WHOLE),
        Failure("an error in a 200", _fine(json.dumps({"error": _SAID}).encode(), "application/json"), WHOLE),
        Failure("nobody listens", None, alone=STREAM),
        Failure("it closes at once", close, alone=WHOLE),
        Failure("it resets at once", reset),
        Failure("half a head", half_a_head),
        Failure("half a body", half_a_body, WHOLE),
        Failure("it hangs", hang, kind="short"),
        Failure("it hangs after the head", hang_after_the_head, STREAM, kind="short"),
        Failure("it hangs after the role", hang_after_the_role, STREAM, kind="short"),
        Failure("it hangs after a token", hang_after_a_token, STREAM, kind="short"),
        Failure("a stream of nothing", _ended(nothing), STREAM, alone=STREAM),
        Failure("only the end of a stream", _ended(nothing, answers.DONE), STREAM, alone=STREAM),
        Failure("it breaks before the first event", _broken(nothing), STREAM, alone=STREAM),
        Failure("it breaks before the first token", _broken(role), STREAM, alone=STREAM),
        Failure("it resets before the first token", _broken(role, reset=True), STREAM, alone=STREAM),
        Failure("it breaks after a token", _broken(token), STREAM, alone=STREAM),
        Failure("it resets after a token", _broken(token, reset=True), STREAM, alone=STREAM),
        Failure("it ends after a token", _ended(token), STREAM, alone=STREAM),
        Failure("no end is said", _ended(all_but_the_end), STREAM, alone=STREAM),
        Failure("an error in a stream at first", _ended(nothing, ERROR_EVENT, answers.DONE), STREAM, alone=STREAM),
        Failure("an error in a stream after the role", _ended(role, ERROR_EVENT, answers.DONE), STREAM, alone=STREAM),
        Failure("an error in a stream after a token", _ended(token, ERROR_EVENT, answers.DONE), STREAM, alone=STREAM),
        Failure("a limit in a stream at first", _ended(nothing, LIMIT_EVENT, answers.DONE), STREAM, alone=STREAM),
    )
}
