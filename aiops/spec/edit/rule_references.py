"""Removes from the rules what refers to a model or provider that is about to go, and says so."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from aiops.spec.yaml.splice import Splice
from aiops.spec.yaml.yaml12 import Path

_THRESHOLDS = ("complexity_thresholds", "context_thresholds")


@dataclass
class Leaving:
    """What goes: a provider (``model`` None) or one of its models, and ``unknown``, the names nobody knows then."""

    provider: str
    model: str | None
    unknown: Collection[str]
    paths: list[Path] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def takes(self, name: Any) -> bool:
        """Whether nobody knows that name afterwards. What is no name is for ``load`` to report."""
        return isinstance(name, str) and name in self.unknown

    def drop(self, path: Path, note: str) -> None:
        """Remove what stands at ``path``."""
        self.paths.append(path)
        self.notes.append(note)


def lost_groups(mappings: Splice, provider: str, model: str | None, unknown: Collection[str]) -> set[str]:
    """Balanced names and capabilities that have no member left."""
    leaving = Leaving(provider, model, unknown)
    return {
        *(
            name
            for name, group in _shapes(mappings.mapping("load_balancing"))
            if (members := _list(group.get("providers")))
            and all(_is_leaving(leaving, name, member) for member in members)
        ),
        *(name for name, group in _shapes(mappings.mapping("capabilities")) if not list(_kept(leaving, group))),
    }


def forget_rules(mappings: Splice, leaving: Leaving, lost: Collection[str]) -> None:
    """Collect what has to go; ``lost``: the groups that go entirely."""
    for name, group in _shapes(mappings.mapping("load_balancing")):
        path: Path = ("load_balancing", name)
        if name in lost:
            leaving.drop(path, f"the balanced name `{name}` goes too")
        else:
            _balanced(leaving, path, name, _list(group.get("providers")))
    for name, group in _shapes(mappings.mapping("capabilities")):
        path = ("capabilities", name)
        if name in lost:
            leaving.drop(path, f"the capability `{name}` goes too")
        else:
            _capability(leaving, path, name, group)
    for index, rule in enumerate(_list(mappings.get(("patterns",)))):
        _rule(leaving, ("patterns", index), rule, f"the pattern `{_get(rule, 'pattern')}`")
    rules = mappings.mapping("routing_rules")
    for name, rule in _shapes(mappings.mapping("routing_rules", "request_metadata_routing")):
        _rule(leaving, ("routing_rules", "request_metadata_routing", name), rule, f"the rule `{name}`")
    for index, rule in enumerate(_list(rules.get("model_size_routing"))):
        _rule(
            leaving, ("routing_rules", "model_size_routing", index), rule, f"the rule for sizes `{_get(rule, 'size')}`"
        )
    if leaving.model is None and rules.get("default_provider") == leaving.provider:
        leaving.drop(("routing_rules", "default_provider"), "`default_provider` goes too: unknown names are refused")
        if "default_fallback" in rules:
            leaving.paths.append(("routing_rules", "default_fallback"))
    elif leaving.takes(rules.get("default_fallback")):
        leaving.drop(("routing_rules", "default_fallback"), "`default_provider` loses its fallback")


def _balanced(leaving: Leaving, path: Path, name: str, members: tuple[Any, ...]) -> None:
    going = [_is_leaving(leaving, name, member) for member in members]
    if not any(going):
        return
    for index, goes in enumerate(going):
        if goes:
            leaving.drop((*path, "providers", index), f"`{name}` loses its member `{_get(members[index], 'provider')}`")
    if any(_get(member, "weight") for member in members):
        leaving.notes.append(f"the other members of `{name}` share its weight")


def share_weights(mappings: Splice, provider: str, model: str | None) -> Splice:
    """The mappings with the weights that the members who stay need, so that they add up to what they did."""
    leaving = Leaving(provider, model, ())
    for name, group in _shapes(mappings.mapping("load_balancing")):
        members = _list(group.get("providers"))
        going = [_is_leaving(leaving, name, member) for member in members]
        weights = [_get(member, "weight") for member in members]
        if not any(going) or not all(isinstance(weight, int | float) for weight in weights):
            continue
        left = sum(weight for weight, goes in zip(weights, going, strict=True) if not goes)
        for index, (weight, goes) in enumerate(zip(weights, going, strict=True)):
            if not goes and left:
                path = ("load_balancing", name, "providers", index, "weight")
                mappings.put(path, round(weight * sum(weights) / left, 6))
    return mappings.again() if mappings.changed else mappings


def _is_leaving(leaving: Leaving, name: str, member: Any) -> bool:
    if _get(member, "provider") != leaving.provider:
        return False
    return leaving.model is None or (_get(member, "preferred_model") or name) == leaving.model


def _capability(leaving: Leaving, path: Path, name: str, group: Mapping[str, Any]) -> None:
    for key in ("preferred_models", "providers"):
        for index, wanted in enumerate(_list(group.get(key))):
            if leaving.takes(wanted):
                leaving.drop((*path, key, index), f"the capability `{name}` loses `{wanted}`")
    if leaving.takes(group.get("provider")):
        leaving.drop((*path, "provider"), f"the capability `{name}` loses `{group['provider']}`")
    if leaving.takes(group.get("fallback")):
        leaving.drop((*path, "fallback"), f"the capability `{name}` loses its fallback `{group['fallback']}`")
    for key in _THRESHOLDS:
        levels = group.get(key)
        for level, threshold in levels.items() if isinstance(levels, Mapping) else ():
            if leaving.takes(_model(threshold)):
                leaving.drop((*path, key, level), f"the capability `{name}` loses its level `{level}`")


def _kept(leaving: Leaving, group: Mapping[str, Any]) -> Iterator[Any]:
    """The models and providers that a capability still has."""
    named = [*_list(group.get("preferred_models")), *_list(group.get("providers")), group.get("provider")]
    for key in _THRESHOLDS:
        levels = group.get(key)
        named += [_model(level) for level in levels.values()] if isinstance(levels, Mapping) else []
    yield from (name for name in named if name is not None and not leaving.takes(name))


def _rule(leaving: Leaving, path: Path, rule: Any, what: str) -> None:
    backend = _get(rule, "backend_model")
    if _get(rule, "provider") == leaving.provider and leaving.model in (None, backend):
        leaving.drop(path, f"{what} goes too")
    elif leaving.takes(_get(rule, "fallback")):
        leaving.drop((*path, "fallback"), f"{what} loses its fallback `{_get(rule, 'fallback')}`")


def _shapes(section: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    return ((name, item) for name, item in section.items() if isinstance(item, Mapping))


def _list(value: Any) -> tuple[Any, ...]:
    return value if isinstance(value, tuple) else ()


def _get(item: Any, key: str) -> Any:
    return item.get(key) if isinstance(item, Mapping) else None


def _model(threshold: Any) -> Any:
    return _get(threshold, "model") if isinstance(threshold, Mapping) else threshold
