"""Per provider type, what may stand below ``options:``: the backend's own names, and how LiteLLM is told.

Everything here was seen arriving at the backend under its name (tests/unit/spec/test_provider_wire.py), and gives way
to the same parameter in a request. Sources: Ollama api/types.go (Options, Runner), vLLM's OpenAI protocol and
SamplingParams, llama.cpp tools/server/README.md, the API references of OpenAI and Anthropic.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, get_args

Mode = Literal[
    "chat",
    "completion",
    "embedding",
    "responses",
    "audio_transcription",
    "audio_speech",
    "image_generation",
    "rerank",
    "moderation",
]
"""What a model is asked for, in LiteLLM's words (``model_info.mode``)."""
Kind = Literal[
    "whole", "number", "seconds", "text", "secret", "switch", "texts", "wholes", "mapping", "duration", "switch_or_text"
]

CHAT: tuple[Mode, ...] = ("chat",)
TEXT: tuple[Mode, ...] = ("chat", "completion")
EMBEDDING: tuple[Mode, ...] = ("embedding",)
ALL: tuple[Mode, ...] = ("chat", "completion", "embedding")
ANY: tuple[Mode, ...] = get_args(Mode)


@dataclass(frozen=True)
class Option:
    """``kind``: what its value is. ``modes``: the models whose requests carry it. ``litellm``: LiteLLM's name for it.

    LiteLLM's name is written where it has one, so that the parameter of a request (``max_tokens``) replaces this value.
    """

    kind: Kind
    modes: tuple[Mode, ...] = TEXT
    litellm: str | None = None


Options = Mapping[str, Option]


def _of(kind: Kind, *names: str, modes: tuple[Mode, ...] = TEXT) -> dict[str, Option]:
    return {name: Option(kind, modes) for name in names}


_USUAL: Options = {**_of("number", "temperature", "top_p"), **_of("whole", "seed"), **_of("texts", "stop")}
_PENALTIES: Options = _of("number", "presence_penalty", "frequency_penalty")

_OLLAMA: Options = {
    **_USUAL,
    **_of("whole", "top_k", "num_keep", "repeat_last_n"),
    **_of("number", "min_p", "typical_p", "repeat_penalty"),
    "num_predict": Option("whole", TEXT, "max_tokens"),
    **_of("whole", "num_ctx", "num_batch", "num_gpu", "main_gpu", "num_thread", modes=ALL),
    **_of("switch", "use_mmap", modes=ALL),
    # For /api/generate LiteLLM puts it among the options, where Ollama does not look.
    "keep_alive": Option("duration", ("chat", "embedding")),
    "think": Option("switch_or_text", TEXT),
    "truncate": Option("switch", EMBEDDING),
}
# The server's own parameters, which nobody here can know: they go into the body as they are.
_EXTRA: Options = _of("mapping", "extra_body", modes=ANY)
_OPENAI_LIKE: Options = {**_USUAL, **_PENALTIES, **_of("whole", "max_tokens"), **_of("mapping", "logit_bias")}
_VLLM: Options = {
    **_OPENAI_LIKE,
    **_of("whole", "top_k", "min_tokens", "priority"),
    **_of("number", "min_p", "repetition_penalty"),
    **_of("wholes", "stop_token_ids", "allowed_token_ids"),
    **_of("switch", "include_stop_str_in_output", "ignore_eos", "skip_special_tokens", "spaces_between_special_tokens"),
    **_of("whole", "truncate_prompt_tokens", modes=ALL),
    **_of("texts", "bad_words", modes=CHAT),
    **_of("mapping", "chat_template_kwargs", modes=CHAT),
    **_of("whole", "dimensions", modes=EMBEDDING),
    **_EXTRA,
}
_LLAMA_CPP: Options = {
    **_OPENAI_LIKE,
    **_of("whole", "top_k", "repeat_last_n", "min_keep", "mirostat", "n_keep", "n_indent", "t_max_predict_ms"),
    **_of("whole", "dry_allowed_length", "dry_penalty_last_n", "id_slot"),
    **_of("number", "min_p", "typical_p", "top_n_sigma", "dynatemp_range", "dynatemp_exponent", "repeat_penalty"),
    **_of("number", "dry_multiplier", "dry_base", "xtc_probability", "xtc_threshold", "mirostat_tau", "mirostat_eta"),
    **_of("texts", "samplers", "dry_sequence_breakers"),
    **_of("text", "grammar"),
    **_of("switch", "cache_prompt", "ignore_eos"),
    **_of("mapping", "chat_template_kwargs", modes=CHAT),
    **_of("text", "reasoning_format", modes=CHAT),
    **_of("mapping", "extra_body"),  # of embeddings LiteLLM sends it under that very name
}
_OPENAI_COMPATIBLE: Options = {
    **_OPENAI_LIKE,
    **_of("whole", "top_k"),
    **_of("number", "min_p", "repetition_penalty"),
    **_of("mapping", "chat_template_kwargs", modes=CHAT),
    **_of("text", "reasoning_effort", modes=CHAT),
    **_EXTRA,
}
# Without max_tokens: OpenAI refuses a request that has it beside the max_completion_tokens of a client.
_OPENAI: Options = {
    **_USUAL,
    **_PENALTIES,
    **_of("mapping", "logit_bias"),
    **_of("text", "reasoning_effort", "verbosity", "service_tier", modes=CHAT),
    **_of("text", "prompt_cache_key", "safety_identifier", modes=CHAT),
    **_of("switch", "store", "parallel_tool_calls", modes=CHAT),
    **_of("whole", "dimensions", modes=EMBEDDING),
}
_ANTHROPIC: Options = {
    **_of("whole", "max_tokens", "top_k", modes=CHAT),
    **_of("number", "temperature", "top_p", modes=CHAT),
    "stop_sequences": Option("texts", CHAT, "stop"),
    "thinking": Option("mapping", CHAT),
}


def _service(*more: str) -> Options:
    kinds: dict[str, Kind] = {"seed": "whole", "stop": "texts", "reasoning_effort": "text"}
    return {
        **_of("number", "temperature", "top_p", modes=CHAT),
        **_of("whole", "max_tokens", modes=CHAT),
        **{name: Option(kinds.get(name, "number"), CHAT) for name in more},
    }


# What LiteLLM does with a request itself, whatever the type: none of it is sent to the provider.
_HANDLING: Options = {
    **_of("switch", "drop_params", modes=ANY),
    **_of("texts", "additional_drop_params", "allowed_openai_params", modes=ANY),
    **_of("mapping", "extra_headers", modes=ANY),
    **_of("seconds", "timeout", "stream_timeout", modes=ANY),
    **_of("whole", "num_retries", "max_retries", modes=ANY),
    **_of("switch", "merge_reasoning_content_in_choices", "use_chat_completions_api", modes=CHAT),
    **_of("switch", "supports_system_message", modes=CHAT),
    **_of("text", "organization", modes=ANY),
}
HANDLING = frozenset(_HANDLING)
"""The names of these."""

_AWS: Options = {
    **_of("text", "aws_region_name", "aws_session_name", "aws_profile_name", "aws_role_name", modes=ANY),
    **_of("text", "aws_sts_endpoint", "aws_external_id", "aws_bedrock_runtime_endpoint", modes=ANY),
    **_of("secret", "aws_access_key_id", "aws_secret_access_key", "aws_session_token", modes=ANY),
    **_of("secret", "aws_web_identity_token", modes=ANY),
}
_VERTEX: Options = {
    **_of("text", "vertex_project", "vertex_location", modes=ANY),
    **_of("secret", "vertex_credentials", modes=ANY),
}
_AZURE: Options = {
    **_of("text", "api_version", "tenant_id", "client_id", "azure_scope", modes=ANY),
    **_of("secret", "azure_ad_token", "client_secret", modes=ANY),
}

_BOTH_PENALTIES = ("presence_penalty", "frequency_penalty")

_BY_TYPE: Mapping[str, Options] = {
    "ollama": _OLLAMA,
    "llama_cpp": _LLAMA_CPP,
    "vllm": _VLLM,
    "openai_compatible": _OPENAI_COMPATIBLE,
    "openai": _OPENAI,
    "anthropic": _ANTHROPIC,
    "cerebras": _service("seed", "stop"),
    "cohere": _service("seed", "stop", *_BOTH_PENALTIES),
    "deepinfra": _service("stop", *_BOTH_PENALTIES),
    "deepseek": _service("seed", "stop", "reasoning_effort", *_BOTH_PENALTIES),
    "fireworks_ai": _service("seed", "stop", *_BOTH_PENALTIES),
    "gemini": _service("seed", "stop", "reasoning_effort", *_BOTH_PENALTIES),
    "groq": _service("seed", "stop", *_BOTH_PENALTIES),
    "mistral": _service("seed", "stop"),
    "moonshot": _service("seed", "stop", *_BOTH_PENALTIES),
    "openrouter": _service("seed", "stop", "reasoning_effort", *_BOTH_PENALTIES),
    "perplexity": _service(*_BOTH_PENALTIES),
    "together_ai": _service("seed", "stop", *_BOTH_PENALTIES),
    "xai": _service("seed", "stop", *_BOTH_PENALTIES),
    "azure": {**_OPENAI, **_of("whole", "max_tokens"), **_AZURE},
    "bedrock": {**_service("stop"), **_of("whole", "top_k", modes=CHAT), "thinking": Option("mapping", CHAT), **_AWS},
    "vertex_ai": {**_service("seed", "stop", "reasoning_effort", *_BOTH_PENALTIES), **_VERTEX},
}
OPTIONS: Mapping[str, Options] = {name: {**options, **_HANDLING} for name, options in _BY_TYPE.items()}

_LAUNCH: Mapping[str, tuple[str, ...]] = {
    # llama.cpp, and its Python server
    "llama_cpp": (
        *("n_gpu_layers", "num_gpu_layers", "ngl", "n_ctx", "ctx_size", "n_parallel", "parallel", "threads"),
        *("n_threads", "n_batch", "batch_size", "ubatch_size", "n_ubatch", "flash_attn", "mlock", "use_mlock"),
        *("no_mmap", "cont_batching", "rope_freq_base", "rope_freq_scale", "tensor_split", "split_mode"),
        *("chat_template", "mmproj", "model_path"),
    ),
    "vllm": (
        *("gpu_memory_utilization", "max_model_len", "max_num_seqs", "max_num_batched_tokens", "dtype"),
        *("tensor_parallel_size", "pipeline_parallel_size", "kv_cache_dtype", "quantization", "enforce_eager"),
        *("swap_space", "block_size", "enable_prefix_caching", "trust_remote_code", "served_model_name"),
    ),
    # Ollama reads these from its environment: OLLAMA_NUM_PARALLEL, …
    "ollama": ("num_parallel", "max_loaded_models", "kv_cache_type", "flash_attention", "context_length", "max_queue"),
}
LAUNCH: Mapping[str, str] = {name: kind for kind, names in _LAUNCH.items() for name in names}
"""Settings of a server's own start, which no request can change, and whose they are."""

SAME_AS: Mapping[str, tuple[str, ...]] = {
    "n_gpu_layers": ("num_gpu",),
    "num_gpu_layers": ("num_gpu",),
    "ngl": ("num_gpu",),
    "n_ctx": ("num_ctx",),
    "ctx_size": ("num_ctx",),
    "context_length": ("num_ctx",),
    "threads": ("num_thread",),
    "n_threads": ("num_thread",),
    "n_batch": ("num_batch",),
    "batch_size": ("num_batch",),
    "max_tokens": ("num_predict",),
    "n_predict": ("num_predict", "max_tokens"),
    "num_predict": ("max_tokens",),
    "max_new_tokens": ("max_tokens", "num_predict"),
    "repeat_penalty": ("repetition_penalty",),
    "repetition_penalty": ("repeat_penalty",),
    "stop": ("stop_sequences",),
    "stop_sequences": ("stop",),
}
"""What other backends call it, and what it may be called here: the first that the type knows is meant."""
