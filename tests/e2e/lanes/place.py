"""One gateway and the same provider twice: asked directly, and through LiteLLM; and a third one to fall back to."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import httpx
import yaml

from tests.e2e.keys import Keys, Shown, keys_of
from tests.e2e.lanes.upstream import Upstream
from tests.kit.gateway import Gateway
from tests.kit.tls import TLS
from tests.kit.waiting import until

Lane = Literal["direct", "litellm"]
LANES: tuple[Lane, Lane] = ("direct", "litellm")
LETTER: Mapping[Lane, str] = {"direct": "d", "litellm": "l"}
"""Last of the names of its provider and of its models, which are of one length for that."""
KINDS: Mapping[str, str] = {
    "chat": "chat",
    "chain": "chat",  # has a fallback
    "short": "chat",  # has a fallback, and little time
    "text": "completion",
    "embed": "embedding",
    "respond": "responses",
    "speak": "audio_speech",
    "hear": "audio_transcription",
    "rank": "rerank",
}
"""The models of each lane without its letter, and their modes."""
SPARE = "spare"
SHORT_SECONDS = 1
BUDGET = 10**15  # nano-dollars; nobody spends it
SOON = 10.0


@dataclass(frozen=True)
class Place:
    """``upstreams``: by the lane that leads there."""

    gateway: Gateway
    upstreams: Mapping[Lane, Upstream]
    spare: Upstream
    keys: Keys
    key: Shown

    @property
    def everyone(self) -> tuple[Upstream, ...]:
        return (*self.upstreams.values(), self.spare)

    def forget(self) -> None:
        for upstream in self.everyone:
            upstream.forget()

    @cached_property
    def _private(self) -> httpx.Client:
        (group,) = [group for group in self.gateway.status["gateway"]["groups"] if group["role"] == "serving"]
        (worker,) = group["workers"]
        transport = httpx.HTTPTransport(uds=worker["http"], verify=TLS)
        return httpx.Client(transport=transport, base_url="http://private")

    def providers(self) -> dict[str, dict[str, Any]]:
        """What the worker that serves says of each."""
        answer = self._private.get("/_aiops/routes")
        return {each["provider"]: each for each in answer.json()["providers"]}

    def at_rest(self) -> dict[str, dict[str, Any]]:
        """The same, when nobody is asked any more."""
        return until(self._idle, SOON, "nothing in flight")  # type: ignore[no-any-return]

    def _idle(self) -> dict[str, dict[str, Any]] | None:
        found = self.providers()
        return None if any(each["in_flight"] for each in found.values()) else found


def model(kind: str, lane: Lane) -> str:
    return f"{kind}-{LETTER[lane]}"


@contextmanager
def place() -> Iterator[Place]:
    gateway = Gateway()
    upstreams = {lane: Upstream(tuple(model(kind, lane) for kind in KINDS)) for lane in LANES}
    spare = Upstream((SPARE,))
    try:
        gateway.init()
        gateway.edit("aiops.yaml", "  # request_timeout: 600\n", "  request_timeout: 20\n")
        gateway.source("providers.yaml").write_text(yaml.safe_dump({"providers": _providers(upstreams, spare)}))
        gateway.source("model-mappings.yaml").write_text(yaml.safe_dump(MAPPINGS))
        secrets = gateway.home / "secrets" / "env"
        secrets.write_text("".join(f"{_variable(lane)}=sk-of-{LETTER[lane]}\n" for lane in LANES))
        secrets.chmod(0o600)
        gateway.up()
        with keys_of(gateway) as keys:
            yield Place(gateway, upstreams, spare, keys, keys.make(max_budget=BUDGET))
    finally:
        gateway.destroy()
        for upstream in (*upstreams.values(), spare):
            upstream.stop()


def _variable(lane: Lane) -> str:
    return f"KEY_OF_{lane.upper()}"


def _providers(upstreams: Mapping[Lane, Upstream], spare: Upstream) -> dict[str, Any]:
    kind = {"type": "openai_compatible", "status": "active", "cost_per_1k_tokens": 1.0}
    found: dict[str, Any] = {"spare": {**kind, "base_url": spare.url, "models": [SPARE]}}
    for lane, upstream in upstreams.items():
        there = {**kind, "base_url": upstream.url, "lane": lane, "api_key_env": _variable(lane)}
        letter, ranks = LETTER[lane], {model("rank", lane): _model("rank", lane)}
        asked = [_model(kind, lane) for kind in KINDS if kind != "rank"]
        found[f"lane-{letter}"] = {**there, "models": asked}
        # LiteLLM ranks by no server that is only compatible.
        found[f"rank-{letter}"] = {
            **there,
            "type": "vllm",
            "same_server_as": f"lane-{letter}",
            "models": [*ranks.values()],
        }
    return found


def _model(kind: str, lane: Lane) -> dict[str, Any]:
    found: dict[str, Any] = {"name": model(kind, lane), "mode": KINDS[kind]}
    return found | ({"options": {"timeout": SHORT_SECONDS}} if kind == "short" else {})


# What a worker says of its providers, it says of those that may be avoided.
MAPPINGS: dict[str, Any] = {
    "fallback_chains": {model(kind, lane): {"chain": [SPARE]} for kind in ("chain", "short") for lane in LANES},
    "special_cases": {
        "rate_limited_fallback": {"enabled": True, "fallback_duration_seconds": 1},
        "error_based_routing": {"enabled": True, "error_threshold": 50, "cooldown_seconds": 1},
    },
}
