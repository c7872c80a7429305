"""``model-mappings.yaml`` of an older install -> ours. Its sections are ours; what surrounds them becomes comments."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from aiops.importing import provider_keys as known
from aiops.importing.report import Ledger
from aiops.importing.rewrite import Rewrite
from aiops.spec.load.screen import holds_secret
from aiops.spec.suggest import nearest
from aiops.spec.yaml.yaml12 import Path

SECTIONS = (
    *("exact_matches", "patterns", "capabilities", "load_balancing", "fallback_chains"),
    *("routing_rules", "special_cases"),
)
_DOCUMENTED = frozenset(("description", "notes", "priority", "tags", "tier", "reason"))
_NAMED = frozenset(("exact_matches", "capabilities", "load_balancing", "fallback_chains", "special_cases"))
"""Sections whose keys are the operator's own names."""


def translate_mappings(rewrite: Rewrite, ledger: Ledger) -> None:
    """Judge every key. That a value makes sense is for ``load`` to find out."""
    for name, section in rewrite.data.items():
        if name in SECTIONS:
            ledger.kept((name,))
            _entries(rewrite, ledger, (name,), section)
        elif name in known.SECTIONS:
            ledger.note((name,), *known.SECTIONS[name])
            rewrite.set_aside((name,))
        else:
            near = nearest(name, SECTIONS)
            more = f"did you mean `{near}`? " if near else ""
            ledger.decide((name,), f"nothing reads this section; {more}It stays as a comment")
            rewrite.set_aside((name,))
    _geography(rewrite, ledger)


def _entries(rewrite: Rewrite, ledger: Ledger, path: Path, value: Any) -> None:
    if isinstance(value, tuple):
        for index, item in enumerate(value):
            _entries(rewrite, ledger, (*path, index), item)
    elif isinstance(value, Mapping):
        for key, item in value.items():
            where = (*path, key)
            named = len(path) == 1 and path[0] in _NAMED
            if not named and holds_secret(key):
                ledger.decide(where, "a secret has no place here; its value was not copied")
                rewrite.set_aside(where)
            elif not named and key in _DOCUMENTED:
                ledger.documentation(where)
            else:
                _entries(rewrite, ledger, where, item)


def _geography(rewrite: Rewrite, ledger: Ledger) -> None:
    path = ("special_cases", "geographic_routing")
    case = rewrite.get(path)
    if case is None:
        return
    if isinstance(case, Mapping) and case.get("enabled") is False:
        ledger.dropped(path, "routing by place was never built, and it was switched off; it stays as a comment")
    else:
        ledger.decide(path, "routing by place was never built: it had no effect. It stays as a comment")
    rewrite.set_aside(path)
