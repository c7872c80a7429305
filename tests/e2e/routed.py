"""A gateway with routing rules, between two doubles that show who was asked."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import httpx
import yaml

from aiops.demo.child import DemoProvider
from tests.kit.gateway import Gateway

PROVIDER, RULE = "x-aiops-provider", "x-aiops-rule"
EAST = ("alpha", "shared", "small")
WEST = ("beta", "shared", "gamma-1")
TIMEOUT = 2  # seconds for one provider


class Routed:
    """``east`` and ``west`` serve what ``EAST`` and ``WEST`` name; ``west`` also ``unlisted-model``."""

    def __init__(self, instance: Gateway, east: DemoProvider, west: DemoProvider) -> None:
        self.instance, self.east, self.west = instance, east, west
        self.client = httpx.Client(
            base_url=instance.url, headers=instance.auth, timeout=30, trust_env=False, limits=httpx.Limits()
        )

    def post(self, path: str, headers: Mapping[str, str] | None = None, **body: Any) -> httpx.Response:
        return self.client.post(path, json=body, headers=headers)

    def ask(
        self, model: str, text: str = "hello", headers: Mapping[str, str] | None = None, **more: Any
    ) -> httpx.Response:
        messages = [{"role": "user", "content": text}]
        return self.post("/v1/chat/completions", headers, model=model, messages=messages, max_tokens=4, **more)

    def who(self, model: str, text: str = "hello", headers: Mapping[str, str] | None = None) -> str:
        answer = self.ask(model, text, headers)
        assert answer.status_code == 200, answer.text
        return answer.headers[PROVIDER]

    def spread(self, model: str, requests: int, at_once: int = 1) -> Counter[str]:
        """How many of ``requests`` each provider answered."""
        with ThreadPoolExecutor(at_once) as pool:
            return Counter(pool.map(lambda _: self.who(model), range(requests)))

    def routes(self) -> list[dict[str, Any]]:
        """What each worker that serves says of its routes, on its private socket."""
        groups = self.instance.status["gateway"]["groups"]
        workers = [worker for group in groups if group["role"] == "serving" for worker in group["workers"]]
        return [private(worker["http"]) for worker in workers]

    def in_flight(self) -> dict[str, int]:
        """By provider, as the first worker sees all of them."""
        return {entry["provider"]: entry["in_flight"] for entry in self.routes()[0]["providers"]}

    def providers(self) -> dict[str, dict[str, Any]]:
        return {entry["provider"]: entry for entry in self.routes()[0]["providers"]}

    def calm(self) -> None:
        for provider in (self.east, self.west):
            provider.control(mode="ok", delay=0, tokens=4, chunk_delay=0, paths=[])
            provider.forget_requests()

    def asked(self, provider: DemoProvider) -> list[str]:
        """The models it was asked for."""
        return [item["body"]["model"] for item in provider.requests() if item["method"] == "POST"]


def private(socket: str, path: str = "/_aiops/routes") -> dict[str, Any]:
    with httpx.Client(transport=httpx.HTTPTransport(uds=socket), base_url="http://private") as client:
        answer = client.get(path)
    assert answer.status_code == 200, answer.text
    found = answer.json()
    assert isinstance(found, dict)
    return found


@contextmanager
def routed(mappings: str, workers: int = 1) -> Iterator[Routed]:
    """A gateway with these mappings, taken down afterwards."""
    instance = Gateway()
    with DemoProvider.double(models=EAST) as east, DemoProvider.double(models=(*WEST, "unlisted-model")) as west:
        try:
            instance.init()
            settings = instance.source("aiops.yaml")
            text = settings.read_text().replace("  # workers: 1\n", f"  workers: {workers}\n")
            settings.write_text(text.replace("  # request_timeout: 600\n", f"  request_timeout: {TIMEOUT}\n"))
            assert f"  request_timeout: {TIMEOUT}\n" in settings.read_text()
            instance.source("providers.yaml").write_text(yaml.safe_dump(providers(east, west)))
            instance.source("model-mappings.yaml").write_text(mappings)
            instance.up()
            made = Routed(instance, east, west)
            yield made
            if made.east is not east:  # a test killed it and started another
                made.east.stop()
        finally:
            instance.destroy()


def providers(east: DemoProvider, west: DemoProvider) -> dict[str, Any]:
    sizes = {"alpha": "7B", "beta": "70B", "small": "1B"}
    contexts = {"alpha": 8192, "beta": 131072}

    def models(names: tuple[str, ...]) -> list[dict[str, Any]]:
        return [
            {"name": name}
            | ({"size": sizes[name]} if name in sizes else {})
            | ({"context_length": contexts[name]} if name in contexts else {})
            for name in names
        ]

    kind = {"type": "openai_compatible", "status": "active"}
    return {
        "providers": {
            "east": {**kind, "base_url": east.url, "models": models(("alpha", "small"))},
            "west": {**kind, "base_url": west.url, "models": models(("beta",))},
        }
    }
