"""``aiops ask``: one question to a model, as every client asks it: on the public port, with a key."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from http.client import HTTPResponse
from typing import Any

from aiops.actions.instance.place import place
from aiops.actions.instance.snapshot import Snapshot
from aiops.errors import AiopsError, Precondition, UsageError, VerificationFailed
from aiops.gateway.shared.protocol import GENERATION_HEADER
from aiops.host import credentials, http
from aiops.host.instance import Instance
from aiops.spec.routes.routes import RouteTable
from aiops.spec.suggest import did_you_mean, listed
from aiops.verify.client import reason
from aiops.verify.measure import PROVIDER_HEADER

# For each piece of the answer. The gateway gives up before that, by `gateway.request_timeout`, and says why.
PATIENCE_SECONDS = 660.0
TALKS = ("chat", "completion", "responses")


@dataclass(frozen=True)
class Question:
    """``most``: tokens of the answer; None leaves it to the model."""

    model: str
    text: str
    most: int | None = None


@dataclass(frozen=True)
class Answered:
    """``first``: seconds to the first token, ``seconds`` to the last. ``rate``: tokens a second between these two;
    None for an answer of one token. ``counted``: by the provider; else ``tokens`` are pieces of the stream.
    """

    model: str
    answer: str
    provider: str
    generation: int | None
    first: float
    seconds: float
    tokens: int
    counted: bool
    rate: float | None

    def line(self) -> str:
        facts = [f"{self.first:.2f} s to the first token"]
        if self.rate is not None:
            facts.append(f"{self.rate:.1f} tokens/s")
        facts.append(f"{self.tokens} {'token' if self.counted else 'piece'}{'s' * (self.tokens != 1)}")
        serving = f" (generation {self.generation})" if self.generation is not None else ""
        return f"{self.provider} answered{serving}: {', '.join(facts)}"

    def to_json(self) -> dict[str, Any]:
        return {**asdict(self), "first": round(self.first, 3), "seconds": round(self.seconds, 3)}


class _Stream:
    """The pieces of an answer as they come, and what they say of it."""

    def __init__(self, headers: Mapping[str, str], began: float) -> None:
        self.provider = headers.get(PROVIDER_HEADER, "")
        self.generation = headers.get(GENERATION_HEADER, "")
        self.first = self.last = 0.0
        self.pieces = 0
        self.usage: int | None = None
        self.done = False
        self._began = began

    def texts(self, events: Iterator[str]) -> Iterator[str]:
        """What is said, without what a model thinks first. Raises VerificationFailed when the gateway breaks off."""
        for line in events:
            content = line.removeprefix("data:").strip() if line.startswith("data:") else ""
            self.done = self.done or content == "[DONE]"
            if not content.startswith("{"):
                continue
            event = json.loads(content)
            if "error" in event:
                raise VerificationFailed(f"the answer broke off: {reason(content)}", "`aiops logs` shows more")
            self.usage = (event.get("usage") or {}).get("completion_tokens", self.usage)
            for choice in event.get("choices") or ():
                delta = choice.get("delta") or {}
                said = delta.get("content") or ""
                if said or delta.get("reasoning_content"):
                    self.last = time.monotonic() - self._began
                    self.first = self.first or self.last
                    self.pieces += 1
                if said:
                    yield said


def ask(instance: Instance, question: Question, hear: Callable[[str], None]) -> Answered:
    """``hear`` is given the answer piece by piece.

    Raises UsageError for a model that nobody serves or that does not talk, Precondition when no gateway runs,
    VerificationFailed when the model does not answer.
    """
    where = place(instance)
    key = credentials.read_master_key(where.master_key)
    _require_it_talks(instance, question.model)
    body: dict[str, Any] = {
        "model": question.model,
        "messages": [{"role": "user", "content": question.text}],
        "stream": True,
        "stream_options": {"include_usage": True},
    }
    if question.most is not None:
        body["max_tokens"] = question.most
    began = time.monotonic()
    said: list[str] = []
    try:
        with http.opened(
            "POST",
            f"{where.url}/chat/completions",
            timeout=PATIENCE_SECONDS,
            headers={"authorization": f"Bearer {key}"},
            body=body,
        ) as answer:
            if answer.status != 200:
                raise _refused(instance, question.model, answer)
            stream = _Stream({name.lower(): value for name, value in answer.getheaders()}, began)
            for text in stream.texts(http.lines(answer, PATIENCE_SECONDS)):
                said.append(text)
                hear(text)
    except http.NoAnswer as error:
        raise _broken(instance, question.model, error, begun=bool(said)) from error
    if not stream.done:
        raise VerificationFailed("the answer ended before it was whole", f"`{instance.command} logs` shows more")
    if not stream.pieces:
        raise VerificationFailed(
            f"`{question.model}` answered nothing",
            f"`{instance.command} route explain {question.model}` shows who is asked",
        )
    return _answered(question.model, "".join(said), stream, time.monotonic() - began)


def _require_it_talks(instance: Instance, model: str) -> None:
    """What is known without asking. A name that only a rule may cover is left to the gateway."""
    now = Snapshot(instance)
    if now.master is None:
        raise Precondition("the gateway is not running", f"`{instance.command} up` starts it")
    route = now.routes[0].route(model) if now.routes is not None else None
    if route is not None and route.mode not in TALKS:
        raise UsageError(
            f"`{model}` is no model to talk to: its mode is {route.mode}", f"`{instance.command} list models` shows all"
        )


def _refused(instance: Instance, model: str, answer: HTTPResponse) -> AiopsError:
    with_words = reason(answer.read().decode(errors="replace"))
    table, _ = Snapshot(instance).routes or (RouteTable(), None)
    for gone in table.unrouted:
        if gone.model == model:
            back = f"`{instance.command} enable {gone.provider}` brings it back"
            return Precondition(f"nobody answers `{model}`: {gone.reason}", back)
    if table.routes and answer.status in (400, 404) and model not in table.models:
        there = f"there are: {listed(table.models)}" if table.models else "`aiops add-provider` adds one"
        return UsageError(f"no model answers to `{model}`", did_you_mean(model, table.models, there))
    return VerificationFailed(
        f"`{model}` did not answer: HTTP {answer.status}: {with_words}",
        f"`{instance.command} route explain {model}` shows who is asked, `{instance.command} logs` what they said",
    )


def _broken(instance: Instance, model: str, error: http.NoAnswer, *, begun: bool) -> AiopsError:
    if begun:
        return VerificationFailed(f"the answer of `{model}` broke off: {error}", f"`{instance.command} logs`")
    return Precondition(f"the gateway does not answer: {error}", f"`{instance.command} status` says what it does")


def _answered(model: str, text: str, stream: _Stream, seconds: float) -> Answered:
    tokens = stream.usage if stream.usage is not None else stream.pieces
    after_the_first = stream.last - stream.first
    rate = (tokens - 1) / after_the_first if tokens > 1 and after_the_first > 0 else None
    return Answered(
        model=model,
        answer=text,
        provider=stream.provider,
        generation=int(stream.generation) if stream.generation.isdigit() else None,
        first=stream.first,
        seconds=seconds,
        tokens=tokens,
        counted=stream.usage is not None,
        rate=round(rate, 1) if rate is not None else None,
    )
