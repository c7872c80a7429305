"""A provider with a queue on a real gateway: never given more than its slots, which keys share by their weight."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from aiops.demo.child import DemoProvider
from tests.e2e.keys import Keys, keys_of
from tests.kit.gateway import Gateway, serving
from tests.kit.waiting import until

WAITED, ESTIMATE = "x-aiops-queue-seconds", "x-aiops-queue-estimate"


@pytest.fixture(scope="module")
def served(one: DemoProvider) -> Iterator[Gateway]:
    with serving(one.url, "alpha", more="    max_parallel: 2\n    queue: {most: 16, seconds: 20}\n") as gateway:
        yield gateway


@pytest.fixture
def keys(served: Gateway, one: DemoProvider) -> Iterator[Keys]:
    one.forget_requests()
    with keys_of(served) as found:
        yield found
    one.control(mode="ok", delay=0)


def asked(one: DemoProvider) -> list[str]:
    """What the requests that came said, in order."""
    return [each["body"]["messages"][-1]["content"] for each in one.requests() if each["method"] == "POST"]


def says(text: str) -> list[dict[str, str]]:
    return [{"role": "user", "content": text}]


def test_two_keys_with_the_weights_1_and_3_are_answered_1_to_3_while_both_wait(keys: Keys, one: DemoProvider) -> None:
    light, heavy, first = keys.make(weight=1.0), keys.make(weight=3.0), keys.make()
    one.control(delay=3)
    with ThreadPoolExecutor(20) as several:
        blocking = [several.submit(keys.ask, first, messages=says("first")) for _ in range(2)]
        until(lambda: len(asked(one)) == 2, 10, "both slots to be taken")
        one.control(delay=0.3)
        waiting = [
            several.submit(keys.ask, key, messages=says(text)) for key, text in ((light, "light"), (heavy, "heavy")) * 8
        ]
        answers = [each.result() for each in (*blocking, *waiting)]
    assert {each.status_code for each in answers} == {200}
    assert all(float(each.headers[WAITED]) == 0 for each in answers[:2])
    assert all(float(each.headers[WAITED]) > 0 for each in answers[2:])
    # In the order of their turns; two at once may arrive the other way round.
    early = Counter(asked(one)[2:10])
    assert 5 <= early["heavy"] <= 7
    assert Counter(asked(one)[2:]) == {"light": 8, "heavy": 8}


def test_the_provider_is_never_given_more_than_its_slots(keys: Keys, one: DemoProvider) -> None:
    key = keys.make()
    one.control(delay=0.5)
    began = time.monotonic()
    with ThreadPoolExecutor(8) as several:
        assert [each.status_code for each in several.map(lambda _: keys.ask(key), range(8))] == [200] * 8
    assert time.monotonic() - began >= 2.0  # eight by two, half a second each: it cannot be faster


def test_one_too_many_is_told_when_to_come_again(keys: Keys, one: DemoProvider) -> None:
    key = keys.make()
    one.control(delay=2)
    with ThreadPoolExecutor(19) as several:
        answers = list(several.map(lambda _: keys.ask(key), range(19)))
    refused = [each for each in answers if each.status_code == 429]
    assert Counter(each.status_code for each in answers) == {200: 18, 429: 1}
    assert int(refused[0].headers["retry-after"]) == int(refused[0].headers[ESTIMATE]) >= 1
    error = refused[0].json()["error"]
    assert "16 requests wait" in error["message"]
    assert error["message"].endswith(f"; ask again in {refused[0].headers['retry-after']} s")
    assert not error["message"].startswith("litellm")
    assert error["type"] == "rate_limit_error"
    assert len(asked(one)) == 18


def test_who_leaves_while_waiting_is_never_asked_for(keys: Keys, one: DemoProvider) -> None:
    key = keys.make()
    one.control(delay=3)
    with ThreadPoolExecutor(2) as several:
        busy = [several.submit(keys.ask, key, messages=says("busy")) for _ in range(2)]
        until(lambda: len(asked(one)) == 2, 10, "both slots to be taken")
        with pytest.raises(httpx.TimeoutException):
            keys.ask(key, messages=says("left"), seconds=0.5)
        one.control(delay=0)
        assert [each.result().status_code for each in busy] == [200, 200]
    assert keys.ask(key, messages=says("next")).status_code == 200
    assert "left" not in asked(one)
    assert Counter(each.outcome for each in keys.used(key, 4)) == {"answered": 3, "left": 1}


@pytest.fixture
def without_a_queue(served: Gateway) -> Iterator[None]:
    before = served.source("providers.yaml").read_text()
    served.edit("providers.yaml", "    queue: {most: 16, seconds: 20}\n", "")
    served.must("apply")
    yield
    served.source("providers.yaml").write_text(before)
    served.must("apply")


def test_without_a_queue_nothing_waits_and_nothing_is_said(
    without_a_queue: None, keys: Keys, one: DemoProvider
) -> None:
    key = keys.make()
    one.forget_requests()
    one.control(delay=2)
    asking = [threading.Thread(target=keys.ask, args=(key,)) for _ in range(6)]
    for each in asking:
        each.start()
    until(lambda: len(asked(one)) == 6, 10, "six at once")
    for each in asking:
        each.join()
    one.control(delay=0)
    assert WAITED not in keys.ask(key).headers
