"""``keys.yaml``: teams, users, budgets and keys, without secrets. Optional."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from aiops.errors import InvalidState, Problem
from aiops.spec.load.load_mappings import section
from aiops.spec.load.screen import screen
from aiops.spec.names import quoted, short
from aiops.spec.shapes.tenancy import Account, KeySpec, Limits, Tenancy, UserSpec
from aiops.spec.shapes.wording import shaped, unknown_key, wrong_type
from aiops.spec.sources import KEYS
from aiops.spec.suggest import did_you_mean, listed
from aiops.spec.yaml.yaml12 import Document, Path, dotted, parse

EXPECTED = "a mapping with `keys:`, `teams:`, `users:` or `budgets:`"
_SECTIONS: Mapping[str, type[Limits]] = {"budgets": Limits, "teams": Account, "users": UserSpec, "keys": KeySpec}
# A name is a file's in secrets/keys, too.
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.@+-]*")
_DURATION = re.compile(r"[1-9][0-9]{0,5}(mo|[smhdw])")


def read(content: bytes) -> Tenancy:
    """Of one file by itself. Raises InvalidState."""
    doc = parse(KEYS, content, EXPECTED)
    problems = list(doc.problems)
    found = Tenancy()
    if doc.data is not None:
        refused, data = screen(doc)
        problems += refused
        found = load_tenancy(doc, data, problems)
    if problems:
        raise InvalidState(problems)
    return found


def plain(spec: Limits) -> dict[str, Any]:
    """By LiteLLM's names, without what is not said."""
    named = {"team": "team_id", "user": "user_id"}
    values = spec.model_dump(mode="json")
    return {named.get(name, name): value for name, value in values.items() if value is not None}


def load_tenancy(doc: Document, data: dict[str, Any], problems: list[Problem]) -> Tenancy:
    """The well-formed entries; problems are added."""
    problems.extend(unknown_key(doc, (key,), [*_SECTIONS, "prune"]) for key in data if key not in {*_SECTIONS, "prune"})
    prune = data.get("prune", False)
    if not isinstance(prune, bool):
        problems.append(wrong_type(doc, ("prune",), "true or false", prune))
    written = {name: section(doc, data, (name,), problems) for name in _SECTIONS}
    found: dict[str, Any] = {name: {} for name in _SECTIONS}
    for kind, entries in written.items():
        for name, raw in entries.items():
            path = (kind, name)
            problems.extend(_name(doc, path, name))
            spec = shaped(_SECTIONS[kind], {} if raw is None else raw, doc, path, problems)
            if spec is not None:
                found[kind][name] = spec
                problems.extend(_limits(doc, path, spec))
                problems.extend(_references(doc, path, spec, written))
    return Tenancy.model_construct(prune=prune is True, **found)


def _name(doc: Document, path: Path, name: str) -> Iterator[Problem]:
    if not _NAME.fullmatch(name) or len(name) > 64:
        hint = "letters, digits, `_`, `.`, `@`, `+` and `-`, at most 64, the first a letter or digit"
        yield Problem(doc.file, doc.line(path), f"the name {quoted(name)} is not usable", hint)


def _limits(doc: Document, path: Path, spec: Limits) -> Iterator[Problem]:
    """What no field tells alone."""
    written = [((*path, "budget_duration"), spec.budget_duration)]
    written += [((*path, "budget_limits", i), each.budget_duration) for i, each in enumerate(spec.budget_limits or ())]
    models = spec.model_max_budget or {}
    written += [((*path, "model_max_budget", model), each.budget_duration) for model, each in models.items()]
    if isinstance(spec, KeySpec):
        written.append(((*path, "duration"), spec.duration))
    for where, duration in written:
        if duration is not None and not _DURATION.fullmatch(duration):
            message = f"`{dotted(where)}`: {quoted(short(duration))} is no duration"
            yield Problem(doc.file, doc.line(where), message, "write a number and s, m, h, d, w or mo, such as 30d")
    lent = isinstance(spec, Account) and spec.budget_id is not None
    if spec.budget_duration is not None and spec.max_budget is None and not lent:
        where = (*path, "budget_duration")
        message = f"`{dotted(where)}` has no effect without `max_budget`"
        yield Problem(doc.file, doc.line(where), message, "write the amount, or remove it")
    taken = {spec.budget_duration} if spec.max_budget is not None else set()
    for index, each in enumerate(spec.budget_limits or ()):
        where = (*path, "budget_limits", index)
        if each.budget_duration is None:
            yield Problem(doc.file, doc.line(where), f"`{dotted(where)}` has no `budget_duration`", "for example 1d")
        elif each.budget_duration in taken:
            message = f"`{dotted(where)}`: there is a budget of {short(each.budget_duration)} already"
            yield Problem(doc.file, doc.line(where), message, "keep one")
        taken.add(each.budget_duration)


def _references(doc: Document, path: Path, spec: Limits, written: Mapping[str, Mapping[str, Any]]) -> Iterator[Problem]:
    """Whoever is named has to be in the file: else going back to it would not bring them back."""
    for key, kind in (("budget_id", "budgets"), ("team", "teams"), ("user", "users")):
        name = getattr(spec, key, None)
        if name is not None and name not in written[kind]:
            where, known = (*path, key), written[kind]
            hint = did_you_mean(name, known, f"{kind}: {listed(known, 20)}" if known else f"add it to `{kind}:`")
            message = f"`{dotted(where)}` names {quoted(short(name))}, which is not in `{kind}:`"
            yield Problem(doc.file, doc.line(where), message, hint)
