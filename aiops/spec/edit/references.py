"""Removes what refers to a model or provider that is about to go, and says so."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from aiops.spec.edit.rule_references import Leaving, forget_rules, lost_groups, share_weights
from aiops.spec.routes.routing import DEFAULT
from aiops.spec.yaml.splice import Splice
from aiops.spec.yaml.yaml12 import Path


def forget(providers: Splice, mappings: Splice, provider: str, model: str | None) -> tuple[Splice, list[str]]:
    """Given a provider that goes (``model`` None), or one of its models, return clean ``mappings`` and notes.

    Exact matches pointing at it go; so do fallbacks and chains naming something that nobody serves afterwards.
    """
    matches, chains = mappings.mapping("exact_matches"), mappings.mapping("fallback_chains")
    dropped = {
        name
        for name, match in matches.items()
        if isinstance(match, Mapping)
        and match.get("provider") == provider
        and (model is None or (match.get("backend_model") or name) == model)
    }
    still: set[str] = set(matches) - dropped
    gone: set[str] = set(dropped)
    for name, entry in providers.mapping("providers").items():
        listed = set(model_names(entry))
        if name == provider:
            gone |= listed if model is None else listed & {model}
            still |= set() if model is None else listed - {model}
        elif isinstance(entry, Mapping) and entry.get("status") != "template":
            still |= listed
    # A balanced name is served by its other members whatever becomes of the model that it is called after.
    unknown = gone - still | ({provider} if model is None else set())
    groups = {*mappings.mapping("load_balancing"), *mappings.mapping("capabilities")}
    lost = lost_groups(mappings, provider, model, unknown)
    still |= groups - lost
    gone = (gone | lost) - still
    unknown = gone | ({provider} if model is None else set())

    leaving = Leaving(provider, model, unknown)
    notes: list[str] = []
    paths: list[Path] = []
    for name in matches:
        if name in dropped:
            paths.append(("exact_matches", name))
            notes.append(f"the exact match `{name}` goes too")
        elif isinstance(matches[name], Mapping) and str(matches[name].get("fallback")) in unknown - still:
            paths.append(("exact_matches", name, "fallback"))
            notes.append(f"`{name}` loses its fallback `{matches[name]['fallback']}`")
    for name, chain in chains.items():
        paths += _chain(name, chain, gone, notes)
    forget_rules(mappings, leaving, lost)
    mappings = share_weights(mappings, provider, model)
    # What stands on one line is written anew at once: from the inside to the outside, one level at a time.
    for depth in sorted({len(path) for path in leaving.paths}, reverse=True):
        mappings.remove([path for path in leaving.paths if len(path) == depth])
        mappings = mappings.again()
    mappings.remove(paths)
    return mappings, notes + leaving.notes


def _chain(name: str, chain: Any, gone: set[str], notes: list[str]) -> list[Path]:
    path: Path = ("fallback_chains", name)
    if name in gone:
        notes.append(f"the fallback chain of `{name}` goes too")
        return [path]
    items = chain.get("chain") if isinstance(chain, Mapping) else chain
    if not isinstance(items, tuple):
        return []
    lost = [index for index, item in enumerate(items) if isinstance(item, str) and item in gone]
    if not lost:
        return []
    names = ", ".join(f"`{items[index]}`" for index in lost)
    if name == DEFAULT and len(lost) == len(items):
        # An empty default chain says nothing; an empty chain of one model says "end here" and stays.
        notes.append(f"the default chain held only {names} and goes")
        return [path]
    notes.append(f"the chain of `{name}` loses {names}" + (" and is empty now" if len(lost) == len(items) else ""))
    where: Path = (*path, "chain") if isinstance(chain, Mapping) else path
    return [(*where, index) for index in lost]


def model_names(entry: Any) -> list[str]:
    """The names that a provider lists, whatever else is wrong with it."""
    models = entry.get("models") if isinstance(entry, Mapping) else None
    names = (
        [item.get("name") if isinstance(item, Mapping) else item for item in models]
        if isinstance(models, tuple)
        else []
    )
    return [name if isinstance(name, str) else "" for name in names]
