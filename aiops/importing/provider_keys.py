"""What older provider registries hold that is not a key of ours: what each meant, and why it stays a comment."""

from __future__ import annotations

from aiops.importing.report import Fate

SERVER = "how the model server is started; that belongs on its own command line, no gateway can set it"
_WORDS = "nothing reads it; it stays as a comment"

PROVIDER: dict[str, tuple[Fate, str]] = {
    "configuration": (Fate.DROPPED, SERVER),
    "gpu_memory_utilization": (Fate.DROPPED, SERVER),
    "tensor_parallel_size": (Fate.DROPPED, SERVER),
    "max_num_seqs": (Fate.DROPPED, SERVER),
    "n_gpu_layers": (Fate.DROPPED, SERVER),
    "max_model_len": (Fate.DROPPED, SERVER),
    "hardware_requirements": (Fate.DOCUMENTATION, _WORDS),
    "api_format": (Fate.DROPPED, "the `type` says how to talk to it"),
    "requires_api_key": (Fate.DROPPED, "a provider with `api_key_env` or `api_key_file` has a key, others have none"),
    "rate_limits": (
        Fate.DROPPED,
        "no limit was ever enforced by it; `exact_matches.NAME.rate_limit: {rpm, tpm}` is one that holds",
    ),
    "rate_limit": (
        Fate.DROPPED,
        "no limit was ever enforced by it; `exact_matches.NAME.rate_limit: {rpm, tpm}` is one that holds",
    ),
    "service_file": (Fate.DOCUMENTATION, "not the path of a systemd unit; it stays as a comment"),
    "timeout": (Fate.DROPPED, "it had no effect per provider; `gateway.request_timeout` in aiops.yaml is for all"),
    "timeout_seconds": (Fate.DROPPED, "it had no effect per provider; `gateway.request_timeout` is for all"),
    "max_retries": (Fate.DROPPED, "it had no effect per provider; `gateway.retries` in aiops.yaml is for all"),
    "health_check": (Fate.DROPPED, "`health_endpoint` says what to probe; the rest never had an effect"),
}
MODEL: dict[str, tuple[Fate, str]] = {
    "model_size_gb": (Fate.DOCUMENTATION, _WORDS),
    "kv_cache_available_gb": (Fate.DOCUMENTATION, _WORDS),
}
SECTIONS: dict[str, tuple[Fate, str]] = {
    "metadata": (Fate.DOCUMENTATION, "about the file; it stays in it as a comment"),
    "notes": (Fate.DOCUMENTATION, "about the file; it stays in it as a comment"),
    "version": (Fate.DOCUMENTATION, "about the file; it stays in it as a comment"),
    "last_updated": (Fate.DOCUMENTATION, "about the file; it stays in it as a comment"),
    "description": (Fate.DOCUMENTATION, "about the file; it stays in it as a comment"),
    "health_checks": (
        Fate.DROPPED,
        "nothing ran it; `aiops validate` and `aiops doctor` probe the `health_endpoint` of each provider",
    ),
}
RENAMED = {"env_var": "api_key_env", "url": "base_url", "endpoint": "base_url", "api_base": "base_url"}
TYPES = {
    "llamacpp": "llama_cpp",
    "llama.cpp": "llama_cpp",
    "llama-cpp": "llama_cpp",
    "llamafile": "llama_cpp",
    "ollama_chat": "ollama",
    "ollama_cloud": "ollama",
    "hosted_vllm": "vllm",
    "openai-compatible": "openai_compatible",
    "openai_like": "openai_compatible",
    **dict.fromkeys(("lmstudio", "lm_studio", "localai", "tgi", "sglang", "fastchat", "tabbyapi"), "openai_compatible"),
    "google": "gemini",
    "together": "together_ai",
    "fireworks": "fireworks_ai",
}
STATUSES = {
    **dict.fromkeys(("enabled", "on", "running", "production", "available"), "active"),
    **dict.fromkeys(("inactive", "off", "stopped", "deprecated", "planned", "maintenance"), "disabled"),
    "example": "template",
}
DOCUMENTED = frozenset(("description", "features", "docs", "notes", "location", "tags", "quantization", "specialty"))
"""Keys of ours that have no effect but are shown, in ``model_info``."""
DOCUMENTED_OF_MODELS = DOCUMENTED | {"pulled_at"}
