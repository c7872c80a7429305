"""Closed unless opened, and nothing leaves for where no active provider is.

What is tried comes from LiteLLM's own route table, so that a release with other routes is tried with those.
"""

from __future__ import annotations

import asyncio
import functools
import json
import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import httpx
import pytest
import yaml
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from aiops.gateway.worker.front.doors import ALWAYS, ASKED_WITH_A_MODEL, WEBSOCKET
from aiops.gateway.worker.front.management import is_managed
from tests.e2e.litellm_routes import an_example, every_route
from tests.e2e.recording import Provider, Trap
from tests.kit.gateway import Gateway

HEALTH = {
    ("GET", path)
    for path in (
        *("/_health/live", "/_health/ready", "/health/live", "/health/ready"),
        *("/health/liveness", "/health/liveliness", "/health/readiness"),
    )
}
AT_ONCE = 48
COUNTED_HERE = ("/input_tokens", "/count_tokens", ":countTokens")  # by LiteLLM itself, when no provider counts
MAPPINGS = """
exact_matches:
  alias: {provider: east, backend_model: alpha}
load_balancing:
  pool: {providers: [{provider: east, preferred_model: alpha}, {provider: west, preferred_model: beta}]}
capabilities:
  code: {preferred_models: [alpha, beta], fallback: west}
patterns:
  - {pattern: "^only-east", provider: east, backend_model: alpha, fallback: west}
routing_rules:
  default_provider: west
  model_size_routing: [{size: "< 13B", provider: east}]
"""
# One name of each kind, and one that only LiteLLM knows by heart.
NAMES = {
    "plain": "alpha",
    "alias": "alias",
    "balanced": "pool",
    "capability": "code",
    "pattern": "only-east-please",
    "size": "some-model:7b",
    "default": "nobody-knows-it",
    "known to LiteLLM": "gpt-4o-mini",
    "LiteLLM's spelling": "openai/omni-moderation-latest",
}
# Where LiteLLM goes by itself when nothing else is said, and what it takes for a key then.
BY_HEART = ("OPENAI_BASE_URL", "OPENAI_API_BASE", "ANTHROPIC_API_BASE", "ANTHROPIC_BASE_URL", "GEMINI_API_BASE")
KEYS = ("OPENAI_API_KEY", "ANTHROPIC_API_KEY", "GEMINI_API_KEY", "COHERE_API_KEY", "GROQ_API_KEY", "MISTRAL_API_KEY")
DEPLOYMENT = re.compile(r"(?<![0-9a-f])[0-9a-f]{32}(?![0-9a-f])")


CHAT = [{"role": "user", "content": "private words"}]
PARTS = {"contents": [{"role": "user", "parts": [{"text": "private words"}]}]}
PAGE = {"type": "document_url", "document_url": "data:application/pdf;base64,aGk="}
WORDS: dict[str | tuple[str, ...], dict[str, Any]] = {
    ("/chat/completions", "/messages", "/count_tokens"): {"messages": CHAT, "max_tokens": 4},
    ("/completions", "/generations"): {"prompt": "private words"},
    "/rerank": {"query": "private words", "documents": ["private words"]},
    "/ocr": {"document": PAGE},
    "/speech": {"input": "private words", "voice": "x"},
    (":generateContent", ":streamGenerateContent", ":countTokens"): PARTS,
}


@dataclass
class Place:
    instance: Gateway
    east: Provider
    west: Provider
    trap: Trap

    @functools.cached_property
    def deployments(self) -> set[str]:
        release = self.instance.home / "state" / "current" / "release" / "litellm-unified.yaml"
        return {one["model_info"]["id"] for one in yaml.safe_load(release.read_text())["model_list"]}

    @property
    def log(self) -> str:
        return "".join(path.read_text() for path in (self.instance.home / "logs").iterdir() if path.is_file())


@pytest.fixture(scope="module")
def place() -> Iterator[Place]:
    instance, east, west, trap = Gateway(), Provider("alpha"), Provider("beta", "gamma"), Trap()
    try:
        instance.init()
        kind = {"type": "openai_compatible", "status": "active"}
        providers = {
            "east": {**kind, "base_url": east.url, "models": ["alpha"]},
            "west": {**kind, "base_url": west.url, "models": ["beta"]},
        }
        instance.source("providers.yaml").write_text(yaml.safe_dump({"providers": providers}))
        instance.source("model-mappings.yaml").write_text(MAPPINGS)
        env = [f"{name}={trap.url}/v1" for name in BY_HEART] + [f"{name}=sk-of-a-service" for name in KEYS]
        file = instance.home / "secrets" / "env"
        file.write_text("\n".join(env) + "\n")
        file.chmod(0o600)
        instance.up()
        yield Place(instance, east, west, trap)
    finally:
        instance.destroy()
        for server in (east, west, trap):
            server.stop()


async def ask(place: Place, method: str, path: str, key: bool, name: str = "x", **more: Any) -> httpx.Response:
    return (await ask_all(place, [(method, path, name, more)], key=key))[0]


async def ask_all(
    place: Place, requests: list[tuple[str, str, str, dict[str, Any]]], *, key: bool
) -> list[httpx.Response]:
    """Each ``(method, path, name, more of the body)``; AT_ONCE of them at the same time."""
    gate = asyncio.Semaphore(AT_ONCE)
    headers = place.instance.auth if key else {}
    async with httpx.AsyncClient(base_url=place.instance.url, timeout=60, trust_env=False, headers=headers) as client:

        async def one(method: str, path: str, name: str, more: dict[str, Any]) -> httpx.Response:
            async with gate:
                if method == WEBSOCKET:
                    return await talk(place, path, headers, name)
                return await client.request(method, path, **(body(path, name, more) if method == "POST" else {}))

        return await asyncio.gather(*(one(*request) for request in requests))


async def talk(place: Place, path: str, headers: dict[str, str], name: str) -> httpx.Response:
    """One message over a websocket, and what comes back for it, as if it were the body of an answer."""
    url = f"{place.instance.url.replace('http', 'ws')}{path}?model={quote(name, safe='')}"
    try:
        async with connect(url, additional_headers=headers, proxy=None, open_timeout=60) as socket:
            with suppress(ConnectionClosed):
                await socket.send(json.dumps({"type": "response.create", "model": name, "input": "private words"}))
                first = str(await asyncio.wait_for(socket.recv(), 60))
                return httpx.Response(101, text=first)
            return httpx.Response(101, text=socket.close_reason or "")
    except InvalidStatus as refused:
        answer = refused.response
        return httpx.Response(answer.status_code, headers=list(answer.headers.raw_items()), text=answer.body.decode())


def body(path: str, name: str, more: dict[str, Any]) -> dict[str, Any]:
    """What asks any endpoint for a little, as the form that some of them take or as JSON."""
    if path.endswith(("/transcriptions", "/edits")):
        file = "file" if path.endswith("/transcriptions") else "image"
        return {"data": {"model": name, "prompt": "x"}, "files": {file: ("x.wav", b"RIFF", "audio/wav")}}
    words: dict[str, Any] = next((words for ends, words in WORDS.items() if path.endswith(ends)), {"input": "private"})
    return {"json": {"model": name, **words, **more}}


# --- without a key ------------------------------------------------------------------------------------------------


def test_without_a_key_nothing_answers_but_health(place: Place) -> None:
    methods = ("GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE")
    routes = [*every_route(), *HEALTH, *((method, door.path) for door in ALWAYS for method in methods)]
    tried = sorted({(method, an_example(path)) for method, path in routes} - HEALTH)
    assert len(tried) > 900
    answers = asyncio.run(ask_all(place, [(method, path, "x", {}) for method, path in tried], key=False))
    wrong = {
        f"{method} {path}: {answer.status_code}"
        for (method, path), answer in zip(tried, answers, strict=True)
        if answer.status_code not in (401, 404) or (method != "HEAD" and not in_its_shape(path, answer))
    }
    assert not wrong, "\n".join(sorted(wrong))
    assert {answer.status_code for answer in answers} == {401, 404}
    for method, path in HEALTH:
        assert asyncio.run(ask(place, method, path, key=False)).status_code == 200, path


def in_its_shape(path: str, answer: httpx.Response) -> bool:
    """OpenAI's, and Anthropic's where its clients ask."""
    error = answer.json()["error"]
    if path.startswith("/v1/messages"):
        return answer.json()["type"] == "error" and set(error) == {"type", "message"}
    return set(error) == {"message", "type", "param", "code"} and error["code"] == str(answer.status_code)


def test_with_a_key_what_is_not_on_the_list_is_not_there(place: Place) -> None:
    routes = [(method, path) for method, path in every_route() if (method, path) not in (*ALWAYS, *HEALTH)]
    closed = [route for route in routes if not is_managed(*route)]
    assert len(closed) > 500
    requests = [(method, an_example(path), "x", {}) for method, path in closed]
    answers = asyncio.run(ask_all(place, requests, key=True))
    found = {f"{m} {p}": a.status_code for (m, p, *_), a in zip(requests, answers, strict=True) if a.status_code != 404}
    assert not found
    hint = asyncio.run(ask(place, "GET", "/openapi.json", key=True)).json()["error"]["message"]
    assert "`gateway.expose: [openapi]` in aiops.yaml opens" in hint


def test_the_management_api_is_answered_by_aiops_and_never_by_litellm(place: Place) -> None:
    managed = [(method, an_example(path), "{}", {}) for method, path in every_route() if is_managed(method, path)]
    assert len(managed) > 20
    answers = asyncio.run(ask_all(place, managed, key=True))
    strange = {
        f"{method} {path}": answer.status_code
        for (method, path, *_), answer in zip(managed, answers, strict=True)
        if answer.status_code >= 500 or any(name.startswith("x-litellm-") for name in answer.headers)
    }
    assert not strange


def test_a_browser_may_ask_before_it_has_a_key(place: Place) -> None:
    headers = {"origin": "https://app.test", "access-control-request-method": "POST"}
    chat = httpx.options(f"{place.instance.url}/v1/chat/completions", headers=headers, trust_env=False)
    assert chat.status_code == 200
    closed = httpx.options(f"{place.instance.url}/key/generate", headers=headers, trust_env=False)
    assert closed.status_code == 404


@pytest.mark.parametrize("header", ["authorization", "x-api-key", "api-key", "x-goog-api-key", "x-litellm-api-key"])
def test_a_key_is_taken_from_wherever_clients_put_it(place: Place, header: str) -> None:
    value = f"Bearer {place.instance.key}" if header in ("authorization", "x-litellm-api-key") else place.instance.key
    assert place.instance.get("/v1/models", {header: value}).status_code == 200
    assert place.instance.get("/v1/models", {header: value[:-1]}).status_code == 401


def test_a_slash_at_the_end_changes_nothing(place: Place) -> None:
    assert place.instance.get("/v1/models/").json() == place.instance.get("/v1/models").json()


def test_listings_show_no_deployment(place: Place) -> None:
    for path in ("/v1/models", "/v1/model/info", "/model/info", "/model_group/info"):
        answer = place.instance.get(path)
        assert answer.status_code == 200
        assert {"alpha", "pool"} <= set(re.findall(r'"(?:id|model_name|model_group)":"([^"]*)"', answer.text)), path
        assert not set(DEPLOYMENT.findall(answer.text)) & place.deployments


# --- who is asked -------------------------------------------------------------------------------------------------


def matrix() -> list[tuple[str, str, str, dict[str, Any]]]:
    """Every route that is asked with a model, for a name of each kind; and streamed, where answers stream."""
    requests = [
        (door.method, an_example(door.path, name), name, {}) for door in ASKED_WITH_A_MODEL for name in NAMES.values()
    ]
    streams = ("/v1/chat/completions", "/v1/completions", "/v1/messages", "/v1/responses")
    return requests + [("POST", path, name, {"stream": True}) for path in streams for name in NAMES.values()]


def test_whatever_is_asked_for_only_active_providers_are_asked(place: Place) -> None:
    requests = matrix()
    up = asyncio.run(ask_all(place, requests, key=True))
    assert_private(place, requests, up)
    assert not unexpected(requests, up), "\n".join(unexpected(requests, up))
    # Each kind of name is answered where providers of this type can answer.
    for path in ("/v1/chat/completions", "/v1/embeddings", "/v1/moderations", "/v1/images/generations"):
        for kind, name in NAMES.items():
            status = [a.status_code for r, a in zip(requests, up, strict=True) if r[1] == path and r[2] == name]
            assert set(status) == {200}, (path, kind, status)
    place.east.stop()
    place.west.stop()
    down = asyncio.run(ask_all(place, requests, key=True))
    assert_private(place, requests, down)
    answered = [r[:3] for r, a in zip(requests, down, strict=True) if a.status_code == 200 and "error" not in a.text]
    assert not [request for request in answered if not request[1].endswith(COUNTED_HERE)]


def assert_private(place: Place, requests: list[Any], answers: list[httpx.Response]) -> None:
    assert place.trap.visitors == 0
    # The last line of defence had nothing to do: nothing even tried to connect to anywhere else.
    assert "is no address of an active provider" not in place.log
    sent = {model for provider in (place.east, place.west) for _, model in provider.asked}
    assert not sent & place.deployments
    told = b"".join(body for provider in (place.east, place.west) for body in provider.bodies).decode("latin-1")
    assert not set(DEPLOYMENT.findall(told)) & place.deployments
    shown = [
        f"{request[0]} {request[1]} {request[2]} {request[3]}: {answer.status_code} …{text[max(0, at - 60) : at + 40]}…"
        for request, answer in zip(requests, answers, strict=True)
        for text in (answer.text + json.dumps(list(answer.headers.items())),)
        for at in [found.start() for found in DEPLOYMENT.finditer(text) if found[0] in place.deployments][:1]
    ]
    assert not shown, "\n".join(shown)


def unexpected(requests: list[Any], answers: list[httpx.Response]) -> list[str]:
    return [
        f"{request[:3]}: {answer.status_code} {answer.text[:150]}"
        for request, answer in zip(requests, answers, strict=True)
        if answer.status_code not in (101, 200, 400, 404)
    ]
