"""What was seen of one request: what came to the provider, and what its client was answered, as leaves that can be
compared one by one. What differs each time, and the names of the two lanes, are the same for both here."""

from __future__ import annotations

import json
import re
import zlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from tests.e2e.lanes.place import LETTER, Lane
from tests.e2e.lanes.upstream import Arrived
from tests.e2e.lanes.wire import Answer, data_of

Leaves = dict[str, str]
"""By the place of each value the value, as JSON says it. Places in lists have no number: `messages[].content`."""
ABSENT = "-"
LONGEST = 60

_VARYING = (
    (re.compile(r"\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b"), "ID"),
    (re.compile(r"\b(?!1700000000\b)1[789]\d{8}\b"), "NOW"),
    (re.compile(r"127\.0\.0\.1:\d+"), "HOST"),
    (re.compile(r"boundary=[0-9a-f]{32}"), "boundary=ID"),
    (re.compile(r"\b(chatcmpl|cmpl|resp|msg|call|rerank)[-_](?:[0-9a-f]{32}|[A-Za-z0-9_=-]{40,})"), r"\1-ID"),
)
_VARYING_HEADERS = re.compile(r"x-litellm-(?:\w+-)*(?:duration-ms|key-spend|call-id)|date|content-length")


def arrived(lane: Lane, requests: Sequence[Arrived]) -> Leaves:
    """At the provider."""
    return {"upstream.requests": str(len(requests))} | _together(
        [_leaves(lane, [*_request(each)]) for each in requests]
    )


def answered(lane: Lane, answers: Sequence[Answer]) -> Leaves:
    """To the client."""
    return _together([_leaves(lane, [*_answer(each)]) for each in answers])


def _request(one: Arrived) -> Iterator[tuple[str, str]]:
    yield "upstream.request", f"{one.method} {one.target}"
    yield from ((f"upstream.header.{name}", value) for name, value in _headers(one.headers))
    yield from ((f"upstream.body{place}", value) for place, value in _body(one.body, one.header("content-type")))


def _answer(one: Answer) -> Iterator[tuple[str, str]]:
    yield "client.status", str(one.status)
    yield "client.whole", json.dumps(one.whole)
    yield from ((f"client.header.{name}", value) for name, value in _headers(one.headers))
    yield from ((f"client.{place}", value) for place, value in _said(one))


def _headers(pairs: Iterable[tuple[str, str]]) -> Iterator[tuple[str, str]]:
    for name, value in pairs:
        yield name.lower(), "VARIES" if _VARYING_HEADERS.fullmatch(name.lower()) else value


def _leaves(lane: Lane, found: Iterable[tuple[str, str]]) -> Leaves:
    together: dict[str, list[str]] = {}
    for place, value in found:
        together.setdefault(_same(lane, place), []).append(_same(lane, value))
    return {place: ", ".join(values) for place, values in together.items()}


def _together(several: Sequence[Leaves]) -> Leaves:
    """Of more than one, what they do not have in common is said of each."""
    places = dict.fromkeys(place for leaves in several for place in leaves)
    values = {place: [leaves.get(place, ABSENT) for leaves in several] for place in places}
    return {place: _short(" / ".join(each if len(set(each)) > 1 else each[:1])) for place, each in values.items()}


def _same(lane: Lane, text: str) -> str:
    text = re.sub(rf"\b(\w+|lane|sk-of)-{LETTER[lane]}\b", r"\1-x", text)
    for pattern, said in _VARYING:
        text = pattern.sub(said, text)
    return text


def _short(text: str) -> str:
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}… ({len(text)}, {zlib.crc32(text.encode()):08x})"


# --- bodies -----------------------------------------------------------------------------------------------------------


def _said(answer: Answer) -> Iterator[tuple[str, str]]:
    kind = answer.header("content-type") or ""
    if not kind.startswith("text/event-stream"):
        yield from ((f"body{place}", value) for place, value in _body(answer.unpacked, kind))
        return
    events = list(data_of(answer.body))
    yield "events", str(len(events))
    yield "stream", " ".join(sorted({_framing(line) for line in answer.body.splitlines() if line}))
    for event in events:
        yield from ((f"event{place}", value) for place, value in _body(event.encode(errors="surrogateescape"), "json"))


def _framing(line: bytes) -> str:
    return line.partition(b":")[0].decode("latin-1")


def _body(body: bytes, kind: str | None) -> Iterator[tuple[str, str]]:
    if "multipart" in (kind or ""):
        yield from _form(body)
        return
    try:
        said = json.loads(
            body, parse_float=Written, parse_int=Written, parse_constant=Written, object_pairs_hook=_pairs
        )
    except ValueError:
        yield "", repr(body)
        return
    yield from _flat("", said)


class Written(str):
    """A number as it stands there."""


def _pairs(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """With each key that stands there, also when it does twice."""
    found: dict[str, Any] = {}
    for key, value in pairs:
        while key in found:
            key += " again"
        found[key] = value
    return found


def _flat(place: str, said: object) -> Iterator[tuple[str, str]]:
    if isinstance(said, dict) and said:
        for key, value in said.items():
            yield from _flat(f"{place}.{key}", value)
    elif isinstance(said, list) and said:
        for value in said:
            yield from _flat(f"{place}[]", value)
    else:
        yield place, str(said) if isinstance(said, Written) else json.dumps(said)


def _form(body: bytes) -> Iterator[tuple[str, str]]:
    boundary = body.partition(b"\r\n")[0]
    for part in body.split(boundary)[1:-1]:
        head, _, content = part.partition(b"\r\n\r\n")
        lines = sorted(line.strip().lower() for line in head.decode("utf-8").split("\r\n") if line.strip())
        yield f".{'; '.join(lines)}", repr(content[:-2])


# --- compared ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, order=True)
class Difference:
    """``what``: the place. `-`: there is nothing."""

    shape: str
    what: str
    direct: str
    litellm: str

    def __str__(self) -> str:
        return f"{self.shape}: {self.what}: direct {self.direct} | litellm {self.litellm}"


def differences(shape: str, direct: Leaves, litellm: Leaves) -> list[Difference]:
    return [
        Difference(shape, place, direct.get(place, ABSENT), litellm.get(place, ABSENT))
        for place in {**direct, **litellm}
        if direct.get(place) != litellm.get(place)
    ]
