"""One row per provider type: how LiteLLM calls it, what its URLs look like, what it needs.

The prefixes were checked against what goes over the wire (tests/unit/spec/test_provider_wire.py) and against
LiteLLM's own list of providers.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from aiops.spec.shapes.option_tables import Mode as Mode

PLACEHOLDER_KEY = "none"
"""Written where a provider has no key. Without one LiteLLM takes the type's usual environment variable
(OLLAMA_API_KEY, OPENAI_API_KEY, …) and sends a key that belongs to somebody else."""

TEXT: tuple[Mode, ...] = ("chat", "completion", "responses")
"""Modes whose answer is written text."""
MODELS = "/v1/models"
"""Where servers that speak OpenAI's API list what they have."""
LATEST = ":latest"
"""The tag of an Ollama model that is meant when none is written: ``name`` and ``name:latest`` are one model."""


def same_model(name: str) -> str | None:
    """The other name of an Ollama model; None when there is none, because another tag is written."""
    if name.endswith(LATEST):
        return name.removesuffix(LATEST)
    return None if ":" in name.rpartition("/")[2] else f"{name}{LATEST}"


@dataclass(frozen=True)
class ProviderType:
    """What aiops knows about a type.

    ``prefix``: LiteLLM's provider name for chat; ``prefixes`` overrides it for other modes.
    ``suffix``: what LiteLLM's ``api_base`` ends in, beyond the server's root.
    ``discovery`` and ``health``: paths below the root, for listing models and for probing without cost.
    ``cloud``: a service with an address of its own, which needs a key; several providers may share the address.
    ``hosts``: where LiteLLM goes for such a service without ``default_url`` when no address is written; with a dot in
    front all hosts below it, with a scheme also its port.
    ``embeds``: whether LiteLLM can ask it for embeddings.
    ``ambient``: it is let in by other means than a key (an account of the machine's), so that it may have none.
    ``parallel``: requests it answers at the same time when nobody says otherwise (the sources stand beside the rows).
    """

    prefix: str
    prefixes: tuple[tuple[Mode, str], ...] = ()
    suffix: str = ""
    default_url: str | None = None
    discovery: str | None = MODELS
    health: str | None = MODELS
    cloud: bool = False
    hosts: tuple[str, ...] = ()
    embeds: bool = True
    parallel: int = 100
    ambient: bool = False

    def prefix_for(self, mode: Mode) -> str:
        """LiteLLM's provider name for a model of this mode."""
        return dict(self.prefixes).get(mode, self.prefix)

    @property
    def needs_url(self) -> bool:
        """Whether the operator has to say where it is."""
        return not self.cloud


def _cloud(prefix: str, *hosts: str, embeds: bool = True) -> ProviderType:
    # LiteLLM knows the address of each; a base_url is only needed to go through a proxy of one's own.
    return ProviderType(prefix, discovery=None, health=None, cloud=True, hosts=hosts, embeds=embeds)


def _ambient(prefix: str, *hosts: str) -> ProviderType:
    return ProviderType(prefix, discovery=None, health=None, cloud=True, hosts=hosts, ambient=True)


TYPES: dict[str, ProviderType] = {
    "ollama": ProviderType(
        "ollama_chat",
        (("completion", "ollama"), ("embedding", "ollama")),
        discovery="/api/tags",
        health="/api/tags",
        parallel=1,  # OLLAMA_NUM_PARALLEL
    ),
    "llama_cpp": ProviderType("llamafile", suffix="/v1", health="/health", parallel=1),  # --parallel
    "vllm": ProviderType("hosted_vllm", suffix="/v1", health="/health", parallel=256),  # --max-num-seqs
    "openai_compatible": ProviderType("openai", suffix="/v1", parallel=8),  # unknown: a guess to be corrected
    "openai": ProviderType(
        "openai", suffix="/v1", default_url="https://api.openai.com", cloud=True, hosts=("api.openai.com",)
    ),
    "anthropic": ProviderType(
        "anthropic", default_url="https://api.anthropic.com", cloud=True, hosts=("api.anthropic.com",), embeds=False
    ),
    "cerebras": _cloud("cerebras", "api.cerebras.ai", embeds=False),
    "cohere": replace(_cloud("cohere_chat", "api.cohere.com", "api.cohere.ai"), prefixes=(("rerank", "cohere"),)),
    "deepinfra": _cloud("deepinfra", "api.deepinfra.com", embeds=False),
    "deepseek": _cloud("deepseek", "api.deepseek.com", embeds=False),
    "fireworks_ai": _cloud("fireworks_ai", "api.fireworks.ai"),
    "gemini": _cloud("gemini", "generativelanguage.googleapis.com"),
    "groq": _cloud("groq", "api.groq.com", embeds=False),
    "mistral": _cloud("mistral", "api.mistral.ai"),
    "moonshot": _cloud("moonshot", "api.moonshot.ai", embeds=False),
    "openrouter": _cloud("openrouter", "openrouter.ai"),
    "perplexity": _cloud("perplexity", "api.perplexity.ai"),
    "together_ai": _cloud("together_ai", "api.together.ai", "api.together.xyz"),
    "xai": _cloud("xai", "api.x.ai", embeds=False),
    # Which host it is depends on a region, and the account is that of the machine: the service that vouches for it.
    "azure": _ambient("azure", ".azure.com", "login.microsoftonline.com"),
    "bedrock": _ambient("bedrock", ".amazonaws.com", "http://169.254.169.254", "http://169.254.170.2"),
    "vertex_ai": _ambient("vertex_ai", ".googleapis.com", "http://169.254.169.254", "http://metadata.google.internal"),
}
