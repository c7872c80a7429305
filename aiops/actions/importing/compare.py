"""What arrived and what came back on either side -> the differences, each intended or a bug."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from aiops.actions.importing.double import Arrived
from aiops.actions.importing.questions import Question
from aiops.spec.shapes.provider_types import PLACEHOLDER_KEY

# Each request has these in another way, or they say who asks and not what is asked.
_HEADERS = (
    "accept",
    "connection",
    "content-",
    "host",
    "transfer-",
    "user-agent",
    "x-stainless",
    "traceparent",
    "http-",
)
_KEYS = ("authorization", "x-api-key", "api-key")
_PATHS = (
    ("/api/generate", "/api/chat", "Ollama's /api/chat uses the model's own template"),
    ("/responses", "/chat/completions", "/v1/messages is asked of servers as a chat: few have /v1/responses"),
)
_NO_KEY = "where there is no key a word is sent, so that no key of the environment is"
_USAGE = "the tokens of a stream are asked for of names that are listed; a caller sees them when it asks for them"
_FACTS = ("input_cost_per_token", "output_cost_per_token", "cache_read_input_token_cost", "max_output_tokens")
_ABILITIES = ("supports_reasoning", "supports_vision", "supports_function_calling", "max_input_tokens")


@dataclass(frozen=True)
class Answered:
    """What one side did with a question: what arrived at providers, and what came back, in order of neither."""

    arrived: tuple[Arrived, ...]
    statuses: tuple[int, ...]
    cost: str | None = None


@dataclass(frozen=True)
class Difference:
    """``line``: where the original says it. ``why``: when it is intended; empty when it is a bug."""

    name: str
    endpoint: str
    what: str
    stock: str
    candidate: str
    line: int
    why: str = ""

    def __str__(self) -> str:
        verdict = f"intended: {self.why}" if self.why else "not intended"
        return (
            f"line {self.line}: `{self.name}`, {self.endpoint}: {self.what}: "
            f"{self.stock} before, {self.candidate} after ({verdict})"
        )

    def to_json(self) -> dict[str, Any]:
        """Plain data."""
        return asdict(self)


def differences(
    question: Question, line: int, stock: Answered, candidate: Answered, *, several: bool = False
) -> Iterator[Difference]:
    """Compare what became of one question. ``several``: whether the name has several deployments."""

    def said(what: str, was: object, now: object, why: str = "") -> Difference:
        return Difference(question.name, question.endpoint, what, _short(was), _short(now), line, why)

    good = [side.statuses.count(200) for side in (stock, candidate)]
    if good[0] != good[1]:
        why = "it is answered now" if good[1] > good[0] else ""
        yield said("status", sorted(set(stock.statuses)), sorted(set(candidate.statuses)), why)
        return
    if stock.cost != candidate.cost and _number(stock.cost) != _number(candidate.cost):
        yield said("x-litellm-response-cost", stock.cost, candidate.cost)
    if question.times > 1:
        yield from _spread(said, stock.arrived, candidate.arrived)
        return
    if len(stock.arrived) != len(candidate.arrived):
        why = "a failure is answered by another deployment sooner" if several else ""
        yield said("requests to providers", len(stock.arrived), len(candidate.arrived), why)
    one, other = (next(reversed(side.arrived), None) for side in (stock, candidate))
    if one is None or other is None:
        return
    if several:
        return  # which of several is asked is chance; `spread` compares that
    yield from _requests(said, one, other)


def _requests(said: Any, was: Arrived, now: Arrived) -> Iterator[Difference]:
    why = next((why for old, new, why in _PATHS if was.path.endswith(old) and now.path.endswith(new)), "")
    for what, one, other in (("server", was.at, now.at), ("path", was.path, now.path), ("key", was.key, now.key)):
        if one != other:
            secret = what == "key"
            because = _NO_KEY if secret and (one, other) == ("", PLACEHOLDER_KEY) else why if what == "path" else ""
            yield said(what, "one" if secret else one, "another" if secret else other, because)
    translated = was.path.endswith("/responses") and was.body.get("include") and "input" in now.body
    if why or translated:
        return  # the two have different bodies
    for key in sorted(was.body.keys() | now.body.keys()):
        one, other = was.body.get(key, "nothing"), now.body.get(key, "nothing")
        if one != other and key == "stream_options" and other == "nothing":
            yield said(f"body `{key}`", one, other, _USAGE)
        elif one != other:
            same = key == "messages" and _plain(one) == _plain(other)
            yield said(f"body `{key}`", one, other, "the same text, as one part or as itself" if same else "")
    before, after = _headers(was), _headers(now)
    for key in sorted(before.keys() | after.keys()):
        if before.get(key) != after.get(key):
            yield said(f"header `{key}`", "one" if key in before else "none", "another" if key in after else "none")


def _plain(messages: Any) -> Any:
    """Messages with a text in place of a list of one part that is that text."""
    found = []
    for message in messages if isinstance(messages, list) else ():
        content = message.get("content")
        only = content[0] if isinstance(content, list) and len(content) == 1 else None
        found.append({**message, "content": only.get("text") if isinstance(only, dict) else content})
    return found


def _spread(said: Any, was: Sequence[Arrived], now: Sequence[Arrived]) -> Iterator[Difference]:
    """Which deployments share the requests. How many each gets is chance, but not whether one gets all."""
    before, after = Counter(map(_who, was)), Counter(map(_who, now))
    if (len(before) > 1 and len(after) == 1) or (len(after) > 1 and len(before) == 1):
        yield said("who shares", sorted(before.values()), sorted(after.values()))


def _who(arrived: Arrived) -> tuple[object, ...]:
    return (arrived.at, arrived.body.get("model"), arrived.key)


def facts(name: str, line: int, was: Mapping[str, Any], now: Mapping[str, Any]) -> Iterator[Difference]:
    """Compare what ``/model/info`` says of a name: prices, limits, abilities."""
    for key in (*_FACTS, *_ABILITIES):
        if was.get(key) not in (None, now.get(key)):
            yield Difference(name, "/model/info", key, _short(was.get(key)), _short(now.get(key)), line)


def _headers(arrived: Arrived) -> dict[str, str]:
    return {
        name: value for name, value in arrived.headers.items() if name not in _KEYS and not name.startswith(_HEADERS)
    }


def _number(text: str | None) -> float | None:
    try:
        return float(text) if text is not None else None
    except ValueError:
        return None


def _short(value: object) -> str:
    text = str(value)
    return text if len(text) < 120 else text[:117] + "…"
