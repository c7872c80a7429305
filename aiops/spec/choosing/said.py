"""What a model server says of its own load, read from its pages. Pure.

Sources: vLLM's /metrics (docs.vllm.ai, usage/metrics), llama.cpp's /metrics and /slots (tools/server/README.md).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Literal, NamedTuple, get_args

Kind = Literal["vllm", "llama_cpp"]
"""Types of servers that say it."""
KINDS: tuple[Kind, ...] = get_args(Kind)

RUNNING, WAITING = "vllm:num_requests_running", "vllm:num_requests_waiting"
CACHE_USED = ("vllm:kv_cache_usage_perc", "vllm:gpu_cache_usage_perc")  # the second until vLLM 0.10
CACHE_FACTS = "vllm:cache_config_info"
PROCESSING, DEFERRED = "llamacpp:requests_processing", "llamacpp:requests_deferred"
NEAR_FULL = 0.9
"""Share of a KV cache: with more, vLLM soon takes what it has computed away from requests that run (preemption)."""


class Said(NamedTuple):
    """Requests that run and wait; ``cache``: the share of its KV cache in use, from 0 to 1. None: it does not say.

    ``beside``: how many of them this gateway has not sent.
    """

    running: int
    waiting: int | None = None
    cache: float | None = None
    beside: int = 0

    @property
    def is_full(self) -> bool:
        """What is sent there now waits, or takes somebody's place."""
        return bool(self.waiting) or (self.cache is not None and self.cache >= NEAR_FULL)

    def __str__(self) -> str:
        said = [f"{self.running} request{'s' if self.running != 1 else ''} running"]
        if self.waiting is not None:
            said.append(f"{self.waiting} waiting")
        if self.cache is not None:
            said.append(f"{self.cache:.0%} of its cache used")
        return ", ".join(said)


Samples = Mapping[str, list[tuple[Mapping[str, str], float]]]
"""By name, with labels."""


def samples(text: str, *names: str) -> Samples:
    """Those of the ``names`` alone: a page of vLLM has a thousand lines, and reading each takes longer than a request.

    Raises ValueError for what is not Prometheus' text format.
    """
    from prometheus_client.parser import text_string_to_metric_families

    lines = "".join(f"{line}\n" for line in text.splitlines() if line.startswith(names))
    found: dict[str, list[tuple[Mapping[str, str], float]]] = {}
    for family in text_string_to_metric_families(lines):
        for sample in family.samples:
            found.setdefault(sample.name, []).append((sample.labels, sample.value))
    return found


def metrics(kind: Kind, text: str) -> Said | None:
    """By a page of metrics; None when these figures are not on it. Raises ValueError for one that cannot be read."""
    if kind == "llama_cpp":
        found = samples(text, PROCESSING, DEFERRED)
        if PROCESSING not in found:
            return None
        return Said(_total(found, PROCESSING), _total(found, DEFERRED))
    found = samples(text, RUNNING, WAITING, *CACHE_USED)
    if RUNNING not in found:
        return None
    used = [value for name in CACHE_USED for _, value in found.get(name, ())]
    return Said(_total(found, RUNNING), _total(found, WAITING), max(used, default=None))


def slots(listed: Any) -> Said | None:
    """By llama.cpp's list of slots, decoded; None for what is none."""
    if not isinstance(listed, list) or not all(isinstance(slot, dict) for slot in listed):
        return None
    return Said(sum(bool(slot.get("is_processing")) for slot in listed))


def slots_of(page: bytes) -> Said | None:
    """The same, of the page as it comes. Raises ValueError for what is no JSON."""
    return slots(json.loads(page))


def _total(found: Samples, name: str) -> int:
    """Of all engines. Raises ValueError or OverflowError for what is no number of requests."""
    return int(sum(value for _, value in found.get(name, ())))
