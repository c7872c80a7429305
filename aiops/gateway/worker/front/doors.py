"""Which paths exist on the public port: an allow-list. What is not here is not there, whatever LiteLLM brings.

A door is a method and a path in LiteLLM's own spelling: ``{name}`` is one step, ``{name:path}`` any number of them.
docs/decisions/0019 says why the list is ours and how it is held to LiteLLM's.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from aiops.spec.shapes.exposed import GROUPS, Group

WEBSOCKET = "WEBSOCKET"
"""Stands where the method of a request would."""

ANY = ("GET", "POST", "PUT", "PATCH", "DELETE")


class Door(NamedTuple):
    method: str
    path: str

    def __str__(self) -> str:
        return f"{self.method} {self.path}"


def _doors(method: str, *paths: str) -> tuple[Door, ...]:
    return tuple(Door(method, path) for path in paths)


def _both(method: str, *paths: str) -> tuple[Door, ...]:
    """Each with and without ``/v1``, as OpenAI's clients are configured either way."""
    return tuple(Door(method, prefix + path) for path in paths for prefix in ("/v1", ""))


def _every(*paths: str) -> tuple[Door, ...]:
    return tuple(Door(method, path) for path in paths for method in ANY)


_COMPLETIONS = ("chat/completions", "completions", "embeddings")
_IMAGES = ("images/generations", "images/edits")

ASKED_WITH_A_MODEL: tuple[Door, ...] = (
    *_both("POST", "/chat/completions", "/completions", "/embeddings", "/moderations", "/rerank", "/ocr"),
    *_both("POST", "/images/generations", "/images/edits", "/audio/speech", "/audio/transcriptions"),
    *_both("POST", "/responses", "/responses/compact", "/responses/input_tokens"),
    *_both(WEBSOCKET, "/responses", "/realtime"),
    *_doors("POST", "/v2/rerank", "/v1/messages", "/v1/messages/count_tokens"),
    *_doors("POST", *(f"/engines/{{model:path}}/{what}" for what in _COMPLETIONS)),
    *_doors("POST", *(f"/openai/deployments/{{model:path}}/{what}" for what in (*_COMPLETIONS, *_IMAGES))),
    *_doors("POST", "/openai/v1/responses", "/openai/v1/responses/compact", "/openai/v1/responses/input_tokens"),
    *_doors(WEBSOCKET, "/openai/v1/realtime"),
    *_doors(
        "POST",
        *(
            f"{prefix}/models/{{model_name:path}}:{verb}"
            for prefix in ("/v1beta", "")
            for verb in ("generateContent", "streamGenerateContent", "countTokens")
        ),
    ),
)
"""What this port is for."""

_RESPONSE = ("/responses/{response_id}", "/responses/{response_id}/input_items")

LISTINGS: tuple[Door, ...] = (
    *_both("GET", "/models", "/models/{model_id}", "/model/info"),
    *_doors("GET", "/model_group/info"),
)
"""Which models there are, and what the operator wrote about them."""

ANSWERS: tuple[Door, ...] = (
    *_both("GET", *_RESPONSE),
    *_both("DELETE", _RESPONSE[0]),
    *_both("POST", f"{_RESPONSE[0]}/cancel"),
    *_doors("GET", *(f"/openai/v1{path}" for path in _RESPONSE)),
    *_doors("DELETE", f"/openai/v1{_RESPONSE[0]}"),
    *_doors("POST", f"/openai/v1{_RESPONSE[0]}/cancel"),
)
"""An answer of the responses API that its provider keeps: its id says which provider."""

ALWAYS: tuple[Door, ...] = (*ASKED_WITH_A_MODEL, *LISTINGS, *ANSWERS)

_HEALTH = ("/health/liveliness", "/health/liveness", "/health/readiness")
WITHOUT_A_KEY: tuple[Door, ...] = _doors("GET", *_HEALTH)
"""LiteLLM's own health, for load balancers that ask it. Those of aiops are answered before."""

_SERVICES = [
    "anthropic",
    "assemblyai",
    "azure",
    "azure_ai",
    "azure_speech",
    "bedrock",
    "cohere",
    "cursor",
    "eu.assemblyai",
    "fal_ai",
    "gemini",
    "gigachat",
    "langfuse",
    "milvus",
    "mistral",
    "nvidia_nim",
    "openai",
    "openai_passthrough",
    "openrouter",
    "typesafe",
    "vertex-ai",
    "vertex_ai",
    "vllm",
    "watsonx",
]

OPENED: Mapping[Group, tuple[Door, ...]] = {
    "openapi": _doors(
        "GET", "/", "/openapi.json", "/redoc", "/docs/oauth2-redirect", "/routes", "/swagger/{path:path}"
    ),
    "ui": (
        *_doors("GET", "/ui", "/ui/{path:path}", "/_next/{path:path}", "/litellm-asset-prefix/_next/{path:path}"),
        *_doors("GET", "/get_image", "/get_favicon", "/get_logo_url", "/fallback/login", "/sso/key/generate"),
        *_doors("GET", "/sso/callback", "/onboarding/get_token", "/.well-known/litellm-ui-config"),
        *_doors("GET", "/litellm/.well-known/litellm-ui-config"),
        *_doors("POST", "/login", "/v2/login", "/v3/login", "/v3/login/exchange", "/onboarding/claim_token"),
    ),
    "mcp": (
        *_every("/mcp", "/mcp/{path:path}", "/{mcp_server_name}/mcp", "/toolset/{toolset_name}/mcp"),
        *_every("/v1/mcp/{path:path}", "/mcp-rest/{path:path}", "/.well-known/{path:path}"),
        *_doors("GET", "/authorize", "/{mcp_server_name}/authorize", "/callback"),
        *_doors("POST", "/token", "/{mcp_server_name}/token", "/register", "/{mcp_server_name}/register", "/revoke"),
    ),
    "files": (
        *(
            door
            for what in ("files", "batches", "fine_tuning", "vector_stores", "assistants", "threads", "videos")
            for door in (
                *_every(f"/v1/{what}", f"/{what}"),
                *_every(f"/v1/{what}/{{path:path}}", f"/{what}/{{path:path}}"),
            )
        ),
        *_every("/{provider}/v1/files", "/{provider}/v1/files/{path:path}"),
        *_every("/{provider}/v1/batches", "/{provider}/v1/batches/{path:path}"),
        *_every("/v1/containers", "/v1/containers/{path:path}", "/v1/skills", "/v1/skills/{path:path}"),
        *_every("/containers", "/containers/{path:path}"),
    ),
    "passthrough": (
        *(door for service in _SERVICES for door in _every(f"/{service}/{{endpoint:path}}")),
        *_doors(WEBSOCKET, "/openai/{endpoint:path}", "/openai_passthrough/{endpoint:path}", "/vertex_ai/live"),
        *_doors(WEBSOCKET, "/deepgram/listen", "/deepgram/v1/listen"),
    ),
    "utils": (
        *_doors("POST", "/utils/token_counter", "/utils/transform_request"),
        *_doors("GET", "/utils/supported_openai_params", "/utils/model_info", "/health", "/health/readiness/details"),
    ),
}
"""By the names that ``gateway.expose`` takes."""


class Doors:
    """Those that are open with these groups. Looking one up is a set, and one expression for those with parameters."""

    def __init__(self, exposed: Iterable[str] = ()) -> None:
        opened = [door for name in GROUPS if name in set(exposed) for door in OPENED[name]]
        self._asked = _Lookup(ASKED_WITH_A_MODEL)
        self._listings = _Lookup(LISTINGS)
        self._answers = _Lookup(ANSWERS)
        self._opened = _Lookup(opened)
        self._public = _Lookup(WITHOUT_A_KEY)

    def usual(self, method: str, path: str) -> bool:
        """Whether it is there without being opened."""
        return self.asked(method, path) or self.lists(method, path) or self._answers.has(method, path)

    def asked(self, method: str, path: str) -> bool:
        """Whether models are asked there."""
        return self._asked.has(method, path)

    def lists(self, method: str, path: str) -> bool:
        """Whether it says which models there are."""
        return self._listings.has(method, path)

    def opened(self, method: str, path: str) -> bool:
        """Whether the operator opened it."""
        return self._opened.has(method, path)

    def public(self, method: str, path: str) -> bool:
        """Whether it answers without a key."""
        return self._public.has(method, path)


def opens(method: str, path: str) -> Group | None:
    """The group that would open it; None when none does."""
    return next((name for name in GROUPS if _of_group(name).has(method, path)), None)


@functools.cache
def _of_group(name: Group) -> _Lookup:
    return _Lookup(OPENED[name])


class _Lookup:
    def __init__(self, doors: Iterable[Door]) -> None:
        listed = list(doors)
        self._plain = frozenset(door for door in listed if "{" not in door.path)
        patterns = [f"{door.method} {_pattern(door.path)}" for door in listed if "{" in door.path]
        self._expression = re.compile("|".join(patterns)) if patterns else None

    def has(self, method: str, path: str) -> bool:
        if (method, path) in self._plain:
            return True
        return self._expression is not None and self._expression.fullmatch(f"{method} {path}") is not None


def _pattern(path: str) -> str:
    parts = re.split(r"(\{[^}]*\})", path)
    steps = (r"[\s\S]*" if part.endswith(":path}") else r"[^/]+" for part in parts[1::2])
    return "".join(re.escape(plain) + step for plain, step in zip(parts[::2], [*steps, ""], strict=True))
