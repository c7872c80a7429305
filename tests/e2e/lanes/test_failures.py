"""Every failure of a provider through both lanes: the same status and error to the client, the same fallback or none,
the same said of the provider, but for what `differences.yaml` lists."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from tests.e2e.lanes import listed, seen
from tests.e2e.lanes.failures import FAILURES, Asked, Failure
from tests.e2e.lanes.place import LANES, LETTER, SOON, Lane, Place, model
from tests.e2e.lanes.seen import Difference
from tests.e2e.lanes.upstream import Upstream
from tests.e2e.lanes.wire import Answer, client, request
from tests.kit.waiting import until

LISTED = listed.table("failures")
WITH, WITHOUT = "with a fallback", "without"
CASES = {
    f"{failure.name}, {asked}, {fallback}": (failure, asked, fallback == WITH)
    for failure in FAILURES.values()
    for fallback, how in ((WITH, failure.asked), (WITHOUT, failure.alone))
    for asked in how
}


class Compared:
    """Each failure is met once by each lane, whoever wants to know."""

    def __init__(self, place: Place) -> None:
        self._place = place
        self._found: dict[str, list[Difference]] = {}

    def of(self, name: str) -> list[Difference]:
        if name not in self._found:
            self._place.forget()
            direct, litellm = (self._meet(lane, *CASES[name]) for lane in LANES)
            self._found[name] = seen.differences(name, direct, litellm)
            self._put_right()
        return self._found[name]

    def _meet(self, lane: Lane, failure: Failure, asked: Asked, falls_back: bool) -> seen.Leaves:
        upstream = self._place.upstreams[lane]
        self._place.spare.forget()
        with failing(upstream, failure):
            name = model(failure.kind if falls_back else "chat", lane)
            answer = ask(self._place, name, asked, hears=upstream.is_heard)
        found = seen.answered(lane, [answer])
        found["upstream.requests"] = str(len(upstream.posted))
        found["spare.requests"] = str(len(self._place.spare.posted))
        return found | self._of_the_provider(lane)

    def _of_the_provider(self, lane: Lane) -> seen.Leaves:
        found = self._place.at_rest()[f"lane-{LETTER[lane]}"]
        avoided = found["avoided"]
        return {
            "provider.errors": str(found["errors_in_a_row"]),
            "provider.avoided": avoided["reason"] if avoided else seen.ABSENT,
        }

    def _put_right(self) -> None:
        """Whoever answers again has no errors in a row, and is not avoided for long."""
        self._place.forget()
        for lane in LANES:
            if self._place.providers()[f"lane-{LETTER[lane]}"]["errors_in_a_row"]:
                assert ask(self._place, model("chat", lane), "whole").status == 200
        until(lambda: not any(each["avoided"] for each in self._place.providers().values()), SOON, "nobody avoided")


@contextmanager
def failing(upstream: Upstream, failure: Failure) -> Iterator[None]:
    if failure.script is not None:
        upstream.script = failure.script
        yield
        upstream.script = None
        return
    upstream.stop_listening()
    yield
    upstream.listen_again()


def ask(place: Place, name: str, asked: Asked, hears: Callable[[], None] = lambda: None) -> Answer:
    said = {"model": name, "messages": [{"role": "user", "content": "hello"}], "stream": asked == "stream"}
    headers = [("host", "gateway.test"), ("authorization", f"Bearer {place.key}"), ("content-type", "application/json")]
    with client(place.gateway.port) as connection:
        connection.send(request("/v1/chat/completions", json.dumps(said).encode(), headers))
        return connection.answer(hears=hears)


@pytest.fixture(scope="module")
def compared(gateway: Place) -> Compared:
    return Compared(gateway)


@pytest.mark.parametrize("name", CASES)
def test_a_failure_ends_the_same_by_both_lanes_but_for_what_is_listed(compared: Compared, name: str) -> None:
    strange = listed.unlisted(compared.of(name), LISTED)
    assert not strange, "\n".join(map(str, strange))


def test_what_is_listed_is_still_so(compared: Compared) -> None:
    found = [each for name in CASES for each in compared.of(name)]
    stale = [said for line in LISTED for said in line.stale(found)]
    assert not stale, "\n".join(stale)
