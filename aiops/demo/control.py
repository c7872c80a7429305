"""What a test or a person tells the double to do, and what the double remembers of what it was asked."""

from __future__ import annotations

import json
from collections import deque
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any, Literal, get_args

Mode = Literal[
    "ok",
    "slow",
    "429",
    "500",
    "503",
    "401",
    "hang",
    "drop_before",
    "drop_before_token",
    "drop_mid_stream",
    "wrong_json",
    "html",
    "redirect",
]
Face = Literal["openai", "vllm", "ollama"]
MODES: tuple[str, ...] = get_args(Mode)
FACES: tuple[str, ...] = get_args(Face)
SECRET_HEADERS = frozenset({"authorization", "api-key", "x-api-key", "cookie", "proxy-authorization"})


@dataclass(frozen=True)
class Control:
    """How the double behaves from now on. ``PUT /_control`` changes the keys it names and leaves the others."""

    mode: Mode = "ok"
    # For how many requests the mode holds before it is "ok" again; 0: for all.
    times: int = 0
    # Seconds before each answer. Mode "slow" is "ok" with two seconds when this is 0.
    delay: float = 0.0
    # Content pieces in an answer (fewer when the request says max_tokens), and seconds between them in a stream.
    tokens: int = 8
    chunk_delay: float = 0.0
    models: tuple[str, ...] = ("double",)
    # Models it answers to and does not list.
    unlisted: tuple[str, ...] = ()
    # Seconds to load another model than the last one asked for; 0: it has all of them in memory. One loads at a time.
    load: float = 0.0
    # What a vLLM says of itself, beside how many requests it answers: how many wait, and the share of its cache in use.
    waiting: float = 0.0
    cache: float = 0.25
    # Required as a bearer token when it is not empty.
    api_key: str = ""
    # The mode applies to paths that begin with one of these; to all of the provider's when empty.
    paths: tuple[str, ...] = ()

    def has(self, model: str) -> bool:
        return model in self.models or model in self.unlisted

    def applies_to(self, path: str) -> bool:
        return not self.paths or path.startswith(self.paths)

    def seconds_before_answer(self) -> float:
        return self.delay or (2.0 if self.mode == "slow" else 0.0)

    def shown(self) -> dict[str, Any]:
        """The state as JSON-ready data, the key masked."""
        return asdict(self) | {"api_key": "***" if self.api_key else ""}


def changed(control: Control, wanted: object) -> Control:
    """Given what ``PUT /_control`` received, return the new state. Raise ``ValueError`` that names the bad key."""
    if not isinstance(wanted, dict):
        raise ValueError("a JSON object is expected")
    known = {entry.name for entry in fields(Control)}
    values: dict[str, Any] = {}
    for key, value in wanted.items():
        if key not in known:
            raise ValueError(f"unknown key {key!r}; known: {', '.join(sorted(known))}")
        if key == "mode":
            if value not in MODES:
                raise ValueError(f"unknown mode {value!r}; known: {', '.join(MODES)}")
        elif key in ("models", "paths", "unlisted"):
            if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
                raise ValueError(f"{key} must be a list of strings")
            value = tuple(value)
        elif key == "api_key":
            if not isinstance(value, str):
                raise ValueError("api_key must be a string")
        elif isinstance(value, bool) or not isinstance(value, int | float) or value < 0:
            raise ValueError(f"{key} must be a number, 0 or more")
        values[key] = value
    return replace(control, **values)


@dataclass
class Journal:
    """The requests received, the newest 2,000 of them; ``total`` counts all. Secrets are masked when shown."""

    total: int = 0
    _kept: deque[tuple[str, str, list[tuple[bytes, bytes]], bytes]] = field(default_factory=lambda: deque(maxlen=2000))

    def record(self, method: str, path: str, headers: list[tuple[bytes, bytes]], body: bytes) -> None:
        self.total += 1
        self._kept.append((method, path, headers, body))

    def clear(self) -> None:
        self.total = 0
        self._kept.clear()

    def shown(self) -> dict[str, Any]:
        """All that is kept as JSON-ready data. Decoded here, not when recorded: recording is on the fast path."""
        return {"total": self.total, "requests": [_shown(*entry) for entry in self._kept]}


def _shown(method: str, path: str, headers: list[tuple[bytes, bytes]], body: bytes) -> dict[str, Any]:
    text = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in headers}
    masked = {name: "***" if name in SECRET_HEADERS else value for name, value in text.items()}
    try:
        content: Any = json.loads(body) if body else None
    except ValueError:
        content = body.decode("utf-8", "replace")
    return {"method": method, "path": path, "headers": masked, "body": content}
