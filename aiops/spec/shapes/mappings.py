"""The shapes of ``model-mappings.yaml``. What must hold between them is in ``check`` and what it calls.

docs/routing.md says for operators what each key does.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

from pydantic import Field, field_validator

from aiops.spec.choosing.request_facts import LOW, MEDIUM
from aiops.spec.shapes.shape import Shape

Count = Annotated[int, Field(ge=1)]


class RateLimit(Shape):
    """What one served name may use in a minute, over all workers and gateways: requests, tokens. Then HTTP 429."""

    rpm: Count | None = None
    tpm: Count | None = None


class ExactMatch(Shape):
    """A served name and where it goes. ``options``: for requests by this name, before those of the model."""

    provider: str
    backend_model: str | None = None
    fallback: str | None = None
    rate_limit: RateLimit | None = None
    options: dict[str, Any] = Field(default_factory=dict)  # checked by ``options.check_options``
    priority: str | None = None
    description: str | None = None
    notes: str | None = None
    tags: tuple[str, ...] = ()


class Chain(Shape):
    """Where a model's requests go, in order, when it does not answer. ``context_window``: when a prompt is too long
    for it; ``content_policy``: when the provider refuses what it says. Without them, as for any other failure."""

    chain: tuple[str, ...]
    context_window: tuple[str, ...] = ()
    content_policy: tuple[str, ...] = ()
    description: str | None = None
    tier: str | None = None
    notes: str | None = None


class BalancedMember(Shape):
    """One provider of a balanced name. ``preferred_model``: which of its models answers; ``options``: for its
    requests by this name."""

    provider: str
    weight: Annotated[float, Field(gt=0)] | None = None
    condition: str | None = None
    preferred_model: str | None = None
    options: dict[str, Any] = Field(default_factory=dict)  # checked by ``options.check_options``


class Parameters(Shape):
    """``saturation_threshold``: from which share of its slots on a local provider counts as saturated.

    ``imbalance_factor``, ``imbalance_requests``: how much more than the least loaded server one may have that keeps a
    conversation (cache_aware): it has to be more than both."""

    saturation_threshold: Annotated[float, Field(gt=0, le=1)] | None = None
    imbalance_factor: Annotated[float, Field(ge=1, le=1000)] | None = None
    imbalance_requests: Annotated[float, Field(ge=0, le=100_000)] | None = None
    complexity_detection: Literal["token_count"] | None = None


class Balanced(Shape):
    """A name that several providers answer."""

    providers: tuple[BalancedMember, ...]
    strategy: str | None = None
    parameters: Parameters = Field(default_factory=Parameters.model_construct)
    description: str | None = None
    notes: str | None = None


class Threshold(Shape):
    """The model of one level. ``above``: estimated tokens of the prompt that it takes, strictly more."""

    model: str
    above: Annotated[int, Field(ge=0)] | None = None


class _Thresholds(Shape):
    @field_validator("*", mode="before")
    @classmethod
    def _a_bare_name_is_a_model(cls, value: Any) -> Any:
        return {"model": value} if isinstance(value, str) else value

    def levels(self) -> Mapping[str, Threshold]:
        """The levels that are written, lowest first."""
        found = {name: getattr(self, name) for name in type(self).model_fields}
        return {name: level for name, level in found.items() if level is not None}


class ComplexityThresholds(_Thresholds):
    """By how much there is to do."""

    low: Threshold | None = None
    medium: Threshold | None = None
    high: Threshold | None = None


class ContextThresholds(_Thresholds):
    """By how much there is to read."""

    standard: Threshold | None = None
    complex: Threshold | None = None
    large: Threshold | None = None


_COMPLEXITY = {"low": 0, "medium": LOW, "high": MEDIUM}
_CONTEXT = {"standard": 0, "complex": 1000, "large": 4000}
DEFAULT_ABOVE: Mapping[str, int] = {**_COMPLEXITY, **_CONTEXT}
"""Estimated tokens above which a level begins, when it does not say so itself."""


class Capability(Shape):
    """A task that can be asked for like a model."""

    description: str | None = None
    notes: str | None = None
    preferred_models: tuple[str, ...] = ()
    provider: str | None = None
    providers: tuple[str, ...] = ()
    fallback: str | None = None
    routing_strategy: str | None = None
    min_context: Count | None = None
    min_model_size: str | None = None
    complexity_thresholds: ComplexityThresholds | None = None
    context_thresholds: ContextThresholds | None = None


class Pattern(Shape):
    """Who answers for the names that a regular expression (RE2) finds something in. The first of the file wins.

    ``rename``: what the provider calls what was found, with ``\\1`` for what the first brackets found."""

    pattern: str
    provider: str
    fallback: str | None = None
    backend_model: str | None = None
    rename: str | None = None
    priority: str | int | None = None
    description: str | None = None


class MetadataRouting(Shape):
    """Where requests of one kind go, whatever their model."""

    provider: str
    condition: str
    description: str | None = None


class SizeRouting(Shape):
    """Who answers for unknown names by the size that stands in them."""

    size: str
    provider: str
    fallback: str | None = None
    reason: str | None = None


class RoutingRules(Shape):
    """What holds for every name."""

    default_strategy: str | None = None
    default_provider: str | None = None
    default_fallback: str | None = None
    request_metadata_routing: dict[str, MetadataRouting] = Field(default_factory=dict)
    model_size_routing: tuple[SizeRouting, ...] = ()


class FirstRequest(Shape):
    """Providers that answer their health endpoint in time are preferred."""

    strategy: Literal["prefer_warm_providers"] = "prefer_warm_providers"
    warm_check_timeout_ms: Annotated[int, Field(ge=1, le=60_000)] = 100
    description: str | None = None


class RateLimitedFallback(Shape):
    """A provider that answers 429 is avoided for a while."""

    enabled: bool = True
    fallback_duration_seconds: Annotated[float, Field(gt=0, le=86_400)] = 60
    description: str | None = None


class ErrorBased(Shape):
    """A provider that fails several times in a row is avoided for a while."""

    enabled: bool = True
    error_threshold: Annotated[int, Field(ge=1, le=1000)] = 3
    cooldown_seconds: Annotated[float, Field(gt=0, le=86_400)] = 60
    description: str | None = None


class Geographic(Shape):
    """Not supported: it is accepted where it is switched off."""

    enabled: bool
    prefer_local: bool | None = None
    description: str | None = None


class SpecialCases(Shape):
    """What happens when a provider is cold, at its limit, or failing."""

    first_request_routing: FirstRequest | None = None
    rate_limited_fallback: RateLimitedFallback | None = None
    error_based_routing: ErrorBased | None = None
    geographic_routing: Geographic | None = None


@dataclass(frozen=True)
class Mappings:
    """The rules of ``model-mappings.yaml`` beyond exact matches and chains. Mappings keep the order of the file."""

    load_balancing: Mapping[str, Balanced] = field(default_factory=dict)
    capabilities: Mapping[str, Capability] = field(default_factory=dict)
    patterns: tuple[Pattern, ...] = ()
    rules: RoutingRules = field(default_factory=RoutingRules.model_construct)
    special: SpecialCases = field(default_factory=SpecialCases.model_construct)
