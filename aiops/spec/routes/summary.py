"""What of a desired state is not a route: providers and settings, without secrets, for comparing generations."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from aiops.spec.routes.kept import Kept
from aiops.spec.yaml.yaml_text import inline

if TYPE_CHECKING:  # `status` reads summaries, and has no time for the models of the files
    from aiops.spec.shapes.mappings import Mappings
    from aiops.spec.shapes.model import DesiredState, Provider


@dataclass(frozen=True)
class Summary:
    """``providers``: name -> its facts.

    ``rules``: (name, what it does) of patterns and other rules that cover names, in the order in which they are tried.
    """

    settings: Kept
    providers: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    rules: tuple[tuple[str, str], ...] = ()


def summarise(state: DesiredState) -> Summary:
    """Providers (what and where they are, what each request to them is told) and settings with their defaults."""
    providers = {
        name: _provider(provider)
        for name, provider in sorted(state.providers.items())
        if provider.status != "template"  # an example: nothing of it is served, watched or proved
    }
    recorded = _special(state)
    for key, value in state.settings.model_dump().items():
        if key == "container" and state.settings.supervisor != "container":
            continue  # nothing of it has an effect
        if key == "cache" and value is None:
            continue  # as in generations from before there was one
        if isinstance(value, dict):
            # What came later is written where it is set; generations from before the key are not different.
            recorded |= {
                f"{key}.{inner}": _plain(item)
                for inner, item in value.items()
                if item not in _UNSET.get((key, inner), ())
            }
        else:
            recorded[key] = value
    return Summary(Kept.of(dict(sorted(recorded.items()))), providers, tuple(_rules(state.mappings)))


_UNSET: Mapping[tuple[str, str], tuple[Any, ...]] = {
    ("gateway", "admin_host"): ("127.0.0.1",),
    ("gateway", "admin_port"): (None,),
    ("gateway", "expose"): ((),),
    ("gateway", "lanes"): ("auto",),
    ("gateway", "retries"): (None,),
    ("verify", "every_model"): (False,),
    ("deployment", "mode"): (None,),
    ("deployment", "database_url_file"): (None,),
    ("deployment", "redis_url_file"): (None,),
    ("deployment", "replica"): (None,),
    ("keys", "over_budget_status"): (429,),
    ("usage", "keep_days"): (400,),
}


def _plain(value: Any) -> Any:
    return ", ".join(value) if isinstance(value, tuple) else value


def _provider(provider: Provider) -> dict[str, Any]:
    key = f"env {provider.api_key_env}" if provider.api_key_env else None
    written = {
        "max_parallel": provider.max_parallel,
        "queue": inline(provider.queue.model_dump()) if provider.queue is not None else None,
        "health_endpoint": provider.health_endpoint,
        "exact_url": provider.base_url if provider.exact_url else None,
        "same_server_as": provider.same_server_as,
        "lane": provider.lane,
        # Models show them too; for what only rules lead to there is no model.
        "options": inline(provider.options) if provider.options else None,
        "cost_per_1k_tokens": None if provider.cost_per_1k_tokens is None else inline(provider.cost_per_1k_tokens),
    }
    return {
        "type": provider.type,
        "url": provider.root,
        "status": provider.status,
        "key": f"file {provider.api_key_file}" if provider.api_key_file else key,
        "billable": provider.is_billable,
        "models": len(provider.models),
        # Only where it is written, so that generations from before it are not different.
        **{name: value for name, value in written.items() if value is not None},
    }


def _special(state: DesiredState) -> dict[str, Any]:
    """Special cases and the default strategy, where they are written."""
    found: dict[str, Any] = {}
    if state.mappings.rules.default_strategy is not None:
        found["default_strategy"] = state.mappings.rules.default_strategy
    for key, case in state.mappings.special:
        if case is not None:
            found |= {f"{key}.{inner}": value for inner, value in case if value is not None}
    return found


def _rules(mappings: Mappings) -> Iterator[tuple[str, str]]:
    rules = mappings.rules
    for name, metadata in rules.request_metadata_routing.items():
        yield f"metadata {name}", _words(f"{metadata.provider} when {metadata.condition}", None, metadata.description)
    for pattern in mappings.patterns:
        called = pattern.backend_model or pattern.rename
        backend = f" as {called}" if called else ""
        priority = f"priority {pattern.priority}" if pattern.priority is not None else None
        yield (
            f"pattern {pattern.pattern}",
            _words(f"{pattern.provider}{backend}", pattern.fallback, pattern.description, priority),
        )
    for size in rules.model_size_routing:
        yield f"size {size.size}", _words(size.provider, size.fallback, size.reason)
    if rules.default_provider is not None:
        yield "default_provider", _words(rules.default_provider, rules.default_fallback)


def _words(goes_to: str, fallback: str | None, *documentation: str | None) -> str:
    said = [text for text in documentation if text]
    return goes_to + (f", then {fallback}" if fallback else "") + (f" ({'; '.join(said)})" if said else "")
