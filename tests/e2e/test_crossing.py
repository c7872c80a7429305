"""Both lanes in a real gateway: who takes which, and requests that cross from one to the other."""

from __future__ import annotations

import re
from collections.abc import Iterator

import httpx
import pytest
import yaml

from aiops.demo.child import DemoProvider
from tests.kit.gateway import Gateway
from tests.kit.waiting import until

LANE, PROVIDER, FALLBACKS = "x-aiops-lane", "x-aiops-provider", "x-litellm-attempted-fallbacks"
CHAT = ["/v1/chat", "/api/chat"]
POOL = {
    "strategy": "direct",
    "providers": [
        {"provider": "box", "preferred_model": "alpha"},
        {"provider": "llama", "preferred_model": "other"},
        {"provider": "box", "preferred_model": "gamma"},
    ],
}


@pytest.fixture(scope="module")
def box() -> Iterator[DemoProvider]:
    with DemoProvider.double(models=("alpha", "gamma")) as provider:
        yield provider


@pytest.fixture(scope="module")
def llama() -> Iterator[DemoProvider]:
    with DemoProvider.double(models=("other",), face="ollama") as provider:
        yield provider


@pytest.fixture(scope="module")
def gateway(box: DemoProvider, llama: DemoProvider) -> Iterator[Gateway]:
    made = Gateway()
    try:
        made.init()
        one = {"type": "openai_compatible", "base_url": box.url, "models": ["alpha", "gamma"]}
        two = {"type": "ollama", "base_url": llama.url, "models": ["other"]}
        made.source("providers.yaml").write_text(yaml.safe_dump({"providers": {"box": one, "llama": two}}))
        mappings = {
            "load_balancing": {"pool": POOL},
            "fallback_chains": {"alpha": ["other", "gamma"], "other": ["gamma"]},
        }
        made.source("model-mappings.yaml").write_text(yaml.safe_dump(mappings))
        made.up()
        yield made
    finally:
        made.destroy()


@pytest.fixture(autouse=True)
def well_again(box: DemoProvider, llama: DemoProvider) -> Iterator[None]:
    for each in (box, llama):
        each.forget_requests()
    yield
    for each in (box, llama):
        each.control(mode="ok", times=0, paths=[])


def asked(provider: DemoProvider) -> list[str]:
    return [item["body"]["model"] for item in provider.requests() if item["method"] == "POST"]


def served_by(answer: httpx.Response) -> tuple[int, str, str, str]:
    heads = answer.headers
    return answer.status_code, heads[LANE], heads[PROVIDER], heads[FALLBACKS]


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    ("model", "lane", "provider"),
    [("alpha", "direct", "box"), ("pool", "direct", "box"), ("other", "litellm", "llama")],
)
def test_the_lane_is_that_of_the_provider(gateway: Gateway, model: str, lane: str, provider: str, stream: bool) -> None:
    answer = gateway.ask(model, stream=stream)
    assert served_by(answer) == (200, lane, provider, "0")
    assert set(re.findall(r'"model": ?"([^"]*)"', answer.text)) == {model}


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("model", ["alpha", "pool"])
@pytest.mark.parametrize("mode", ["500", "drop_before_token", "hang_up"])
def test_a_request_crosses_to_the_one_that_is_next(
    gateway: Gateway, box: DemoProvider, llama: DemoProvider, model: str, mode: str, stream: bool
) -> None:
    box.control(mode="drop_before" if mode == "hang_up" or not stream else mode, paths=CHAT)
    answer = gateway.ask(model, stream=stream)
    assert served_by(answer) == (200, "litellm", "llama", "1")
    assert set(asked(box)) == {"alpha"} and asked(llama) == ["other"]
    assert answer.text.count("w3 ") == 1
    until(lambda: not any(in_flight(gateway).values()), 20)


@pytest.mark.parametrize("model", ["alpha", "pool"])
def test_who_has_crossed_falls_back_from_there_to_who_is_left(
    gateway: Gateway, box: DemoProvider, llama: DemoProvider, model: str
) -> None:
    box.control(mode="500", times=1, paths=CHAT)
    llama.control(mode="500", paths=CHAT)
    answer = gateway.ask(model)
    assert served_by(answer) == (200, "litellm", "box", "2")
    assert asked(box) == ["alpha", "gamma"]


def test_when_nobody_answers_in_either_lane_the_first_reason_is_said(
    gateway: Gateway, box: DemoProvider, llama: DemoProvider
) -> None:
    box.control(mode="503", paths=CHAT)
    llama.control(mode="500", paths=CHAT)
    answer = gateway.ask("pool")
    assert answer.status_code == 503
    assert "litellm" not in answer.text.lower()
    until(lambda: not any(in_flight(gateway).values()), 20)


def test_what_litellm_reads_is_answered_by_it_all_the_same(gateway: Gateway) -> None:
    answer = gateway.ask("alpha", metadata={"a": "b"})
    assert served_by(answer) == (200, "litellm", "box", "0")


def in_flight(gateway: Gateway) -> dict[str, int]:
    (group,) = [group for group in gateway.status["gateway"]["groups"] if group["role"] == "serving"]
    transport = httpx.HTTPTransport(uds=group["workers"][0]["http"])
    with httpx.Client(transport=transport, base_url="http://private") as client:
        entries = client.get("/_aiops/routes").json()["providers"]
    return {entry["provider"]: entry["in_flight"] for entry in entries}
