"""The words for how a group may choose, for ``--help``."""

from __future__ import annotations

from aiops.spec.choosing.rules import Strategy

STRATEGIES = tuple(each.value for each in Strategy)
