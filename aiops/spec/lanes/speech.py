"""Per provider type, what it understands without LiteLLM. Decision 0044 says how each was read.

``own``: paths at which LiteLLM changes nothing that matters, so that they are asked directly by themselves.
``declared``: what more is asked directly of a provider that says ``lane: direct``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from aiops.spec.lanes.table import Wire

TEXT = frozenset({"chat/completions", "completions"})
_AUDIO = frozenset({"audio/speech", "audio/transcriptions", "audio/translations"})
_HEARING = frozenset({"audio/transcriptions", "audio/translations"})
_EMBEDDINGS = frozenset({"embeddings"})
_RESPONSES = frozenset({"responses"})
_RERANK = frozenset({"rerank"})
_MESSAGES = frozenset({"messages"})
BY_THE_PIECE = _AUDIO | _RERANK
"""What is paid for by seconds, characters or questions: no answer says what it cost."""
_NONE: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Speech:
    """``address``: of a service, when none is written: LiteLLM knows it by heart. ``why``: what is not asked directly
    is not. ``takes``: options that it understands, under LiteLLM's names; None: all that the type has. ``rename``: a
    field -> what it calls it."""

    own: frozenset[str] = _NONE
    declared: frozenset[str] = _NONE
    address: str | None = None
    wire: Wire = "openai"
    why: str = ""
    takes: frozenset[str] | None = None
    rename: Mapping[str, str] = field(default_factory=dict)


def _service(address: str, *, embeds: bool = False) -> Speech:
    # Each renames or leaves out fields, or changes messages: litellm/llms/<type>/chat/transformation.py.
    why = "LiteLLM fits what is asked to what the service takes; `lane: direct` sends it as it came"
    return Speech(declared=TEXT | (_EMBEDDINGS if embeds else _NONE), address=address, why=why)


SPEECH: Mapping[str, Speech] = {
    "openai_compatible": Speech(own=TEXT | _EMBEDDINGS | _RESPONSES | _AUDIO | _RERANK, declared=_MESSAGES),
    "openai": Speech(own=TEXT | _EMBEDDINGS | _RESPONSES | _AUDIO),
    "vllm": Speech(own=TEXT | _EMBEDDINGS | _RESPONSES | _HEARING | _RERANK, declared=_MESSAGES),
    "llama_cpp": Speech(own=TEXT | _EMBEDDINGS | _RERANK, declared=_MESSAGES | _RESPONSES),
    "anthropic": Speech(
        own=_MESSAGES,
        wire="anthropic",
        why="LiteLLM translates it for Anthropic; only /v1/messages goes directly",
        takes=frozenset(),
    ),
    "ollama": Speech(
        declared=TEXT | _EMBEDDINGS | _RESPONSES | _MESSAGES,
        why="LiteLLM asks it at /api/chat, with `num_ctx`, `keep_alive` and `think`; `lane: direct` asks it at /v1",
        takes=frozenset({"temperature", "top_p", "seed", "stop", "max_tokens"}),
    ),
    "cerebras": Speech(
        own=frozenset({"chat/completions"}),
        declared=TEXT,
        address="https://api.cerebras.ai/v1",
        rename={"max_completion_tokens": "max_tokens"},
    ),
    "deepinfra": _service("https://api.deepinfra.com/v1/openai"),
    "deepseek": _service("https://api.deepseek.com/beta"),
    "fireworks_ai": _service("https://api.fireworks.ai/inference/v1", embeds=True),
    "groq": _service("https://api.groq.com/openai/v1"),
    "mistral": _service("https://api.mistral.ai/v1", embeds=True),
    "moonshot": _service("https://api.moonshot.ai/v1"),
    "openrouter": _service("https://openrouter.ai/api/v1", embeds=True),
    "perplexity": _service("https://api.perplexity.ai"),
    "together_ai": _service("https://api.together.ai/v1", embeds=True),
    "xai": _service("https://api.x.ai/v1"),
}
"""Types that are not here speak something else, and are asked by way of LiteLLM alone."""


def speaks(kind: str) -> bool:
    """Whether a provider of this type can be asked directly at all."""
    return kind in SPEECH
