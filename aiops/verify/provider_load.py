"""How busy a provider says it is. For people: routing counts what the gateway itself has sent.

Sources: vLLM's /metrics (docs.vllm.ai, usage/metrics), llama.cpp's /slots (tools/server/README.md).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from aiops.spec.shapes.model import Provider
from aiops.verify.check import Failed, Skipped
from aiops.verify.providers import fetch

RUNNING, WAITING = "vllm:num_requests_running", "vllm:num_requests_waiting"
CACHE_USED = ("vllm:kv_cache_usage_perc", "vllm:gpu_cache_usage_perc")  # the second until vLLM 0.10
CACHE_FACTS = "vllm:cache_config_info"


@dataclass(frozen=True)
class Load:
    """Requests that run and wait; ``cache``: the share of its KV cache in use, from 0 to 1. None: it does not say."""

    running: int
    waiting: int | None = None
    cache: float | None = None

    def __str__(self) -> str:
        said = [f"{self.running} request{'s' if self.running != 1 else ''} running"]
        if self.waiting is not None:
            said.append(f"{self.waiting} waiting")
        if self.cache is not None:
            said.append(f"{self.cache:.0%} of its cache used")
        return ", ".join(said)


def load(provider: Provider, key: str | None) -> Load | None:
    """None when its type does not say, or this server was told not to."""
    try:
        if provider.type == "vllm":
            return _vllm(fetch(provider, f"{provider.root}/metrics", key).text)
        if provider.type == "llama_cpp":
            return _llama_cpp(fetch(provider, f"{provider.root}/slots", key).json())
    except (Failed, Skipped, ValueError, OverflowError):  # no such page, or NaN and Inf where a count should be
        return None
    return None


def cached_tokens(provider: Provider, key: str | None) -> int | None:
    """How many tokens vLLM's cache holds, all requests together."""
    try:
        facts = _samples(fetch(provider, f"{provider.root}/metrics", key).text).get(CACHE_FACTS, [])
        return sum(int(labels["block_size"]) * int(labels["num_gpu_blocks"]) for labels, _ in facts) or None
    except (Failed, Skipped, KeyError, ValueError):  # "None" until the engine has measured its memory
        return None


Samples = dict[str, list[tuple[Mapping[str, str], float]]]


def _samples(text: str) -> Samples:
    """By name, with labels. Raises ValueError for what is not Prometheus' text format."""
    from prometheus_client.parser import text_string_to_metric_families

    found: Samples = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            found.setdefault(sample.name, []).append((sample.labels, sample.value))
    return found


def _vllm(text: str) -> Load | None:
    samples = _samples(text)
    if RUNNING not in samples:
        return None
    used = [value for name in CACHE_USED for _, value in samples.get(name, ())]
    return Load(int(_total(samples, RUNNING)), int(_total(samples, WAITING)), max(used, default=None))


def _total(samples: Samples, name: str) -> float:
    """Of all engines."""
    return sum(value for _, value in samples.get(name, ()))


def _llama_cpp(slots: Any) -> Load | None:
    if not isinstance(slots, list) or not all(isinstance(slot, dict) for slot in slots):
        return None
    return Load(sum(bool(slot.get("is_processing")) for slot in slots))
