"""What a generation serves, as data that can be stored and compared."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, cast

from aiops.spec.choosing.rules import Member, RoutingTable
from aiops.spec.shapes.provider_types import Mode

if TYPE_CHECKING:  # `status` reads routes, and has no time for the models of the files
    from aiops.spec.shapes.options import Params

_OFTEN_EMPTY = frozenset(
    (
        *("strategy", "is_capability", "endpoints", "rpm", "tpm", "params", "cost", "facts"),
        *("context_window", "content_policy"),
    )
)

Info = Mapping[str, str | int | float | list[str]]


@dataclass(frozen=True)
class Endpoint:
    """One member of a route with several. ``info``: what the operator wrote about this model and provider.

    ``params``, ``cost`` and ``facts`` as of a route.
    """

    member: Member
    mode: Mode = "chat"
    billable: bool = False
    info: Info = field(default_factory=dict, hash=False)
    params: Params = field(default_factory=dict, hash=False)
    cost: float | None = None
    facts: Params = field(default_factory=dict, hash=False)


@dataclass(frozen=True)
class Route:
    """One served name. ``substitute_for``: the disabled provider whose model another one answers meanwhile.

    With ``endpoints`` it is a balanced name or a capability, and ``provider`` and ``backend_model`` are the first's.
    ``rpm`` and ``tpm``: requests and tokens it may use in a minute. ``params``: the options of the provider and the
    model, under LiteLLM's names. ``cost``: US dollars per 1,000 tokens, where it is written. ``facts``: what LiteLLM
    is told about the model. ``context_window``, ``content_policy``: fallbacks for these two failures alone.
    """

    model: str
    provider: str
    backend_model: str
    fallbacks: tuple[str, ...] = ()
    substitute_for: str | None = None
    mode: Mode = "chat"
    billable: bool = False
    info: Info = field(default_factory=dict, hash=False)
    strategy: str | None = None
    is_capability: bool = False
    endpoints: tuple[Endpoint, ...] = ()
    rpm: int | None = None
    tpm: int | None = None
    params: Params = field(default_factory=dict, hash=False)
    cost: float | None = None
    facts: Params = field(default_factory=dict, hash=False)
    context_window: tuple[str, ...] = ()
    content_policy: tuple[str, ...] = ()

    @property
    def members(self) -> tuple[Member, ...]:
        """Its deployments, when there are several to choose from."""
        return tuple(endpoint.member for endpoint in self.endpoints)

    @property
    def providers(self) -> tuple[str, ...]:
        """Who may answer for it, fallbacks aside; each once."""
        return tuple(dict.fromkeys(member.provider for member in self.members)) or (self.provider,)


def is_alone(route: Route) -> bool:
    """Whether nobody else can answer for it, and nothing is written about how often it is asked."""
    return len(route.endpoints) < 2 and not route.fallbacks and not {"num_retries", "max_retries"} & route.params.keys()


@dataclass(frozen=True)
class Unrouted:
    """A model that nobody serves while its provider is disabled."""

    model: str
    provider: str
    reason: str


@dataclass(frozen=True)
class RouteTable:
    """Everything that is served, sorted by model name.

    ``rules``: how requests are led to it; stored by itself and not read back with the routes.
    """

    routes: tuple[Route, ...] = ()
    unrouted: tuple[Unrouted, ...] = ()
    rules: RoutingTable = field(default_factory=RoutingTable, compare=False, repr=False)

    @property
    def models(self) -> tuple[str, ...]:
        """The names that are served."""
        return tuple(route.model for route in self.routes)

    def route(self, model: str) -> Route | None:
        """The route of that model, or None."""
        return next((route for route in self.routes if route.model == model), None)

    def one_of_each(self) -> list[str]:
        """One model for each provider and mode: enough to show that the gateway can talk to it."""
        first: dict[tuple[str, str], str] = {}
        for route in self.routes:
            first.setdefault((route.provider, route.mode), route.model)
        return list(first.values())

    def to_data(self) -> dict[str, Any]:
        """Plain data, equal for equal tables."""
        return {
            "routes": [_data(route) for route in self.routes],
            "unrouted": [asdict(item) for item in self.unrouted],
        }

    @classmethod
    def from_data(cls, data: Mapping[str, Any]) -> RouteTable:
        """The inverse of ``to_data``; older generations have fewer keys."""
        return cls(
            tuple(_route(item) for item in data["routes"]),
            tuple(Unrouted(**item) for item in data["unrouted"]),
        )

    def to_json(self) -> str:
        """Deterministic JSON."""
        return json.dumps(self.to_data(), ensure_ascii=False, sort_keys=True, separators=(",", ":"))

    @classmethod
    def from_json(cls, text: str | bytes) -> RouteTable:
        """The inverse of ``to_json``."""
        return cls.from_data(cast("dict[str, Any]", json.loads(text)))


_EMPTY = asdict(Route("", "", ""))


def _data(route: Route) -> dict[str, Any]:
    return {key: value for key, value in asdict(route).items() if key not in _OFTEN_EMPTY or value != _EMPTY[key]}


def _route(data: Mapping[str, Any]) -> Route:
    endpoints = tuple(Endpoint(**{**item, "member": Member(**item["member"])}) for item in data.get("endpoints", ()))
    ways = {key: tuple(data.get(key, ())) for key in ("fallbacks", "context_window", "content_policy")}
    return Route(**{**data, **ways, "endpoints": endpoints})
