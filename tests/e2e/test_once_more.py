"""A model that is being loaded is not the user's error: where nobody else could answer, it is asked once more."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import yaml

from aiops.demo.child import DemoProvider
from tests.kit.gateway import Gateway

CHAT = ["/v1/chat", "/api/chat"]


@pytest.fixture(scope="module")
def server() -> Iterator[DemoProvider]:
    with DemoProvider.double(models=("alone", "first", "second", "any")) as provider:
        yield provider


@pytest.fixture(scope="module")
def ollama() -> Iterator[DemoProvider]:
    with DemoProvider.double(models=("llama",), face="ollama") as provider:
        yield provider


@pytest.fixture(scope="module")
def gateway(server: DemoProvider, ollama: DemoProvider) -> Iterator[Gateway]:
    made = Gateway()
    try:
        made.init()
        box = {"type": "openai_compatible", "base_url": server.url, "models": ["alone", "first", "second"]}
        other = {"type": "ollama", "base_url": ollama.url, "models": ["llama"]}
        made.source("providers.yaml").write_text(yaml.safe_dump({"providers": {"box": box, "other": other}}))
        mappings = {
            "exact_matches": {"first": {"provider": "box", "fallback": "second"}},
            "patterns": [{"pattern": "^any$", "provider": "box"}],
        }
        made.source("model-mappings.yaml").write_text(yaml.safe_dump(mappings))
        made.up()
        yield made
    finally:
        made.destroy()


@pytest.fixture(autouse=True)
def well_again(server: DemoProvider, ollama: DemoProvider) -> Iterator[None]:
    for each in (server, ollama):
        each.forget_requests()
    yield
    for each in (server, ollama):
        each.control(mode="ok", times=0, paths=[])


def asked(provider: DemoProvider) -> list[str]:
    return [item["body"]["model"] for item in provider.requests() if item["method"] == "POST"]


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("mode", ["503", "drop_before"])
@pytest.mark.parametrize("model", ["alone", "any"])
def test_who_was_not_there_is_asked_once_more(
    gateway: Gateway, server: DemoProvider, model: str, mode: str, stream: bool
) -> None:
    server.control(mode=mode, times=1, paths=CHAT)
    answer = gateway.ask(model, stream=stream)
    assert answer.status_code == 200, answer.text
    assert asked(server) == [model, model]


def test_ollama_is_asked_once_more_when_the_connection_is_lost(gateway: Gateway, ollama: DemoProvider) -> None:
    ollama.control(mode="drop_before", times=1, paths=CHAT)
    answer = gateway.ask("llama")
    assert answer.status_code == 200, answer.text
    assert asked(ollama) == ["llama", "llama"]


def test_once_and_not_again(gateway: Gateway, server: DemoProvider) -> None:
    server.control(mode="503", paths=CHAT)
    assert gateway.ask("alone").status_code == 503
    assert asked(server) == ["alone", "alone"]


@pytest.mark.parametrize(("mode", "status"), [("500", 500), ("401", 401), ("429", 429)])
def test_what_does_not_pass_by_itself_is_said_at_once(
    gateway: Gateway, server: DemoProvider, mode: str, status: int
) -> None:
    server.control(mode=mode, paths=CHAT)
    assert gateway.ask("alone").status_code == status
    assert asked(server) == ["alone"]


def test_where_a_fallback_can_answer_it_does_so_at_once(gateway: Gateway, server: DemoProvider) -> None:
    server.control(mode="503", times=1, paths=CHAT)
    assert gateway.ask("first").status_code == 200
    assert asked(server) == ["first", "second"]


def test_an_operator_who_says_none_gets_none(gateway: Gateway, server: DemoProvider) -> None:
    written = gateway.source("aiops.yaml").read_bytes()
    gateway.edit("aiops.yaml", "  # retries: 0", "  retries: 0")
    gateway.must("apply")
    server.forget_requests()
    server.control(mode="503", times=1, paths=CHAT)
    assert gateway.ask("alone").status_code == 503
    assert asked(server) == ["alone"]
    gateway.source("aiops.yaml").write_bytes(written)
    gateway.must("apply")
