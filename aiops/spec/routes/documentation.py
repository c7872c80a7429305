"""What operators wrote for people, gathered for ``model_info``."""

from __future__ import annotations

from aiops.spec.routes.routes import Info
from aiops.spec.routes.targets import Target
from aiops.spec.shapes.mappings import Balanced, Chain
from aiops.spec.shapes.model import ModelSpec, Provider

_Value = str | int | float | list[str]


def about_model(spec: ModelSpec | None, provider: Provider) -> Info:
    """About one model of one provider."""
    info: dict[str, _Value] = {}
    if spec is not None:
        for key in ("size", "quantization", "specialty", "description", "context_length", "notes", "pulled_at"):
            _add(info, key, getattr(spec, key))
        _add(info, "tags", list(spec.tags))
    for key in ("description", "docs", "notes", "location"):
        _add(info, f"provider_{key}", getattr(provider, key))
    for key in ("features", "tags"):
        _add(info, f"provider_{key}", list(getattr(provider, key)))
    return dict(sorted(info.items()))


def about_name(target: Target, chain: Chain | None) -> Info:
    """About one served name, and about where its requests go when it does not answer."""
    info: dict[str, _Value] = {}
    if target.match is not None:
        for key in ("description", "notes", "priority"):
            _add(info, key, getattr(target.match, key))
        _add(info, "tags", list(target.match.tags))
    if target.rule is not None:
        for key in ("description", "notes"):
            _add(info, key, getattr(target.rule, key))
    if isinstance(target.rule, Balanced):
        for key in ("complexity_detection", "saturation_threshold", "imbalance_factor", "imbalance_requests"):
            _add(info, key, getattr(target.rule.parameters, key))
    for key in ("description", "tier", "notes"):
        _add(info, f"fallback_{key}", getattr(chain, key, None))
    return dict(sorted(info.items()))


def together(model: Info, name: Info) -> Info:
    """Both; the served name's own words win, and tags add up."""
    tags: list[str] = []
    for part in (model, name):
        found = part.get("tags", [])
        tags += found if isinstance(found, list) else []
    merged = {**model, **name, **({"tags": list(dict.fromkeys(tags))} if tags else {})}
    return dict(sorted(merged.items()))


def _add(info: dict[str, _Value], key: str, value: _Value | None) -> None:
    if value is not None and value != []:
        info[key] = value
