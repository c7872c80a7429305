"""What a case says about one key: that changing it shows, and where."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import yaml

from aiops.actions.doctor.ports import expectations
from aiops.plan.diff import Change, diff
from aiops.render.release import render
from aiops.spec.choosing.request_facts import facts_of
from aiops.spec.load.load import load
from aiops.spec.routes.explain import Explainer
from aiops.spec.routes.resolve import resolve
from aiops.spec.routes.summary import summarise
from aiops.spec.sources import Sources

# What the gateway reads of a release. `routes.json` is only a record of it.
READ_BY_THE_GATEWAY = ("litellm-unified.yaml", "gateway.json", "routing.json", "lanes.json")
ENVIRONMENT = {"LAB_HOST": "lab"}

Release = Mapping[str, Any]


@dataclass(frozen=True)
class Flips:
    """With ``new`` in the place of ``old``, what the gateway reads differs: ``shows`` is in it more often than before.

    ``live``: a test sees it on a real gateway, and says so with the mark ``shows``: a person cannot tell it from the
    release alone.
    """

    old: str
    new: str
    shows: str
    live: bool = False


@dataclass(frozen=True)
class Documents:
    """It changes nothing but what ``/model/info`` tells: ``shows`` is in a model's documentation."""

    old: str
    new: str
    shows: str


@dataclass(frozen=True)
class Explains:
    """``aiops route explain NAME --tokens TOKENS`` answers in another way: ``shows`` is in it then, not before."""

    name: str
    old: str
    new: str
    shows: str
    tokens: int = 0


@dataclass(frozen=True)
class Expects:
    """`aiops doctor` expects something else on the machine's ports: ``shows`` is in it then, not before."""

    old: str
    new: str
    shows: str


@dataclass(frozen=True)
class ShownBy:
    """Its effect is not in a release: a test shows it, and says so with the mark ``shows``."""


@dataclass(frozen=True)
class Refuses:
    """The other value is refused, with these words."""

    old: str
    new: str
    says: str


@dataclass(frozen=True)
class Off:
    """It stands in a section that can only be switched off, which is the effect of all of it."""


@dataclass(frozen=True)
class Stores:
    """``aiops apply`` writes another value into this column of a row, and into no other."""

    old: str
    new: str
    column: str


Case = Flips | Explains | Documents | Expects | Stores | ShownBy | Refuses | Off


def released(sources: Sources) -> dict[str, Any]:
    """What the gateway reads, parsed. Raises InvalidState."""
    state = load(sources, ENVIRONMENT)
    files = render(state, resolve(state), aiops_version="0")
    return {name: _parsed(name, files[name]) for name in READ_BY_THE_GATEWAY if name in files}


def planned(before: Sources, after: Sources) -> tuple[Change, ...]:
    """What `aiops plan` says of the way from one to the other."""
    was, now = load(before, ENVIRONMENT), load(after, ENVIRONMENT)
    return diff(resolve(was), resolve(now), summarise(was), summarise(now)).changes


def explained(sources: Sources, name: str, tokens: int) -> str:
    """All of it, as a person reads it."""
    state = load(sources, ENVIRONMENT)
    facts = facts_of(name, headers={}, tokens=tokens, length=4 * tokens, stream=False, batch_size=1)
    return "\n".join(Explainer(state, resolve(state)).explain(facts).lines())


def expected(sources: Sources) -> str:
    """What `aiops doctor` looks for on the ports of this machine."""
    return "\n".join(map(repr, expectations(load(sources, ENVIRONMENT), "aiops")))


def _parsed(name: str, content: bytes) -> Any:
    return yaml.safe_load(content) if name.endswith(".yaml") else json.loads(content)


def documentation(release: Release) -> list[Any]:
    """What the operator wrote about each deployment."""
    return [each["model_info"].get("documentation", {}) for each in release["litellm-unified.yaml"]["model_list"]]


def without_documentation(release: Release) -> str:
    """The rest, as text. ``description`` and ``source`` of rules are for people, too."""
    plain = json.loads(json.dumps(release), object_hook=_undocumented)
    return as_text(plain)


def _undocumented(mapping: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in mapping.items() if key not in ("documentation", "description", "source")}


def as_text(value: Any) -> str:
    return json.dumps(value, sort_keys=True, ensure_ascii=False)
