"""What a model is for when nobody wrote it: by its name, as people and hubs call such models.

LiteLLM itself does not ask: it sends every request to whatever model it is told. aiops proves each model by a request
of its kind, so it has to know.
"""

from __future__ import annotations

import re

from aiops.spec.shapes.provider_types import Mode

_EMBEDS = r"embed|(^|[/_-])(bge|e5|gte|all-minilm|paraphrase|jina-embeddings|arctic-embed)([-_:.]|$)"
_BY_NAME: tuple[tuple[Mode, re.Pattern[str]], ...] = (
    ("rerank", re.compile(r"re-?rank", re.IGNORECASE)),
    ("moderation", re.compile(r"moderation", re.IGNORECASE)),
    ("embedding", re.compile(_EMBEDS, re.IGNORECASE)),
    ("audio_transcription", re.compile(r"whisper|transcribe", re.IGNORECASE)),
    ("audio_speech", re.compile(r"(^|[/_-])tts([-_:.]|$)|kokoro", re.IGNORECASE)),
    ("image_generation", re.compile(r"dall-e|gpt-image|(^|[/_-])(sdxl|flux|stable-diffusion)", re.IGNORECASE)),
)


def by_name(name: str) -> Mode:
    """The first that fits; a chat model when nothing in its name says otherwise."""
    return next((mode for mode, pattern in _BY_NAME if pattern.search(name)), "chat")
