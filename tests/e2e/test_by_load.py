"""``least_loaded`` goes by what servers say of themselves, and ``cache_aware`` keeps a conversation where it was: on a
gateway with two workers, between two real llama.cpp servers and two doubles that write what vLLM writes."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import httpx
import pytest
import yaml

from aiops.demo.child import DemoProvider
from aiops.spec.choosing.said import samples
from tests.e2e.routed import PROVIDER
from tests.kit.gateway import Gateway
from tests.kit.waiting import until

MAPPINGS = """\
load_balancing:
  least-cpp: {strategy: least_loaded, providers: [{provider: cpp-a}, {provider: cpp-b}]}
  least-gpu: {strategy: least_loaded, providers: [{provider: gpu-a}, {provider: gpu-b}]}
  kept-cpp: {strategy: cache_aware, providers: [{provider: cpp-a}, {provider: cpp-b}]}
  kept-gpu: {strategy: cache_aware, providers: [{provider: gpu-a}, {provider: gpu-b}]}
"""
CACHED = "llamacpp:prompt_tokens_cached_total"


class Lab:
    def __init__(self, gateway: Gateway, servers: dict[str, DemoProvider]) -> None:
        self.gateway, self.servers = gateway, servers

    def who(self, model: str, text: str = "hello") -> str:
        """A connection of its own for each request, so that each of the workers gets some."""
        body = {"model": model, "max_tokens": 2, "messages": [{"role": "user", "content": text}]}
        url = f"{self.gateway.url}/v1/chat/completions"
        answer = httpx.post(url, json=body, headers=self.gateway.auth, timeout=60, trust_env=False)
        assert answer.status_code == 200, answer.text
        return answer.headers[PROVIDER]

    def spread(self, model: str, requests: int = 12) -> Counter[str]:
        return Counter(self.who(model) for _ in range(requests))

    def says(self, **told: float) -> None:
        for name in ("gpu-a", "gpu-b"):
            self.servers[name].control(waiting=0, cache=0.1)
        if told:
            self.servers["gpu-a"].control(**told)

    def cached(self, name: str) -> float:
        """Tokens of prompts that a llama.cpp did not have to compute again."""
        page = httpx.get(f"{self.servers[name].url}/metrics", timeout=20, trust_env=False).text
        return samples(page, CACHED)[CACHED][0][1]


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    gateway = Gateway()
    with (
        DemoProvider.llama_cpp(alias="a") as cpp_a,
        DemoProvider.llama_cpp(alias="b") as cpp_b,
        DemoProvider.double(face="vllm", models=("a",)) as gpu_a,
        DemoProvider.double(face="vllm", models=("b",)) as gpu_b,
    ):
        servers = {"cpp-a": cpp_a, "cpp-b": cpp_b, "gpu-a": gpu_a, "gpu-b": gpu_b}
        try:
            gateway.init()
            settings = gateway.source("aiops.yaml")
            settings.write_text(settings.read_text().replace("  # workers: 1\n", "  workers: 2\n"))
            gateway.source("providers.yaml").write_text(yaml.safe_dump({"providers": providers(servers)}))
            gateway.source("model-mappings.yaml").write_text(MAPPINGS)
            gateway.up()
            yield Lab(gateway, servers)
        finally:
            gateway.destroy()


def providers(servers: dict[str, DemoProvider]) -> dict[str, object]:
    def one(name: str, server: DemoProvider) -> dict[str, object]:
        kind, slots = ("llama_cpp", 2) if name.startswith("cpp") else ("vllm", 64)
        model = f"{name}-model" if kind == "llama_cpp" else name[-1]  # which answers to any name
        return {"type": kind, "base_url": server.url, "max_parallel": slots, "models": [model]}

    return {name: one(name, server) for name, server in servers.items()}


@contextmanager
def kept_busy(server: DemoProvider, requests: int) -> Iterator[None]:
    """By somebody else than the gateway."""
    over = threading.Event()
    body = {"model": "m", "messages": [{"role": "user", "content": "hi"}], "max_tokens": 900}

    def ask() -> None:
        while not over.is_set():
            httpx.post(f"{server.url}/v1/chat/completions", json=body, timeout=60, trust_env=False)

    with ThreadPoolExecutor(requests) as clients:
        asking = [clients.submit(ask) for _ in range(requests)]
        try:
            yield
        finally:
            over.set()
            [each.result() for each in asking]


def test_a_real_llama_cpp_that_others_keep_busy_gets_nothing(lab: Lab) -> None:
    until(lambda: set(lab.spread("least-cpp")) == {"cpp-a", "cpp-b"}, 60)
    with kept_busy(lab.servers["cpp-a"], 4):
        until(lambda: lab.spread("least-cpp", 6) == {"cpp-b": 6}, 60)
        assert lab.spread("least-cpp") == {"cpp-b": 12}
    until(lambda: set(lab.spread("least-cpp")) == {"cpp-a", "cpp-b"}, 60)


@pytest.mark.parametrize("told", [{"waiting": 1}, {"cache": 0.95}], ids=str)
def test_a_vllm_at_which_requests_wait_or_whose_cache_is_full_gets_nothing(lab: Lab, told: dict[str, float]) -> None:
    lab.says()
    until(lambda: set(lab.spread("least-gpu")) == {"gpu-a", "gpu-b"}, 60)
    lab.says(**told)
    until(lambda: lab.spread("least-gpu", 6) == {"gpu-b": 6}, 60)
    assert lab.spread("least-gpu", 40) == {"gpu-b": 40}
    lab.says()
    until(lambda: set(lab.spread("least-gpu")) == {"gpu-a", "gpu-b"}, 60)


def test_a_server_that_falls_silent_is_led_to_by_what_the_gateway_counts(lab: Lab) -> None:
    lab.says(waiting=1)
    until(lambda: lab.spread("least-gpu", 20) == {"gpu-b": 20}, 60)  # not by chance
    lab.servers["gpu-a"].control(mode="500", paths=["/metrics"])
    try:
        until(lambda: set(lab.spread("least-gpu")) == {"gpu-a", "gpu-b"}, 60)
    finally:
        lab.servers["gpu-a"].control(mode="ok", paths=[])


def test_conversations_stay_where_they_are_whichever_worker_has_them(lab: Lab) -> None:
    lab.says()
    openings = [f"conversation {number}: " + "all about it " * 40 for number in range(12)]
    first = {opening: lab.who("kept-gpu", opening) for opening in openings}
    assert set(first.values()) == {"gpu-a", "gpu-b"}, "they are spread"
    for _ in range(4):
        assert {opening: lab.who("kept-gpu", opening + " and more") for opening in openings} == first


def test_a_real_llama_cpp_does_not_compute_again_what_it_has_had(lab: Lab) -> None:
    opening = "once upon a time there was a king who " * 12
    at = lab.who("kept-cpp", opening)
    other = {"cpp-a": "cpp-b", "cpp-b": "cpp-a"}[at]
    before = {name: lab.cached(name) for name in (at, other)}
    assert {lab.who("kept-cpp", opening + f"did {number}") for number in range(6)} == {at}
    assert lab.cached(at) - before[at] > 6 * 100, "tokens"
    assert lab.cached(other) == before[other]


def test_a_conversation_leaves_a_server_at_which_it_would_wait(lab: Lab) -> None:
    opening = "the king had a daughter who was fair and " * 12
    at = lab.who("kept-cpp", opening)
    with kept_busy(lab.servers[at], 4):
        until(lambda: lab.who("kept-cpp", opening) != at, 60)


def test_route_explain_says_who_is_asked_how_busy_it_is(lab: Lab) -> None:
    told = lab.gateway.must("route", "explain", "kept-cpp")
    assert told["strategy"] == "cache_aware"
    assert f"{lab.servers['cpp-a'].url}/metrics or /slots" in " ".join(told["notes"])


def test_status_shows_what_servers_say(lab: Lab) -> None:
    lab.says(waiting=2)
    until(lambda: lab.spread("least-gpu", 6) == {"gpu-b": 6}, 60)
    [gpu] = [
        each for each in lab.gateway.must("status", "--routes")["routes"]["providers"] if each["provider"] == "gpu-a"
    ]
    assert gpu["says"] == {"running": 0, "waiting": 2, "cache": 0.1, "beside": 2}
    assert "it says: 0 requests running, 2 waiting, 10% of its cache used" in lab.gateway.say("status", "--routes").out
