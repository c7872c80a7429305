"""One row per provider type: how LiteLLM calls it, what its URLs look like, what it needs.

The prefixes were checked against what goes over the wire (tests/unit/spec/test_provider_wire.py) and against
LiteLLM's own list of providers.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Mode = Literal["chat", "completion", "embedding"]

PLACEHOLDER_KEY = "none"
"""Sent where LiteLLM insists on a key and the server wants none."""


@dataclass(frozen=True)
class ProviderType:
    """What aiops knows about a type.

    ``prefix``: LiteLLM's provider name for chat; ``prefixes`` overrides it for other modes.
    ``suffix``: what LiteLLM's ``api_base`` ends in, beyond the server's root.
    ``key``: ``required``, ``optional`` (none is fine), or ``placeholder`` (LiteLLM wants some text).
    ``discovery``/``health``: paths below the root, for listing models and for probing without cost.
    """

    prefix: str
    prefixes: tuple[tuple[Mode, str], ...] = ()
    suffix: str = ""
    key: Literal["required", "optional", "placeholder"] = "required"
    default_url: str | None = None
    discovery: str | None = "/v1/models"
    health: str | None = "/v1/models"
    cloud: bool = False

    def prefix_for(self, mode: Mode) -> str:
        """LiteLLM's provider name for a model of this mode."""
        return dict(self.prefixes).get(mode, self.prefix)

    @property
    def needs_url(self) -> bool:
        """Whether the operator has to say where it is."""
        return self.default_url is None and not self.cloud


def _cloud(prefix: str, default_url: str | None = None, **more: str) -> ProviderType:
    # LiteLLM knows the address of each; a base_url is only needed to go through a proxy of one's own.
    return ProviderType(
        prefix, default_url=default_url, discovery=None, health=None, cloud=True, suffix=more.get("suffix", "")
    )


TYPES: dict[str, ProviderType] = {
    "ollama": ProviderType(
        "ollama_chat",
        (("completion", "ollama"), ("embedding", "ollama")),
        key="optional",
        discovery="/api/tags",
        health="/api/tags",
    ),
    "llama_cpp": ProviderType("llamafile", suffix="/v1", key="optional", health="/health"),
    "vllm": ProviderType("hosted_vllm", suffix="/v1", key="optional", health="/health"),
    "openai_compatible": ProviderType("openai", suffix="/v1", key="placeholder"),
    "openai": ProviderType("openai", suffix="/v1", default_url="https://api.openai.com", cloud=True),
    "anthropic": ProviderType("anthropic", default_url="https://api.anthropic.com", cloud=True),
    "cerebras": _cloud("cerebras"),
    "cohere": _cloud("cohere_chat"),
    "deepinfra": _cloud("deepinfra"),
    "deepseek": _cloud("deepseek"),
    "fireworks_ai": _cloud("fireworks_ai"),
    "gemini": _cloud("gemini"),
    "groq": _cloud("groq"),
    "mistral": _cloud("mistral"),
    "moonshot": _cloud("moonshot"),
    "openrouter": _cloud("openrouter"),
    "perplexity": _cloud("perplexity"),
    "together_ai": _cloud("together_ai"),
    "xai": _cloud("xai"),
}
