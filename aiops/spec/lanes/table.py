"""``lanes.json``: how each deployment is asked. Made once per generation; read by the gateway and ``route explain``.

Data only. A deployment is in ``direct`` or in ``why_not``, and in both when it is asked directly for some of what it
can be asked, and not for what it is there for.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal, get_args

Value = bool | int | float | str | None | list["Value"] | dict[str, "Value"]
Lane = Literal["direct", "litellm"]
Mode = Literal["auto", "litellm"]
Path = Literal[
    "chat/completions",
    "completions",
    "embeddings",
    "responses",
    "audio/speech",
    "audio/transcriptions",
    "audio/translations",
    "rerank",
    "messages",
]
"""What stands behind ``/v1/`` in a request."""
PATHS: tuple[Path, ...] = get_args(Path)
Wire = Literal["openai", "anthropic"]
"""How a key is shown: ``Authorization: Bearer``, or ``x-api-key`` beside ``anthropic-version``."""


@dataclass(frozen=True, kw_only=True)
class Seconds:
    """How long is waited: for a connection, for the first byte of the answer after that, between two pieces of it, and
    for all of it. None: without end."""

    connect: float | None = None
    first_token: float | None = None
    between_tokens: float | None = None
    whole: float | None = None


@dataclass(frozen=True, kw_only=True)
class Retries:
    """How often the same deployment is asked again after a failure of each kind, before the next one is."""

    no_connection: int = 0
    unavailable: int = 0  # HTTP 503
    server_error: int = 0  # any other 5xx
    timed_out: int = 0
    rate_limited: int = 0  # HTTP 429


@dataclass(frozen=True, kw_only=True)
class Direct:
    """A deployment that is asked without LiteLLM.

    ``url``: with ``/v1`` where the provider has it, without a slash at the end; the path is put behind it.
    ``model``: what the provider calls it; None passes on the name that was asked for.
    ``key``: the environment variable that holds it; None: ``none`` is shown, as LiteLLM does.
    ``headers``: sent in addition; a value may be ``os.environ/NAME``.
    ``defaults``: fields put into the body where the client did not write them. ``forced``: put there whatever the
    client wrote. ``drop``: taken out of what it wrote. ``rename``: its name of a field -> the provider's.
    ``seconds``: of an answer in one piece; ``stream_seconds``: of a streamed one.
    ``retries``: when it is asked for by its id, as members of groups are; by a plain name those of ``Plain`` hold.
    """

    deployment: str
    provider: str
    url: str
    model: str | None = None
    key: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)  # they go before what is sent anyway
    defaults: Mapping[str, Value] = field(default_factory=dict)
    forced: Mapping[str, Value] = field(default_factory=dict)
    drop: frozenset[str] = frozenset()
    rename: Mapping[str, str] = field(default_factory=dict)
    paths: frozenset[str] = frozenset()
    wire: Wire = "openai"
    seconds: Seconds = Seconds()
    stream_seconds: Seconds = Seconds()
    retries: Retries = Retries()


@dataclass(frozen=True, kw_only=True)
class Plain:
    """A served name that no routing rule covers: its one deployment, and the names that are tried after it.

    ``retries``: how often the deployment is asked again when it is asked for by this name, also as a fallback.
    """

    name: str
    deployment: str
    fallbacks: tuple[str, ...] = ()
    retries: Retries = Retries()


@dataclass(frozen=True, kw_only=True)
class Lanes:
    """``direct``: by id of the deployment; ``why_not``: a sentence for each of the others. ``plain``: by name.

    ``context_window``, ``content_policy``: what is tried instead of the fallbacks after these two failures; by the
    name, and by the id of a deployment by which the gateway asks for it.
    ``max_fallbacks``: how many of them one request tries, those of its fallbacks included.
    """

    mode: Mode = "auto"
    direct: Mapping[str, Direct] = field(default_factory=dict)
    why_not: Mapping[str, str] = field(default_factory=dict)
    plain: Mapping[str, Plain] = field(default_factory=dict)
    context_window: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    content_policy: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    max_fallbacks: int = 5

    @property
    def needs_litellm(self) -> bool:
        """Whether some deployment is asked what it is there for by way of LiteLLM."""
        return bool(self.why_not)

    def of(self, deployment: str, path: str) -> tuple[Lane, str]:
        """The lane of a request at ``/v1/path``, and why it is LiteLLM's; empty for the other."""
        direct = self.direct.get(deployment)
        if direct is not None and path in direct.paths:
            return "direct", ""
        return "litellm", self.why_not.get(deployment) or f"LiteLLM translates /v1/{path} for it"

    def to_json(self) -> bytes:
        """Deterministic JSON, one line. What is as in an empty one is not written."""
        data = {
            "mode": self.mode,
            "direct": {name: _written(one) for name, one in self.direct.items()},
            "why_not": dict(self.why_not),
            "plain": {name: _written(one) for name, one in self.plain.items()},
            "context_window": dict(self.context_window),
            "content_policy": dict(self.content_policy),
            "max_fallbacks": self.max_fallbacks,
        }
        return (json.dumps(data, ensure_ascii=False, sort_keys=True, separators=(",", ":")) + "\n").encode()

    @classmethod
    def from_json(cls, content: bytes) -> Lanes:
        """The inverse of ``to_json``. Raises ValueError, KeyError or TypeError for what is not one."""
        data = json.loads(content)
        return cls(
            mode=data["mode"],
            direct={name: _direct(one) for name, one in data["direct"].items()},
            why_not=data["why_not"],
            plain={name: _plain(one) for name, one in data["plain"].items()},
            context_window={name: tuple(others) for name, others in data["context_window"].items()},
            content_policy={name: tuple(others) for name, others in data["content_policy"].items()},
            max_fallbacks=data["max_fallbacks"],
        )


_EMPTY: Mapping[type, dict[str, Any]] = {
    Direct: asdict(Direct(deployment="", provider="", url="")),
    Plain: asdict(Plain(name="", deployment="")),
}


_TIMES = {"seconds", "stream_seconds", "retries"}
_UNSAID = asdict(Seconds()) | asdict(Retries())


def _written(one: Direct | Plain) -> dict[str, Any]:
    empty = _EMPTY[type(one)]
    found = {key: value for key, value in asdict(one).items() if value != empty[key]}
    for key in _TIMES & found.keys():
        found[key] = {name: value for name, value in found[key].items() if value != _UNSAID[name]}
    return {key: sorted(value) if isinstance(value, frozenset) else value for key, value in found.items()}


def _direct(data: dict[str, Any]) -> Direct:
    return Direct(
        **{
            **data,
            "drop": frozenset(data.get("drop", ())),
            "paths": frozenset(data.get("paths", ())),
            "seconds": Seconds(**data.get("seconds", {})),
            "stream_seconds": Seconds(**data.get("stream_seconds", {})),
            "retries": Retries(**data.get("retries", {})),
        }
    )


def _plain(data: dict[str, Any]) -> Plain:
    return Plain(
        **{
            **data,
            "fallbacks": tuple(data.get("fallbacks", ())),
            "retries": Retries(**data.get("retries", {})),
        }
    )
