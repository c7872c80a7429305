"""What the options of a deployment are in a request that LiteLLM does not make, or why only it can do what they say.

Held against what LiteLLM really sends by tests/unit/spec/test_lanes_wire.py.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from aiops.spec.lanes.table import Value
from aiops.spec.shapes.reference import REFERENCE

OPENAI_FIELDS = frozenset(
    {
        *("frequency_penalty", "presence_penalty", "logit_bias", "logprobs", "top_logprobs", "n", "seed", "stop"),
        *("max_tokens", "max_completion_tokens", "temperature", "top_p", "user", "response_format"),
        *("tools", "tool_choice", "parallel_tool_calls", "functions", "function_call"),
        *("modalities", "audio", "prediction", "web_search_options", "service_tier", "store"),
        *("safety_identifier", "prompt_cache_key", "prompt_cache_retention"),
    }
)
"""Which of ``extra_body`` LiteLLM puts before what the client wrote; all else gives way to it."""
_OF_THE_REQUEST = frozenset({"model", "messages", "prompt", "input", "stream", "stream_options", "extra_body"})
_RETRIES = "LiteLLM counts how often it is asked again"
_HINDERED: Mapping[str, tuple[object, str]] = {
    "drop_params": (True, "LiteLLM knows what the model does not take"),
    "merge_reasoning_content_in_choices": (True, "LiteLLM rewrites the answer"),
    "supports_system_message": (False, "LiteLLM rewrites messages"),
}
"""Switches of LiteLLM's that only count in one position, and what it does then."""
_IGNORED = frozenset({"allowed_openai_params", "use_chat_completions_api", "timeout", "stream_timeout", *_HINDERED})
_NOT_OURS = frozenset(
    {
        *("authorization", "x-api-key", "anthropic-beta", "anthropic-version"),
        *("host", "connection", "transfer-encoding", "accept-encoding"),
    }
)
_OPENAI_CLIENT = frozenset({"openai", "openai_compatible"})


@dataclass(frozen=True, kw_only=True)
class Told:
    """As in ``Direct``."""

    headers: Mapping[str, str] = field(default_factory=dict)
    defaults: Mapping[str, Value] = field(default_factory=dict)
    forced: Mapping[str, Value] = field(default_factory=dict)
    drop: frozenset[str] = frozenset()

    @property
    def changes_bodies(self) -> bool:
        return bool(self.defaults or self.forced or self.drop)


def hindrance(kind: str, takes: frozenset[str] | None, name: str, value: object) -> str | None:
    """Why a deployment of this type with this option, under LiteLLM's name, can only be asked by way of LiteLLM."""
    if name in ("num_retries", "max_retries"):
        return _RETRIES
    if name in _HINDERED:
        counts, why = _HINDERED[name]
        return why if value is counts else None
    if name == "extra_headers":
        return next(_hindering_headers(value), None)
    if name == "organization" and kind not in _OPENAI_CLIENT:
        return "LiteLLM alone knows where it belongs"
    if name == "additional_drop_params":
        deep = [each for each in _texts(value) if "." in each or "[" in each]
        return f"LiteLLM finds `{deep[0]}` in a request" if deep else None
    if name in _IGNORED or name == "organization":
        return None
    if _refers(value):
        return "LiteLLM reads it from the environment"
    if name == "extra_body":
        fields = value if isinstance(value, Mapping) else {}
        return next((f"LiteLLM puts `{each}` where it belongs" for each in fields if each in _OF_THE_REQUEST), None)
    if takes is not None and name not in takes:
        return "only LiteLLM asks with it"
    return None


def told(params: Mapping[str, Value]) -> Told:
    """What options become that have no hindrance."""
    extra = params.get("extra_body")
    extra = extra if isinstance(extra, dict) else {}
    drop = frozenset(_texts(params.get("additional_drop_params")))
    own = {name: value for name, value in params.items() if name not in _HANDLED}
    headers = params.get("extra_headers")
    found = {str(name): str(value) for name, value in headers.items()} if isinstance(headers, dict) else {}
    if isinstance(organization := params.get("organization"), str):
        found.setdefault("OpenAI-Organization", organization)
    defaults = {name: value for name, value in extra.items() if name not in OPENAI_FIELDS} | own
    return Told(
        headers=found,
        defaults={name: value for name, value in defaults.items() if name not in drop},
        forced={name: value for name, value in extra.items() if name in OPENAI_FIELDS - drop},
        drop=drop,
    )


_HANDLED = frozenset({"extra_headers", "extra_body", "organization", "additional_drop_params", *_IGNORED})


def _hindering_headers(value: object) -> Iterator[str]:
    for name, text in value.items() if isinstance(value, Mapping) else ():
        if str(name).lower() in _NOT_OURS or str(name).lower().startswith("content-"):
            yield f"LiteLLM sends `{name}` in the place of its own"
        elif not isinstance(text, str):
            yield f"`{name}` is no text"


def _refers(value: object) -> bool:
    """Whether it, or something in it, stands in the environment."""
    if isinstance(value, Mapping):
        return any(map(_refers, value.values()))
    if isinstance(value, list | tuple):
        return any(map(_refers, value))
    return isinstance(value, str) and REFERENCE.fullmatch(value) is not None


def _texts(value: object) -> list[str]:
    return [str(each) for each in value] if isinstance(value, list | tuple) else []
