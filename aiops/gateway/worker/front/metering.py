"""What an answer used, read from its bytes while they pass. Nothing of a stream is held back but an unfinished event
that may be the one that the client did not ask for.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterable
from dataclasses import replace

import orjson

from aiops.gateway.worker.front import used
from aiops.gateway.worker.prices import Tokens
from aiops.spec.choosing.request_facts import CHARACTERS_PER_TOKEN
from aiops.state import money

Headers = Iterable[tuple[bytes, bytes]]

LARGEST = 64 * 1024 * 1024  # bytes of a JSON answer that is read, unpacked; a larger one is reckoned
LONGEST_EVENT = 16 * 1024 * 1024  # bytes of one that is waited for; a longer one passes unread
COST_HEADER = b"x-litellm-response-cost"
_USAGE, _META = b'"usage', b'"meta"'  # `"usage"` and `"usageMetadata"`
# What a model said, in the events of any API. Not read as JSON: a stream has hundreds of events, and each would cost
# ten times this. Possessive: nothing is tried twice.
_SAID = re.compile(
    rb'"(?:content|text|delta|reasoning_content|thinking|arguments|partial_json|refusal)":'
    rb'\s*+"([^"\\]*+(?:\\.[^"\\]*+)*+)"'
)
# What vLLM and OpenRouter call its thoughts; some of their versions say the same again by another name.
_REASONING = b'"reasoning":'
_THOUGHT = re.compile(rb'"reasoning":\s*+"([^"\\]*+(?:\\.[^"\\]*+)*+)"')
_SAID_AGAIN = b'"reasoning_content":', b'"reasoning_details":'
_END = re.compile(rb"\r?\n\r?\n")


class Metering:
    """Of one answer. ``hides_usage``: the event that says what a stream used was not asked for by the client."""

    def __init__(self, *, hides_usage: bool = False) -> None:
        self.status = 0
        self.cached = False  # it is what an earlier request was answered
        self.begun = False  # something of its body has gone out
        self.ended = False
        self.streams = False
        self.cost: int | None = None  # nano-dollars, by LiteLLM's account
        self._hides_usage = hides_usage
        self._tokens: Tokens | None = None
        self._only_began = False  # what it said last of usage, it said before its first word, as Anthropic does
        self._characters = 0
        self._json: list[bytes] | None = None
        self._size = 0
        self._inflate: zlib._Decompress | None = None
        self._rest = b""  # of a stream: an event that has not ended

    def start(self, status: int, headers: Headers) -> None:
        """The head of the answer."""
        named = {name.lower(): value for name, value in headers}
        kind = named.get(b"content-type", b"")
        self.status = status
        self.streams = kind.startswith(b"text/event-stream")
        if kind.startswith(b"application/json") and status < 400:
            self._json = []
        if named.get(b"content-encoding") == b"gzip":
            self._inflate = zlib.decompressobj(wbits=31)
        self.cost = _cost(named.get(COST_HEADER))

    def feed(self, body: bytes, *, more: bool) -> bytes:
        """A piece of its body; what of it the client is sent."""
        self.ended = not more
        if self.streams:
            body = self._events(body, more=more)
        elif self._json is not None:
            self._keep(body)
        self.begun = self.begun or bool(body)
        return body

    def message(self, text: str) -> None:
        """What a websocket says to its client; each answer says what it used itself."""
        self.begun = True
        if '"usage"' not in text:
            return
        try:
            said = orjson.loads(text)
        except orjson.JSONDecodeError:
            return
        found = used.tokens(said) if isinstance(said, dict) else None
        if found is not None:
            self._tokens = used.added(self._tokens, found)

    @property
    def estimated(self) -> bool:
        """Whether nobody said what was used, so that it is reckoned."""
        return self._said() is None

    def tokens(self, prompt: int) -> Tokens:
        """What was used; ``prompt``: tokens of it as estimated, for an answer that does not say."""
        said = self._said()
        if said is not None and (self.ended or not self.streams or (said.completion and not self._only_began)):
            return said
        written = -(-self._characters // CHARACTERS_PER_TOKEN)
        if said is None:
            return Tokens(prompt, written)
        return replace(said, completion=max(said.completion, written))

    def _said(self) -> Tokens | None:
        if self._json:
            whole, self._json = b"".join(self._json), None
            try:
                said = orjson.loads(whole)
            except orjson.JSONDecodeError:
                said = None
            if isinstance(said, list):  # Google's stream without `alt=sse`
                for each in said:
                    self._note(each)
            else:
                self._note(said)
            if self._tokens is None:
                self._characters += _characters(whole)
        return self._tokens

    def _note(self, said: object) -> None:
        if isinstance(said, dict):
            found = used.tokens(said)
            if found is not None:
                self._only_began = said.get("type") == "message_start"
            self._tokens = used.together(self._tokens, found)

    def _keep(self, body: bytes) -> None:
        assert self._json is not None
        if self._inflate is not None:
            try:
                body = self._inflate.decompress(body, LARGEST + 1 - self._size)
            except zlib.error:  # it passes as it is, and is its client's to make sense of
                self._json = None
                return
        self._size += len(body)
        if self._size > LARGEST:
            self._json = None
            return
        self._json.append(body)

    # --- a stream ---------------------------------------------------------------------------------------------

    def _events(self, body: bytes, *, more: bool) -> bytes:
        """Looks only into events that say something of usage. The rest passes as it came, also in the middle of an
        event, unless an event has to be taken out."""
        data = self._rest + body if self._rest else body
        if not self._rest and data.endswith(b"\n\n") and not _mentions(data):
            self._count(data)
            return body
        head, data = _before_usage(data)
        if head:
            self._count(head)
        *whole, self._rest = _split(data)
        if not more or len(self._rest) > LONGEST_EVENT:
            whole.append(self._rest)
            self._rest = b""
        passed = b"".join(event for event in whole if self._passes(event))
        if self._hides_usage:
            return head + passed
        return body

    def _passes(self, event: bytes) -> bool:
        """Whether the client is sent it; notes what it says."""
        self._count(event)
        if not _mentions(event):
            return True
        found = False
        for line in event.splitlines():
            if line.startswith(b"data:"):
                try:
                    said = orjson.loads(line[5:])
                except orjson.JSONDecodeError:
                    continue
                self._note(said)
                found = found or _only_tells_usage(said)
        return not (found and self._hides_usage)

    def _count(self, event: bytes) -> None:
        self._characters += _characters(event)


def _characters(events: bytes) -> int:
    """That a model said there."""
    found = sum(map(len, _SAID.findall(events)))
    if _REASONING in events and not any(again in events for again in _SAID_AGAIN):
        found += sum(map(len, _THOUGHT.findall(events)))
    return found


def _cost(said: bytes | None) -> int | None:
    """Nano-dollars; None for what is no amount, and for less than nothing."""
    try:
        found = money.nano(said.decode("latin-1")) if said is not None else -1
    except ValueError:
        return None
    return found if found >= 0 else None


def _mentions(events: bytes) -> bool:
    """OpenAI says ``"usage":null`` in each event but the one that tells it."""
    if _META in events:
        return True
    said = events.count(_USAGE)
    return said > 0 and said != events.count(b'"usage":null')


def _before_usage(data: bytes) -> tuple[bytes, bytes]:
    """The whole events at its beginning that tell nothing, and the rest."""
    first = data.find(_USAGE)
    if first < 0 or b"\r" in data or _META in data:
        return b"", data
    end = data.rfind(b"\n\n", 0, first)
    return (data[: end + 2], data[end + 2 :]) if end >= 0 else (b"", data)


def _split(data: bytes) -> list[bytes]:
    """Whole events, and last what has not ended."""
    if b"\r" not in data:
        *whole, rest = data.split(b"\n\n")
        return [*(event + b"\n\n" for event in whole), rest]
    found, begin = [], 0
    for end in _END.finditer(data):
        found.append(data[begin : end.end()])
        begin = end.end()
    return [*found, data[begin:]]


def _only_tells_usage(said: object) -> bool:
    """Whether this event of a chat or text completion has no word of an answer in it."""
    if not isinstance(said, dict) or not isinstance(said.get("usage"), dict):
        return False
    choices = said.get("choices")
    return isinstance(choices, list) and not any(_speaks(choice) for choice in choices)


def _speaks(choice: object) -> bool:
    if not isinstance(choice, dict):
        return False
    delta = choice.get("delta")
    words = any(delta.values()) if isinstance(delta, dict) else bool(choice.get("text"))
    return bool(words or choice.get("finish_reason"))
