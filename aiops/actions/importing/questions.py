"""What is asked of each name: through every endpoint that models of its mode have."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from aiops.actions.importing.redirect import Asked
from aiops.importing.modes import by_name

_TEXT = ("chat", "stream", "messages", "messages with thinking", "completion")
_BY_MODE = {
    "chat": _TEXT,
    "completion": ("completion",),
    "responses": ("responses",),
    "embedding": ("embedding",),
    "rerank": ("rerank",),
    "moderation": ("moderation",),
    "image_generation": ("image_generation",),
    "audio_speech": ("audio_speech",),
    "audio_transcription": ("audio_transcription",),
}
SPREAD = 12
"""Requests at a time for a name with several deployments."""
_ALL = "-fail-503-99"
_FAILURES = (
    ("-fail-503-1", "chat after a 503"),
    ("-fail-429-1", "chat after a 429"),
    ("-fail-0-1", "chat after a time-out"),
    (_ALL, "chat while all fail"),
)
_PATIENCE = 2.0
"""Seconds that who asks waits for a provider that does not answer."""


@dataclass(frozen=True)
class Question:
    """``endpoint``: in words; ``times``: how often at once. ``number`` tells its requests from those of others.

    ``breaks``: the provider fails. LiteLLM leaves one that failed alone for a while, so these are for the end.
    """

    number: int
    name: str
    endpoint: str
    path: str
    body: dict[str, Any]
    times: int = 1
    files: dict[str, Any] = field(default_factory=dict)
    breaks: bool = False
    fails_all: bool = False


def questions(names: list[Asked]) -> Iterator[Question]:
    """Every question, each with a number of its own."""
    number = 1000
    for asked in names:
        mode = asked.mode or by_name(asked.models[0])
        name = asked.name.replace("*", "proof")
        for endpoint in _BY_MODE.get(mode, _TEXT):
            number += 1
            yield _question(number, name, endpoint, "")
        if mode == "chat":
            for fails, words in _FAILURES:
                number += 1
                yield _question(number, name, "chat", fails, words)
            if len(asked.lines) > 1:
                number += 1
                yield _question(number, name, "chat", "", "chat, many at once", SPREAD)


def _question(number: int, name: str, endpoint: str, fails: str, words: str = "", times: int = 1) -> Question:
    text = f"proof-{number}{fails}-end" + (" slow-proof" if times > 1 else "")
    thinking = {"type": "enabled", "budget_tokens": 1024}
    messages = [{"role": "user", "content": text}]
    silence = (
        b"RIFF\x24\x00\x00\x00WAVEfmt \x10\x00\x00\x00\x01\x00\x01\x00\x40\x1f\x00\x00\x80\x3e\x00\x00\x02\x00\x10\x00"
    )
    asked: dict[str, tuple[str, dict[str, Any]]] = {
        "chat": ("/v1/chat/completions", {"messages": messages}),
        "stream": ("/v1/chat/completions", {"messages": messages, "stream": True}),
        "messages": ("/v1/messages", {"messages": messages, "max_tokens": 7}),
        "messages with thinking": ("/v1/messages", {"messages": messages, "max_tokens": 2048, "thinking": thinking}),
        "completion": ("/v1/completions", {"prompt": text}),
        "responses": ("/v1/responses", {"input": text}),
        "embedding": ("/v1/embeddings", {"input": text}),
        "rerank": ("/v1/rerank", {"query": text, "documents": ["a", "b"]}),
        "moderation": ("/v1/moderations", {"input": text}),
        "image_generation": ("/v1/images/generations", {"prompt": text}),
        "audio_speech": ("/v1/audio/speech", {"input": text, "voice": "alloy"}),
        "audio_transcription": ("/v1/audio/transcriptions", {"prompt": text}),
    }
    path, body = asked[endpoint]
    if fails.startswith("-fail-0"):
        body = {**body, "timeout": _PATIENCE}
    files = {"file": ("a.wav", silence + b"data\x00\x00\x00\x00", "audio/wav")} if endpoint.endswith("ption") else {}
    asks = {"model": name, **body}
    return Question(number, name, words or endpoint, path, asks, times, files, bool(fails), fails == _ALL)
