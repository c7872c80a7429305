"""What an answer says it used, in the shape of whichever API it is. The shapes are told apart by their own names.

OpenAI's chat, text, embeddings and images, and its responses API; Anthropic's messages; Google's generateContent;
Cohere's rerank, as LiteLLM answers with them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from aiops.gateway.worker.prices import Tokens

MOST = 1_000_000_000  # tokens of one answer


def tokens(said: Mapping[str, Any]) -> Tokens | None:
    """Of a whole answer, or of one event of a stream; None when it says nothing of usage."""
    for holder in (said, said.get("response"), said.get("message")):
        if not isinstance(holder, dict):
            continue
        for name, read in _SHAPES.items():
            found = holder.get(name)
            if isinstance(found, dict):
                try:
                    read_tokens = read(found)
                except _NoNumber:
                    return None
                # LiteLLM writes zeros where it does not know: into the events of a text completion, for one.
                return read_tokens if read_tokens is not None and read_tokens.total else None
    return None


def together(first: Tokens | None, later: Tokens | None) -> Tokens | None:
    """Anthropic says the prompt at the beginning of a stream and the rest at its end; others say all of it again."""
    if first is None or later is None:
        return later or first
    return Tokens(
        prompt=later.prompt or first.prompt,
        completion=max(later.completion, first.completion),
        cached=later.cached or first.cached,
        written=later.written or first.written,
    )


def added(first: Tokens | None, later: Tokens) -> Tokens:
    """Of two answers."""
    if first is None:
        return later
    return Tokens(
        first.prompt + later.prompt,
        first.completion + later.completion,
        first.cached + later.cached,
        first.written + later.written,
    )


def _usage(usage: Mapping[str, Any]) -> Tokens | None:
    if "prompt_tokens" in usage or "completion_tokens" in usage:
        details = _within(usage, "prompt_tokens_details")
        prompt, completion = _count(usage, "prompt_tokens"), _count(usage, "completion_tokens")
        if not prompt and not completion:
            prompt = _count(usage, "total_tokens")
        return Tokens(prompt, completion, _count(details, "cached_tokens"), _count(details, "cache_creation_tokens"))
    if "input_tokens_details" in usage or "total_tokens" in usage:  # OpenAI's: what was cached is part of the input
        cached = _count(_within(usage, "input_tokens_details"), "cached_tokens")
        return Tokens(_count(usage, "input_tokens"), _count(usage, "output_tokens"), cached)
    if "input_tokens" in usage or "output_tokens" in usage:  # Anthropic's: it is not
        cached, written = _count(usage, "cache_read_input_tokens"), _count(usage, "cache_creation_input_tokens")
        prompt = _count(usage, "input_tokens") + cached + written
        return Tokens(prompt, _count(usage, "output_tokens"), cached, written)
    return None


def _google(usage: Mapping[str, Any]) -> Tokens:
    return Tokens(
        _count(usage, "promptTokenCount"),
        _count(usage, "candidatesTokenCount") + _count(usage, "thoughtsTokenCount"),
        _count(usage, "cachedContentTokenCount"),
    )


def _cohere(meta: Mapping[str, Any]) -> Tokens | None:
    for name in ("tokens", "billed_units"):
        said = _within(meta, name)
        found = Tokens(_count(said, "input_tokens") or _count(said, "total_tokens"), _count(said, "output_tokens"))
        if found.total:
            return found
    return None


def _within(said: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    found = said.get(name)
    return found if isinstance(found, dict) else {}


def _count(said: Mapping[str, Any], name: str) -> int:
    found = said.get(name)
    if not isinstance(found, int | float) or isinstance(found, bool):
        return 0
    if not -MOST < found < MOST:
        raise _NoNumber
    return max(0, int(found))


class _NoNumber(Exception):
    """What no answer has used: whatever else it says is worth as much."""


_SHAPES = {"usage": _usage, "usageMetadata": _google, "meta": _cohere}
