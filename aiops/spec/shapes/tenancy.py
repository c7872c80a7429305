"""Typed shapes of ``keys.yaml``: whose keys there are, and what each may. No secret has a place in it.

Fields are called as LiteLLM's, and so as the options of `aiops keys create`. What is not written is not limited.
"""

from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Literal

from pydantic import Field

from aiops.spec.shapes.shape import Shape

Count = Annotated[int, Field(ge=0, le=10**12)]
Dollars = Annotated[float, Field(ge=0, le=10**9, allow_inf_nan=False)]


class Window(Shape):
    """``max_budget`` US dollars in each ``budget_duration`` (``1d``)."""

    max_budget: Dollars
    budget_duration: str | None = None


class Limits(Shape):
    """What each of them may be limited by."""

    rpm_limit: Count | None = None
    tpm_limit: Count | None = None
    max_parallel_requests: Count | None = None
    max_budget: Dollars | None = None
    budget_duration: str | None = None
    budget_limits: tuple[Window, ...] | None = None
    soft_budget: Dollars | None = None
    model_rpm_limit: Mapping[str, Count] | None = None
    model_tpm_limit: Mapping[str, Count] | None = None
    model_max_budget: Mapping[str, Window] | None = None


class Account(Limits):
    """Whom requests are counted for: a team, for one. ``budget_id``: a name below ``budgets``.

    The name of a team is its id, or the alias of one that is there already.
    """

    budget_id: str | None = None
    models: tuple[str, ...] | None = None
    blocked: bool = False
    shadow: bool = False
    metadata: Mapping[str, Any] | None = None


class UserSpec(Account):
    """A user; the name is the id."""

    user_email: str | None = None
    user_alias: str | None = None
    user_role: Literal["proxy_admin", "proxy_admin_viewer", "internal_user", "internal_user_viewer"] | None = None


class KeySpec(Account):
    """A key; its name is its alias. ``team`` and ``user``: names in this file. ``duration``: from when it was made."""

    team: str | None = None
    user: str | None = None
    duration: str | None = None
    tags: tuple[str, ...] | None = None
    key_type: Literal["default", "llm_api", "management", "read_only"] | None = None
    allowed_routes: tuple[str, ...] | None = None
    admin: bool | None = None
    weight: Annotated[float, Field(gt=0, le=1_000_000)] = 1.0


class Tenancy(Shape):
    """``keys.yaml``. ``prune``: keys and teams that it does not name are blocked."""

    prune: bool = False
    budgets: Mapping[str, Limits] = Field(default_factory=dict)
    teams: Mapping[str, Account] = Field(default_factory=dict)
    users: Mapping[str, UserSpec] = Field(default_factory=dict)
    keys: Mapping[str, KeySpec] = Field(default_factory=dict)

    def entries(self) -> Iterator[tuple[str, str, Limits]]:
        """Section, name and what is said of it: whatever is referred to comes before who refers to it."""
        for section in ("budgets", "teams", "users", "keys"):
            yield from ((section, name, spec) for name, spec in getattr(self, section).items())
