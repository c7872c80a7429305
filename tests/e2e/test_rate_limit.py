"""`rate_limit` of a model, which all workers and generations count together."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from tests.e2e.routed import PROVIDER, Routed, routed
from tests.kit.waiting import until

MAPPINGS = """\
exact_matches:
  swapped: {provider: east, backend_model: alpha, rate_limit: {rpm: 10}, description: once}
  burst: {provider: east, backend_model: alpha, rate_limit: {rpm: 10}}
  spare: {provider: east, backend_model: alpha, fallback: beta, rate_limit: {rpm: 5}}
  measured: {provider: east, backend_model: alpha, rate_limit: {tpm: 1000}}
  failing: {provider: east, backend_model: alpha, fallback: beta, rate_limit: {tpm: 1000}}
  left: {provider: east, backend_model: alpha, rate_limit: {tpm: 1000}}
  slow: {provider: east, backend_model: alpha, rate_limit: {tpm: 300}}
  twice: {provider: east, backend_model: alpha, fallback: burst-too, rate_limit: {rpm: 1}}
  burst-too: {provider: west, backend_model: beta, rate_limit: {rpm: 1}}
"""


@pytest.fixture(scope="module")
def gateway() -> Iterator[Routed]:
    with routed(MAPPINGS, workers=3) as made:
        yield made


@pytest.fixture(autouse=True)
def calm(gateway: Routed) -> None:
    gateway.calm()


def ask(gateway: Routed, model: str, seconds: float = 30.0, **more: int) -> httpx.Response:
    body = {"model": model, "messages": [{"role": "user", "content": "hello"}], "max_tokens": 4, **more}
    url = f"{gateway.instance.url}/v1/chat/completions"
    return httpx.post(url, json=body, headers=gateway.instance.auth, timeout=seconds, trust_env=False)


def burst(gateway: Routed, model: str, many: int, **more: int) -> list[httpx.Response]:
    """So many at once, each over a connection of its own: they come to all workers."""

    with ThreadPoolExecutor(many) as pool:
        return list(pool.map(lambda _: ask(gateway, model, **more), range(many)))


def statuses(answers: list[httpx.Response]) -> Counter[int]:
    return Counter(answer.status_code for answer in answers)


@pytest.mark.shows("model-mappings.yaml: exact_matches.*.rate_limit.rpm")
def test_three_workers_together_let_10_pass_and_the_rest_is_told_when_to_come_again(gateway: Routed) -> None:
    answers = burst(gateway, "burst", 30)
    assert statuses(answers) == {200: 10, 429: 20}
    assert len(gateway.asked(gateway.east)) == 10
    for refused in (answer for answer in answers if answer.status_code == 429):
        (wait,) = refused.headers.get_list("retry-after")
        assert 50 <= int(wait) <= 60
        assert refused.json()["error"] == {
            "message": f"this model is limited to 10 requests in 60 seconds; ask again in {wait} s",
            "type": "rate_limit_error",
            "param": None,
            "code": "429",
        }


def test_a_change_lets_nobody_begin_anew(gateway: Routed) -> None:
    assert statuses(burst(gateway, "swapped", 6)) == {200: 6}
    before = gateway.instance.generation
    gateway.instance.edit("model-mappings.yaml", "description: once", "description: again")
    gateway.instance.must("apply")
    assert gateway.instance.generation > before
    assert statuses(burst(gateway, "swapped", 10)) == {200: 4, 429: 6}


def test_who_finds_it_full_is_answered_by_the_fallback(gateway: Routed) -> None:
    answers = burst(gateway, "spare", 12)
    assert Counter(answer.headers[PROVIDER] for answer in answers) == {"east": 5, "west": 7}
    known = [entry for worker in gateway.routes() for entry in worker["providers"]]
    assert not [entry for entry in known if entry["errors_in_a_row"]], "a limit of ours is no failure of a provider"


def test_when_the_fallback_is_full_too_the_wait_is_that_of_whoever_has_room_first(gateway: Routed) -> None:
    assert gateway.who("twice") == "east"
    time.sleep(2.0)
    assert gateway.who("twice") == "west"
    refused = gateway.ask("twice")
    assert refused.status_code == 429
    wait = refused.headers["retry-after"]
    assert 50 <= int(wait) <= 58
    assert refused.json()["error"]["message"].endswith(f"is limited to 1 request in 60 seconds; ask again in {wait} s")


def test_an_error_names_no_fallback_and_no_setting_of_the_operator(gateway: Routed) -> None:
    """A key may not see them all."""
    for provider in (gateway.east, gateway.west):
        provider.control(mode="500")
    for model in ("failing", "left"):
        refused = gateway.ask(model)
        assert refused.status_code == 500
        assert "The server had an error" in refused.json()["error"]["message"]
        assert not [each for each in ("LiteLLM:", "allback", "beta", "router_settings") if each in refused.text]


@pytest.mark.shows("model-mappings.yaml: exact_matches.*.rate_limit.tpm")
def test_tokens_are_those_that_were_used_and_not_those_that_were_guessed(gateway: Routed) -> None:
    """Each reserves most of the limit, and gives back what it did not use before the client has read its end."""
    for stream in (False, True):
        for _ in range(2):
            assert ask(gateway, "measured", max_tokens=900, stream=stream).status_code == 200
    gateway.east.control(tokens=900)
    assert ask(gateway, "measured", max_tokens=900).status_code == 200
    refused = ask(gateway, "measured", max_tokens=100)
    assert refused.status_code == 429
    assert "1000 tokens in 60 seconds" in refused.json()["error"]["message"]
    assert int(refused.headers["retry-after"]) > 50


def test_whoever_is_not_answered_gives_its_tokens_back_and_pays_for_no_fallback(gateway: Routed) -> None:
    gateway.west.control(tokens=400)
    for mode in ("500", "drop_before", "429"):
        gateway.east.control(mode=mode)
        answer = ask(gateway, "failing", max_tokens=900)
        assert (answer.status_code, answer.headers[PROVIDER]) == (200, "west")
    gateway.east.control(mode="ok")
    assert ask(gateway, "failing", max_tokens=900).headers[PROVIDER] == "east"


def test_a_client_that_leaves_gives_its_tokens_back(gateway: Routed) -> None:
    gateway.east.control(delay=1.0)
    with pytest.raises(httpx.ReadTimeout):
        ask(gateway, "left", 0.4, max_tokens=900)
    gateway.east.control(delay=0)
    until(lambda: ask(gateway, "left", max_tokens=900).status_code == 200, 10, "room again")


def test_a_limit_of_a_minute_is_none_of_requests_at_once(gateway: Routed) -> None:
    """LiteLLM makes one at once of 300 tokens a minute."""
    gateway.east.control(delay=0.4)
    assert statuses(burst(gateway, "slow", 9)) == {200: 9}
