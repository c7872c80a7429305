"""``/v1/models`` without LiteLLM, in LiteLLM's words: the shape that OpenAI's clients ask for, without any option."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

import orjson

from aiops.gateway.worker.front.asgi import Scope
from aiops.gateway.worker.front.listing import one_of
from aiops.gateway.worker.listed import Listed
from aiops.spec.names import HIDDEN

PATHS: Final = frozenset({"/models", "/v1/models"})
CREATED: Final = 1677610602  # LiteLLM's, of every model
LIMITS: Final = ("max_input_tokens", "max_output_tokens")
ANTHROPIC: Final = b"anthropic-version"


class Listing:
    """One per worker. What is listed is made when it is asked for the first time."""

    def __init__(self, models: Listed) -> None:
        self._models = models
        self._all: bytes | None = None
        self._entries: dict[str, Mapping[str, Any]] = {}

    def answer(self, scope: Scope) -> tuple[int, bytes] | None:
        """Status and JSON. None: something else is asked for, or in another way, or there is no such model."""
        if scope["type"] != "http" or scope["method"] != "GET" or scope.get("query_string"):
            return None
        if any(name == ANTHROPIC for name, _ in scope["headers"]):
            return None
        if self._all is None:
            self._entries = {name: self._entry(name) for name in self._models.names if not name.startswith(HIDDEN)}
            self._all = orjson.dumps({"data": list(self._entries.values()), "object": "list"})
        if scope["path"] in PATHS:
            return 200, self._all
        entry = self._entries.get(one_of(scope["path"]) or "")
        return None if entry is None else (200, orjson.dumps(entry))

    def _entry(self, name: str) -> Mapping[str, Any]:
        entry: dict[str, Any] = {"id": name, "object": "model", "created": CREATED, "owned_by": "openai"}
        behind = self._models.behind(name)
        mode = next((one["model_info"]["mode"] for one in behind if one["model_info"].get("mode")), None)
        if mode is not None:
            entry["mode"] = mode
        for limit in LIMITS:
            written = [one["model_info"][limit] for one in behind if one["model_info"].get(limit)]
            found = max(written or self._of_the_map(name, limit), default=None)
            if found is not None:
                entry[limit] = found
        return entry

    def _of_the_map(self, name: str, limit: str) -> Iterator[int]:
        """The widest of any deployment: what the map says of what its provider is asked for, else of the name."""
        for one in self._models.behind(name):
            for known in (one["litellm_params"]["model"], name):
                found = (self._models.known.get(str(known)) or {}).get(limit)
                if isinstance(found, int):
                    yield found
                    break
