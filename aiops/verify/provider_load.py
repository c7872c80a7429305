"""How busy a provider says it is, for people. The gateway asks by itself, see ``gateway/worker/hearsay``."""

from __future__ import annotations

from aiops.spec.choosing import said
from aiops.spec.choosing.said import CACHE_FACTS, Said
from aiops.spec.shapes.model import Provider
from aiops.verify.check import Failed, Skipped
from aiops.verify.providers import fetch


def load(provider: Provider, key: str | None) -> Said | None:
    """None when its type does not say, or this server was told not to."""
    try:
        if provider.type == "vllm":
            return said.metrics("vllm", fetch(provider, f"{provider.root}/metrics", key).text)
        if provider.type == "llama_cpp":
            return said.slots(fetch(provider, f"{provider.root}/slots", key).json())
    except (Failed, Skipped, ValueError, OverflowError):  # no such page, or NaN and Inf where a count should be
        return None
    return None


def cached_tokens(provider: Provider, key: str | None) -> int | None:
    """How many tokens vLLM's cache holds, all requests together."""
    try:
        text = fetch(provider, f"{provider.root}/metrics", key).text
        facts = said.samples(text, CACHE_FACTS).get(CACHE_FACTS, [])
        return sum(int(labels["block_size"]) * int(labels["num_gpu_blocks"]) for labels, _ in facts) or None
    except (Failed, Skipped, KeyError, ValueError):  # "None" until the engine has measured its memory
        return None
