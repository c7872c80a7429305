"""Who may ask, and within which limits, as a worker keeps it: one ``Identity`` for each key, all it needs in one piece.

The rows these are made of are in ``store``; what a request is counted against is in ``counters``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

Kind = Literal["key", "team", "user", "member"]


@dataclass(frozen=True, kw_only=True)
class Limits:
    """In a minute: ``rpm`` requests, ``tpm`` tokens; at once: ``parallel``. None: not limited. ``shadow``: whoever is
    over is counted and logged, and not refused."""

    rpm: int | None = None
    tpm: int | None = None
    parallel: int | None = None
    shadow: bool = False


@dataclass(frozen=True, kw_only=True)
class Budget:
    """``most``: nano-dollars in each window of ``duration`` (``30d``; None: ever). ``shadow`` as with limits."""

    most: int
    duration: str | None = None
    shadow: bool = False


@dataclass(frozen=True, kw_only=True)
class Account:
    """What money and limits are counted for: a key, its team, its user, a member of a team.

    ``models``: names and patterns (``gpt-*``) that may be asked for; empty: all. ``by_model``: limits for one model
    alone, ``budgets_by_model`` likewise. ``base``: nano-dollars spent before aiops counted, or what a reset set, valid
    from ``base_at`` (seconds since 1970); ``bases``: another one for the budget of a duration (None: ``ever``). Each
    reset makes a new ``epoch``, so that no counter is ever lowered, and so does each end of a budget.
    ``changed_at``: when anything of it was decided last, also a budget that it is lent.
    """

    kind: Kind
    id: str
    name: str = ""
    blocked: bool = False
    models: tuple[str, ...] = ()
    limits: Limits = Limits()
    by_model: Mapping[str, Limits] = field(default_factory=dict)
    budgets: tuple[Budget, ...] = ()
    budgets_by_model: Mapping[str, tuple[Budget, ...]] = field(default_factory=dict)
    epoch: int = 0
    base: int = 0
    base_at: float = 0.0
    changed_at: float = 0.0
    bases: Mapping[str, int] = field(default_factory=dict)

    def base_of(self, duration: str | None) -> int:
        """Of the budget with this duration."""
        return self.bases.get(duration or "ever", self.base)


@dataclass(frozen=True, kw_only=True)
class Identity:
    """A key and everybody it counts for, the key's own account first. ``hash``: of the key that was shown, which may
    be one that a rotation left valid until ``expires``: then it is ``replaced``, and ``name`` is that of the key in its
    place. ``admin``: may use the management API. ``routes``: paths or LiteLLM's groups of them that it is held to;
    empty: all that models are asked with. ``weight``: its share where requests wait for their turn. Times are seconds
    since 1970. ``version`` grows with each change.
    """

    id: str
    hash: str
    name: str
    alias: str | None
    accounts: tuple[Account, ...]
    team: str | None = None
    user: str | None = None
    expires: float | None = None
    replaced: bool = False
    admin: bool = False
    routes: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    metadata: Mapping[str, Any] = field(default_factory=dict)
    weight: float = 1.0
    version: int = 0
