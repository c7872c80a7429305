"""Every shape of a request through both lanes: the same comes to the provider and to the client, but for what
`differences.yaml` lists."""

from __future__ import annotations

import gzip

import pytest

from tests.e2e.lanes import listed, seen
from tests.e2e.lanes.place import LANES, Lane, Place, model
from tests.e2e.lanes.seen import Difference
from tests.e2e.lanes.shapes import SHAPES, Shape
from tests.e2e.lanes.wire import Answer, client, request

LISTED = listed.table("requests")
# A word of LiteLLM's, something that it would put right, an answer that its provider keeps, a path of another API: the
# direct lane leaves these to it.
LEFT_TO_LITELLM = {
    *("extra body", "metadata", "tags", "a time-out of its own", "no fallbacks"),
    *("a file", "parts"),
    *("a response", "a response in a stream"),
    *("by its engine", "by its deployment"),
}
# By the front, before any lane.
REFUSED = {
    *("gzip", "a query", "a mark before it", "nothing", "no JSON"),
    *("half of it", "two of it", "no UTF-8", "no model"),
}
# With the wish for the usage put into options that are there; a role that providers do not know.
REWRITTEN = {
    *("stream without usage", "stream with empty options", "stream with null options"),
    *("a developer", "a key twice, one of ours"),
}


class Compared:
    """Each shape is asked once by each lane, whoever wants to know."""

    def __init__(self, place: Place) -> None:
        self._place = place
        self._found: dict[str, list[Difference]] = {}
        self.lane: dict[str, str | None] = {}
        """By the shape which lane answered for a provider that is asked directly."""
        self.sent_on: dict[str, list[bytes]] = {}
        """Likewise the bodies that came to it."""

    def of(self, shape: Shape) -> list[Difference]:
        if shape.name not in self._found:
            direct, litellm = (self._ask(shape, lane) for lane in LANES)
            self._found[shape.name] = seen.differences(shape.name, direct, litellm)
        return self._found[shape.name]

    def _ask(self, shape: Shape, lane: Lane) -> seen.Leaves:
        self._place.forget()
        answers = ask(self._place, shape, lane)
        posted = self._place.upstreams[lane].posted
        assert not [each for other in self._place.everyone for each in other.posted if each not in posted]
        if lane == "direct":
            self.lane[shape.name] = answers[0].header("x-aiops-lane")
            self.sent_on[shape.name] = [each.body for each in posted]
        return seen.arrived(lane, posted) | seen.answered(lane, answers)


def ask(place: Place, shape: Shape, lane: Lane) -> list[Answer]:
    body = sent(shape, lane)
    headers = [("host", "gateway.test"), ("authorization", f"Bearer {place.key}"), *shape.headers]
    headers = [(name, value.replace("MODEL", model(shape.kind, lane))) for name, value in headers]
    path = shape.path.replace("MODEL", model(shape.kind, lane))
    data = request(
        path, gzip.compress(body) if shape.packed else body, headers, version=shape.version, chunks=shape.chunks
    )
    with client(place.gateway.port) as connection:
        if shape.waits:
            head, _, rest = data.partition(b"\r\n\r\n")
            connection.send(head + b"\r\n\r\n")
            assert connection.read() == b"HTTP/1.1 100 Continue\r\n\r\n"
            data = rest
        connection.send(data * shape.times)
        return [connection.answer() for _ in range(shape.times)]


def sent(shape: Shape, lane: Lane) -> bytes:
    return shape.body.replace(b"MODEL", model(shape.kind, lane).encode())


@pytest.fixture(scope="module")
def compared(gateway: Place) -> Compared:
    return Compared(gateway)


@pytest.mark.parametrize("name", SHAPES)
def test_a_request_is_the_same_by_both_lanes_but_for_what_is_listed(compared: Compared, name: str) -> None:
    strange = listed.unlisted(compared.of(SHAPES[name]), LISTED)
    assert not strange, "\n".join(map(str, strange))


def test_what_is_listed_is_still_so(compared: Compared) -> None:
    found = [each for shape in SHAPES.values() for each in compared.of(shape)]
    stale = [said for line in LISTED for said in line.stale(found)]
    assert not stale, "\n".join(stale)


def test_what_is_not_listed_as_left_to_litellm_is_asked_directly(compared: Compared) -> None:
    for shape in SHAPES.values():
        compared.of(shape)
    assert {name for name, lane in compared.lane.items() if lane == "litellm"} == LEFT_TO_LITELLM
    assert {name for name, lane in compared.lane.items() if lane is None} == REFUSED


def test_what_is_asked_directly_comes_byte_for_byte(compared: Compared) -> None:
    """But for the wish to be told what a stream used, where its client has none."""
    for name in SHAPES.keys() - LEFT_TO_LITELLM - REFUSED - REWRITTEN:
        compared.of(SHAPES[name])
        before = sent(SHAPES[name], "direct")
        with_usage = before.replace(b"{", b'{"stream_options":{"include_usage":true},', 1)
        for body in compared.sent_on[name]:
            assert body in (before, with_usage), name
            assert body == before or b'"stream"' in before, name
