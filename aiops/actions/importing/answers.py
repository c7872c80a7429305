"""A gateway that is asked, and what comes of it as something to compare: the same answer of two sides is equal."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import httpx

from aiops.actions.importing.double import Arrived, Doubles
from aiops.actions.importing.questions import Question

KEY = "sk-proof-of-an-import-0815-4711-loopback"
"""Of both gateways."""
_TIMEOUT = 60.0

NO_ANSWER = 0
"""The status of what was not answered at all."""
# Made up anew for each answer, or the hour.
_CHANCE = frozenset(("id", "created", "created_at", "completed_at", "item_id", "response_id", "call_id", "request_id"))
# What is said of a failure names deployments and counts tries; what kind it is has a word of its own.
_SAID = frozenset(("message", "provider_specific_fields"))
_NOTHING: tuple[object, ...] = (None, {}, [], "")


@dataclass(frozen=True)
class Reply:
    """``status``: ``NO_ANSWER`` when there was none in time. ``body``: its values by place (``choices[0].text``), those
    left out that are made up anew for each answer. ``cost``: what the gateway reckons, in its words."""

    status: int
    body: Mapping[str, object] = field(default_factory=dict)
    kind: str = ""
    cost: str | None = None


@dataclass(frozen=True)
class Answered:
    """What one side did with a question: what arrived at providers, in order, and what came back."""

    arrived: tuple[Arrived, ...]
    replies: tuple[Reply, ...]

    @property
    def statuses(self) -> tuple[int, ...]:
        return tuple(each.status for each in self.replies)

    def __add__(self, more: Answered) -> Answered:
        """Both times together."""
        return Answered(self.arrived + more.arrived, self.replies + more.replies)


class Side:
    """One of the two gateways, and who stands for the providers of both."""

    def __init__(self, url: str, servers: Doubles) -> None:
        self._http = httpx.Client(
            base_url=url, timeout=_TIMEOUT, trust_env=False, headers={"authorization": f"Bearer {KEY}"}
        )
        self._servers = servers

    def ask(self, question: Question) -> Answered:
        """Ask as often as the question wants; what became of it."""
        with ThreadPoolExecutor(question.times) as pool:
            replies = tuple(pool.map(lambda _: self._post(question), range(question.times)))
        return Answered(tuple(self._servers.journal.take(str(question.number))), replies)

    def _post(self, question: Question) -> Reply:
        form = {key: str(value) for key, value in question.body.items()}
        try:
            if question.files:
                return reply(self._http.post(question.path, data=form, files=question.files))
            return reply(self._http.post(question.path, json=question.body))
        except httpx.HTTPError:
            return Reply(NO_ANSWER)

    def names(self) -> set[str]:
        """What callers are told of."""
        return {item["id"] for item in self._http.get("/v1/models").json()["data"]}

    def info(self) -> dict[str, dict[str, Any]]:
        """By name; of several deployments the first."""
        found: dict[str, dict[str, Any]] = {}
        answer = self._http.get("/model/info")
        for item in answer.json().get("data", ()) if answer.status_code == 200 else ():
            found.setdefault(item["model_name"], item.get("model_info") or {})
        return found


def reply(answer: httpx.Response) -> Reply:
    """What is compared of an answer."""
    kind = answer.headers.get("content-type", "").partition(";")[0]
    return Reply(answer.status_code, dict(_body(answer, kind)), kind, answer.headers.get("x-litellm-response-cost"))


def _body(answer: httpx.Response, kind: str) -> Iterator[tuple[str, object]]:
    if kind == "text/event-stream":
        # How often something is said in a stream is chance, and what is said in it is not.
        for line in answer.text.splitlines():
            if line.startswith("data:"):
                yield from _flat(_json(line[5:].strip()), "event")
    elif kind == "application/json":
        yield from _flat(_json(answer.text), "")
    else:
        yield "", len(answer.content)


def _json(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text


def _flat(value: Any, place: str) -> Iterator[tuple[str, object]]:
    if isinstance(value, dict):
        failed = place in ("error", "event.error")
        for key, item in value.items():
            if key not in _CHANCE and not (failed and key in _SAID):
                yield from _flat(item, f"{place}.{key}" if place else key)
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _flat(item, f"{place}[{index}]")
    elif value not in _NOTHING:  # whether nothing is written or left out is the same to who reads it
        yield place, value
