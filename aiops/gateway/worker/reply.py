"""One answer on its way to the client: who gives it is named in its headers, no upstream addresses are.

The head of a stream is kept back until its first token. LiteLLM passes on what a model says before that, and asks
another one when the stream breaks then: had it gone out, the headers would name somebody who never said a word.
"""

from __future__ import annotations

import gzip
import json
import math
import re
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from contextlib import suppress
from typing import Any

from aiops.gateway.worker.board import BROKE_OFF, LIMITED, Board
from aiops.gateway.worker.call import Call
from aiops.gateway.worker.first_token import announces

Message = MutableMapping[str, Any]
Send = Callable[[Message], Awaitable[None]]
Headers = list[tuple[bytes, bytes]]

PROVIDER_HEADER, RULE_HEADER = b"x-aiops-provider", b"x-aiops-rule"
LANE_HEADER = b"x-aiops-lane"
GROUP_HEADER = b"x-litellm-model-group"
FALLBACKS_HEADER = b"x-litellm-attempted-fallbacks"
UNSUPPORTED = "Unsupported provider"
"""What LiteLLM says, as a failure of the provider, when it has no way to ask one of its type. Nothing was sent."""
_ID = re.compile(rb"(?<![0-9a-f])[0-9a-f]{32}(?![0-9a-f])")
# How an answer that has begun says that it goes no further: in OpenAI's shape, and in Anthropic's.
BROKEN_OFF = (b'data: {"error"', b"event: error")


class Reply:
    """What LiteLLM is given to send with. Raises what ``send`` raises."""

    def __init__(self, call: Call, board: Board, send: Send, *, lists: bool = False) -> None:
        """``lists``: it is asked which models there are, which LiteLLM tells with its ids."""
        self._call = call
        self._board = board
        self._send = send
        self._streams = False
        self._lists = lists
        self._is_read = False
        self._head: Message | None = None  # kept back
        self._pieces: list[Message] = []  # kept back with it
        self._attempt = 0  # whose they are
        self._fallbacks = 0  # when the head came

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            message["headers"] = [self._shown(pair) for pair in message.get("headers", ()) if not _leaks(pair[0])]
            message["headers"] += queue_headers(self._call, message["status"])
            self._is_read = self._lists or message["status"] >= 400
            self._streams = _is_stream(message)
            if self._is_read or (self._call.provider and self._streams):
                self._head, self._fallbacks = message, self._call.fallbacks
                return
            self._name(message)
        else:
            body = message.get("body", b"")
            if body.startswith(BROKEN_OFF):
                self._board.failed(self._call, None, BROKE_OFF)
                message["body"] = self._without_ids(body)
            elif self._is_read:
                self._without_what_is_ours(message)
            elif self._streams and self._call.fallbacks:
                message["body"] = self._under_the_name_asked_for(body)
            if self._head is not None:
                if self._streams and self._comes_before_the_first_token(message):
                    self._pieces.append(message)
                    return
                await self._let_go(self._head)
        await self._send(message)

    def _comes_before_the_first_token(self, message: Message) -> bool:
        if self._call.attempts != self._attempt:  # who said that failed, and another began
            self._attempt = self._call.attempts
            self._pieces.clear()
        return bool(message.get("more_body")) and announces(message.get("body", b""))

    def _under_the_name_asked_for(self, body: bytes) -> bytes:
        """LiteLLM puts the id of the deployment it fell back to into each piece."""
        ours, asked = json.dumps(self._call.deployment), json.dumps(self._call.name, ensure_ascii=False)
        return body.replace(f'"model":{ours}'.encode(), f'"model":{asked}'.encode())

    def _shown(self, header: tuple[bytes, bytes]) -> tuple[bytes, bytes]:
        if header[0].lower() == GROUP_HEADER and self._call.name:
            return header[0], self._call.name.encode("latin-1", "replace")
        return header

    def _without_what_is_ours(self, message: Message) -> None:
        """An error or a listing, which come in one piece. LiteLLM compresses what is long."""
        body, head = message.get("body", b""), self._head
        if head is None:
            return
        if (b"content-encoding", b"gzip") in head["headers"]:
            body = gzip.decompress(body)
            head["headers"] = [pair for pair in head["headers"] if pair[0] != b"content-encoding"]
        if head["status"] == 500 and UNSUPPORTED.encode() in body:
            head["status"], body = 400, self._unsupported()
        if head["status"] == LIMITED and self._call.refused:
            body = _in_our_words(body, self._call)
        message["body"] = body = self._without_ids(body)
        head["headers"] = [
            (name, str(len(body)).encode() if name == b"content-length" else value) for name, value in head["headers"]
        ]

    def _unsupported(self) -> bytes:
        message = f"LiteLLM cannot ask the provider of `{self._call.name}` on this endpoint"
        error = {"message": message, "type": "invalid_request_error", "param": "model", "code": "400"}
        return json.dumps({"error": error}).encode()

    def _without_ids(self, body: bytes) -> bytes:
        """With the name that was asked for, if any, in the place of the ids of deployments."""
        asked = json.dumps(self._call.name, ensure_ascii=False)[1:-1].encode()
        deployments = self._board.deployments
        return _ID.sub(lambda found: asked if found[0].decode() in deployments else found[0], body)

    async def _let_go(self, head: Message) -> None:
        self._head = None
        later = self._call.fallbacks - self._fallbacks  # LiteLLM counted those before the head
        if later:
            head["headers"] = list(_counted(head["headers"], later))
        self._name(head)
        for message in (head, *self._pieces):
            await self._send(message)

    def _name(self, head: Message) -> None:
        """Note that the answer begins, and name in its headers who gives it."""
        if not self._call.provider:
            return
        if head["status"] < 400:
            self._board.answered(self._call)
        if self._call.planned is not None:  # LiteLLM does not know who was asked before it was
            head["headers"] = list(_at_least(head["headers"], self._call.fallbacks))
        head["headers"].append((PROVIDER_HEADER, self._call.provider.encode("latin-1", "replace")))
        head["headers"].append((LANE_HEADER, self._call.lane))
        if self._call.rule is not None:
            head["headers"].append((RULE_HEADER, self._call.rule))


def queue_headers(call: Call, status: int) -> Headers:
    """How long it waited for a slot; and when there should be one, or room in a limit, for whom there was none."""
    found = [] if call.queued is None else [(b"x-aiops-queue-seconds", f"{call.queued:.3f}".encode())]
    if status == LIMITED:
        if call.turned_away is not None:
            found.append((b"x-aiops-queue-estimate", _whole(call.turned_away)))
        if (wait := wait_of(call)) is not None:
            found.append((b"retry-after", _whole(wait)))
    return found


def _in_our_words(body: bytes, call: Call) -> bytes:
    """The same error, in the shape of its API. What a provider said stays as it is."""
    with suppress(ValueError, KeyError, TypeError):
        error = (said := json.loads(body))["error"]
        wait = wait_of(call)
        if call.refused in error["message"] and wait is not None:
            error["message"] = f"{call.refused}; ask again in {math.ceil(wait)} s"
            error["type"] = "rate_limit_error"
            return json.dumps(said).encode()
    return body


def wait_of(call: Call) -> float | None:
    """Seconds until whoever is first of those that turned it away has room."""
    return min((each for each in (call.turned_away, call.full) if each is not None), default=None)


def _whole(seconds: float) -> bytes:
    return str(math.ceil(seconds)).encode()


def _counted(headers: Headers, later: int) -> Iterable[tuple[bytes, bytes]]:
    for name, value in headers:
        is_count = name.lower() == FALLBACKS_HEADER and value.isdigit()
        yield name, str(int(value) + later).encode() if is_count else value


def _at_least(headers: Headers, fallbacks: int) -> Iterable[tuple[bytes, bytes]]:
    """LiteLLM alone knows of one that a probe let fail."""
    for name, value in headers:
        is_count = name.lower() == FALLBACKS_HEADER and value.isdigit()
        yield name, str(max(int(value), fallbacks)).encode() if is_count else value


def _is_stream(head: Message) -> bool:
    return head["status"] < 400 and any(
        name == b"content-type" and value.startswith(b"text/event-stream") for name, value in head["headers"]
    )


def _leaks(name: bytes) -> bool:
    lowered = name.lower()
    return lowered.startswith(b"llm_provider-") or lowered in (b"x-litellm-model-api-base", b"x-litellm-model-id")
