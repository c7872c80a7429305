"""``model-mappings.yaml`` -> shapes, into the draft. What refers to what is checked later."""

from __future__ import annotations

from typing import Any, TypeVar

from pydantic import BaseModel

from aiops.errors import Problem
from aiops.spec.load.draft import Draft
from aiops.spec.names import check_model_name
from aiops.spec.shapes.mappings import (
    Balanced,
    Capability,
    Chain,
    ExactMatch,
    Mappings,
    MetadataRouting,
    Pattern,
    RoutingRules,
    SizeRouting,
    SpecialCases,
)
from aiops.spec.shapes.wording import shaped, unknown_key, wrong_type
from aiops.spec.sources import MAPPINGS
from aiops.spec.yaml.yaml12 import Document, Path

SECTIONS = (
    "exact_matches",
    "patterns",
    "capabilities",
    "load_balancing",
    "fallback_chains",
    "routing_rules",
    "special_cases",
)
_DOCUMENTATION = ("metadata", "notes")
Kind = TypeVar("Kind", bound=BaseModel)


def load_mappings(draft: Draft, data: dict[str, Any], problems: list[Problem]) -> None:
    """Fill the draft's exact matches, chains and rules; add every problem of form."""
    doc = draft.documents[MAPPINGS]
    for key in data:
        if key in _DOCUMENTATION:
            message = f"`{key}` is read by nobody"
            problems.append(Problem(MAPPINGS, doc.line((key,)), message, "make it a comment"))
        elif key not in SECTIONS:
            problems.append(unknown_key(doc, (key,), SECTIONS))
    _exact_matches(draft, data, problems)
    for name, raw in section(doc, data, ("fallback_chains",), problems).items():
        path = ("fallback_chains", name)
        chain = shaped(Chain, {"chain": raw} if isinstance(raw, tuple) else raw, doc, path, problems)
        if chain is not None:
            draft.fallback_chains[name] = chain

    before = len(problems)
    draft.mappings = Mappings(
        _named(doc, data, ("load_balancing",), Balanced, problems, draft),
        _named(doc, data, ("capabilities",), Capability, problems, draft),
        tuple(_items(doc, data, ("patterns",), Pattern, problems)),
        _rules(doc, data, problems),
        _written(SpecialCases, section(doc, data, ("special_cases",), problems), doc, ("special_cases",), problems)
        or SpecialCases.model_construct(),
    )
    draft.rules_complete = len(problems) == before


def section(doc: Document, data: dict[str, Any], path: Path, problems: list[Problem]) -> dict[str, Any]:
    """The mapping under the last key of ``path``; empty when it is not written or is something else."""
    value = data.get(str(path[-1]))
    if value is None:
        return {}
    if not isinstance(value, dict):
        problems.append(wrong_type(doc, path, "a mapping", value))
        return {}
    return value


def _written(
    kind: type[Kind], section: dict[str, Any], doc: Document, path: Path, problems: list[Problem]
) -> Kind | None:
    """The shape of a section; None for one in which nothing is written, for which no validator has to be built."""
    return shaped(kind, section, doc, path, problems) if section else None


def _exact_matches(draft: Draft, data: dict[str, Any], problems: list[Problem]) -> None:
    doc = draft.documents[MAPPINGS]
    for name, raw in section(doc, data, ("exact_matches",), problems).items():
        path = ("exact_matches", name)
        check_model_name(doc, path, name, problems)
        match = shaped(ExactMatch, raw, doc, path, problems)
        if match is not None and match.backend_model is not None:
            check_model_name(doc, (*path, "backend_model"), match.backend_model, problems)
        limit = match.rate_limit if match is not None else None
        if limit is not None and limit.rpm is None and limit.tpm is None:
            line = doc.line((*path, "rate_limit"))
            problems.append(Problem(MAPPINGS, line, f"`{name}`: `rate_limit` limits nothing", "give `rpm` or `tpm`"))
        draft.names.add(name)
        if match is not None:
            draft.exact_matches[name] = match
        else:
            draft.broken_matches.add(name)


def _named(
    doc: Document, data: dict[str, Any], path: Path, kind: type[Kind], problems: list[Problem], draft: Draft
) -> dict[str, Kind]:
    """Served names and their shapes."""
    found: dict[str, Kind] = {}
    for name, raw in section(doc, data, path, problems).items():
        check_model_name(doc, (*path, name), name, problems)
        draft.names.add(name)
        shape = shaped(kind, raw, doc, (*path, name), problems)
        if shape is not None:
            found[name] = shape
        else:
            draft.broken_matches.add(name)
    return found


def _items(doc: Document, data: dict[str, Any], path: Path, kind: type[Kind], problems: list[Problem]) -> list[Kind]:
    items = data.get(str(path[-1]))
    if items is None:
        return []
    if not isinstance(items, tuple):
        problems.append(wrong_type(doc, path, "a list", items))
        return []
    found = [shaped(kind, item, doc, (*path, index), problems) for index, item in enumerate(items)]
    return [item for item in found if item is not None]


def _rules(doc: Document, data: dict[str, Any], problems: list[Problem]) -> RoutingRules:
    path = ("routing_rules",)
    raw = section(doc, data, path, problems)
    inner = {
        "request_metadata_routing": {
            name: rule
            for name, item in section(doc, raw, (*path, "request_metadata_routing"), problems).items()
            if (rule := shaped(MetadataRouting, item, doc, (*path, "request_metadata_routing", name), problems))
        },
        "model_size_routing": tuple(_items(doc, raw, (*path, "model_size_routing"), SizeRouting, problems)),
    }
    rules = _written(RoutingRules, {key: value for key, value in raw.items() if key not in inner}, doc, path, problems)
    return (rules or RoutingRules.model_construct()).model_copy(update=inner)
