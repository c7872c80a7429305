"""Which rule answers for a name: exact, capability, pattern, size, default. Used by the gateway and by ``explain``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from aiops.spec.choosing import sizes
from aiops.spec.choosing.patterns import PatternSet, Renaming
from aiops.spec.choosing.rules import Group, RoutingTable

Kind = Literal["exact", "capability", "pattern", "size", "default"]
_REMEMBERED = 4096
"""Names whose rule is remembered: clients repeat themselves."""


@dataclass(frozen=True)
class Found:
    """The rule that wins. ``group``: None for a plain name, which LiteLLM serves by itself.

    ``index``: which pattern or size rule, from 0 in the order of the routing table. ``why``: in plain words.
    ``passed``: the name that is passed on to a provider that is asked for the model by the name that was requested;
    None for that name itself.
    """

    group: Group | None
    kind: Kind
    why: str
    index: int | None = None
    passed: str | None = None


class Resolver:
    """Finds the rule for a name. Not for several threads at once."""

    def __init__(self, table: RoutingTable) -> None:
        self._table = table
        self._plain = frozenset(table.plain)
        self._patterns = PatternSet([rule.pattern for rule in table.patterns])
        self._known: dict[str, Found | None] = {}

    def find(self, name: str) -> Found | None:
        """The rule that answers for ``name``; None when nobody does."""
        group = self._table.names.get(name)
        if group is not None:
            return Found(group, "capability" if group.kind == "capability" else "exact", _EXACT[group.kind])
        if name in self._plain:
            return _PLAIN
        if name in self._known:
            return self._known[name]
        found = self._by_rule(name)
        if len(self._known) >= _REMEMBERED:
            self._known.clear()
        self._known[name] = found
        return found

    def matching(self, name: str) -> list[int]:
        """Every pattern that matches, not only the one that wins."""
        return self._patterns.matches(name)

    def _by_rule(self, name: str) -> Found | None:
        matching = self._patterns.matches(name)
        if matching:
            rule = self._table.patterns[matching[0]]
            others = f", the first of {len(matching)} that match" if len(matching) > 1 else ""
            passed = None if rule.rename is None else Renaming(rule.pattern, rule.rename)(name)
            return Found(rule.group, "pattern", f"it matches the pattern `{rule.pattern}`{others}", matching[0], passed)
        size = sizes.in_name(name) if self._table.sizes else None
        if size is not None:
            for index, by_size in enumerate(self._table.sizes):
                if by_size.holds(size):
                    why = f"its name says {sizes.shown(size)}, which is `{by_size.group.name}`"
                    return Found(by_size.group, "size", why, index)
        if self._table.default is not None:
            return Found(self._table.default, "default", "no other rule knows it: `default_provider`")
        return None


_EXACT = {"capability": "it is the name of a capability"}
_EXACT |= dict.fromkeys(("exact", "pattern", "default"), "it is a name of its own")
_PLAIN = Found(None, "exact", "it is a name of its own")
