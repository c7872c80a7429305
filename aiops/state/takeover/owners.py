"""Rows of budgets, users, teams and members, out of LiteLLM's. PURE."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from aiops.state import windows
from aiops.state.store import rows
from aiops.state.takeover import amounts, litellm
from aiops.state.takeover import words as w
from aiops.state.takeover.amounts import Notes

SECOND = 1_000_000


@dataclass(frozen=True)
class Book:
    """What rows refer to, and when it is: microseconds since 1970 UTC."""

    now: int
    budgets: Mapping[str, litellm.Budget]
    windows: Mapping[tuple[str, str, str], litellm.WindowSpend]
    """By kind, id and duration."""
    held_back: frozenset[str] = frozenset()
    """Organizations that have a budget, limits or models of their own."""


@dataclass(frozen=True)
class Spent:
    """``read``: as it stood there. ``counts``: of it, what counts in the window of the budget that is now."""

    read: int
    counts: int


NOTHING = Spent(0, 0)


def budget(row: litellm.Budget, notes: Notes) -> rows.Budget:
    lost(row, {"tpd_limit": w.DAILY_TOKENS, "temp_budget_increase": w.TEMPORARY}, notes)
    return rows.Budget(
        id=row.budget_id,
        soft_budget=amounts.most(row.soft_budget, "soft_budget", notes),
        model_max_budget=amounts.model_budgets(row.model_max_budget, notes) or None,
        **_plain(row, notes),
        **written(row),
    )


def user(row: litellm.User, book: Book, notes: Notes) -> tuple[rows.User, Spent]:
    table = {
        "object_permission_id": w.OBJECT_PERMISSIONS,
        "allowed_cache_controls": w.CACHE_CONTROLS,
        "policies": w.POLICIES,
    }
    lost(row, table, notes)
    organization(row.organization_id, book, notes)
    known, kept = metadata(row.metadata, notes)
    spent = spending(row.spend, row.budget_duration, row.budget_reset_at, book, notes)
    made = rows.User(
        id=row.user_id,
        alias=row.user_alias or None,
        email=row.user_email or None,
        role=row.user_role or None,
        models=row.models or None,
        blocked=known.get("scim_active") is False,
        metadata=kept,
        **limits(row, known, notes),
        **written(row),
        **base(spent, book),
    )
    return made, spent


def team(row: litellm.Team, book: Book, notes: Notes) -> tuple[rows.Team, Spent]:
    table = {
        "object_permission_id": w.OBJECT_PERMISSIONS,
        "policies": w.POLICIES,
        "access_group_ids": w.ACCESS_GROUPS,
        "tpd_limit": w.DAILY_TOKENS,
        "router_settings": w.OWN_SETTINGS,
        "team_member_permissions": w.TEAM_RIGHTS,
        "default_team_member_models": w.TEAM_RIGHTS,
        "model_id": w.MODEL_ALIASES,
    }
    lost(row, table, notes)
    organization(row.organization_id, book, notes)
    known, kept = metadata(row.metadata, notes)
    if amounts.said(known.get("tags")):
        notes.add(w.TEAM_TAGS, ", ".join(amounts.words(known["tags"], "tags", notes)))
    lent = known.get("team_member_budget_id")
    if lent is not None and lent not in book.budgets:
        notes.add(w.NO_BUDGET, str(lent))
        lent = None
    spent = spending(row.spend, row.budget_duration, row.budget_reset_at, book, notes)
    made = rows.Team(
        id=row.team_id,
        alias=row.team_alias or None,
        member_budget_id=lent,
        models=row.models or None,
        blocked=bool(row.blocked),
        soft_budget=amounts.most(row.soft_budget, "soft_budget", notes),
        metadata=kept,
        **limits(row, known, notes),
        **several(row, "team", row.team_id, book, notes),
        **written(row),
        **base(spent, book),
    )
    return made, spent


def members(
    row: litellm.Team,
    memberships: Mapping[tuple[str, str], litellm.Membership],
    team: rows.Team,
    book: Book,
    notes: Notes,
) -> Iterator[tuple[rows.Member, Spent, Notes]]:
    """Of one team: who is named with a role, in the older lists, or by a membership."""
    roles: dict[str, str] = {}
    for entry in amounts.parsed(row.members_with_roles, "members_with_roles", notes, list) or []:
        if not isinstance(entry, Mapping) or not entry.get("user_id"):
            mail = entry.get("user_email") if isinstance(entry, Mapping) else None
            notes.add(w.EMAILS if mail else w.UNREADABLE, str(mail or "members_with_roles"))
        else:
            roles[str(entry["user_id"])] = str(entry.get("role") or "user")
    for id in (*row.members, *(user for of, user in memberships if of == row.team_id)):
        roles.setdefault(id, "user")
    roles.update(dict.fromkeys(row.admins, "admin"))
    for id, role in roles.items():
        own = memberships.get((row.team_id, id))
        yield _member(row.team_id, id, role, own, team, book, Notes("member", f"{id} of {team.alias or team.id}"))


def _member(
    team_id: str, id: str, role: str, own: litellm.Membership | None, team: rows.Team, book: Book, notes: Notes
) -> tuple[rows.Member, Spent, Notes]:
    lent = budget_of(own.budget_id if own else None, book, notes)
    held = lent or book.budgets.get(team.member_budget_id or "")
    spent = spending(
        own.spend if own else 0.0,
        held.budget_duration if held else None,
        held.budget_reset_at if held else None,
        book,
        notes,
    )
    made = rows.Member(
        team_id=team_id,
        user_id=id,
        role=role,
        budget_id=lent.budget_id if lent else None,
        models=(held.allowed_models or None) if held else None,
        created_at=team.created_at,
        updated_at=team.updated_at,
        **base(spent, book),
    )
    return made, spent, notes


def lost(row: object, table: Mapping[str, w.Word], notes: Notes) -> None:
    """Note the columns that are set and that aiops has no equal for."""
    for column, word in table.items():
        value = getattr(row, column)
        if amounts.said(value):
            notes.add(word, f"{column} is {_shown(value)}")


def organization(id: str | None, book: Book, notes: Notes) -> None:
    if id:
        notes.add(w.ORGANIZATION_LIMITS if id in book.held_back else w.ORGANIZATIONS, f"organization_id is {id}")


def metadata(value: Any, notes: Notes) -> tuple[dict[str, Any], dict[str, Any] | None]:
    """What LiteLLM acts on, and what is only the owner's. What aiops has no equal for is noted, and left out: some of
    it is passwords of those whom requests are logged to."""
    known: dict[str, Any] = {}
    kept: dict[str, Any] = {}
    for name, each in (amounts.parsed(value, "metadata", notes, dict) or {}).items():
        word = w.METADATA.get(name)
        if name not in w.METADATA:
            kept[name] = each
        elif word is None:
            known[name] = each
        elif amounts.said(each) and each not in w.QUIET.get(name, ()):
            notes.add(word, f"{name} in its metadata")
    return known, kept or None


def spending(amount: float, duration: str | None, resets: int | None, book: Book, notes: Notes) -> Spent:
    """``resets``: when LiteLLM begins the next window. It does so with a delay: one that is over counts no more."""
    read = amounts.spent(amount, notes)
    duration = amounts.duration(duration, "budget_duration", notes)
    if duration is not None and resets is not None:
        if resets <= book.now:
            return Spent(read, 0)
        _compare(duration, resets, book, notes)
    return Spent(read, read)


def budget_of(id: str | None, book: Book, notes: Notes) -> litellm.Budget | None:
    if not id:
        return None
    if id not in book.budgets:
        notes.add(w.NO_BUDGET, id)
    return book.budgets.get(id)


def limits(row: Any, known: Mapping[str, Any], notes: Notes) -> dict[str, Any]:
    """Those of keys, teams and users. ``known``: what their metadata says."""
    by_model = amounts.model_budgets(row.model_max_budget, notes)
    if by_model:
        notes.add(w.FROM_ZERO, f"of {', '.join(sorted(by_model))} alone")
    return {
        "model_max_budget": by_model or None,
        "model_rpm_limit": amounts.model_limits(known, "model_rpm_limit", notes) or None,
        "model_tpm_limit": amounts.model_limits(known, "model_tpm_limit", notes) or None,
        **_plain(row, notes),
    }


def base(spent: Spent, book: Book) -> dict[str, Any]:
    """What was spent before aiops counts."""
    return {"base_spend": spent.counts, "base_at": book.now}


def several(row: Any, kind: str, id: str, book: Book, notes: Notes) -> dict[str, Any]:
    """Budgets beside the first one, and what was spent of each in the window that is now."""
    limits = amounts.budget_limits(row.budget_limits, notes)
    found: dict[str, int] = {}
    for each in limits:
        spend = book.windows.get((kind, id, each.budget_duration or ""))
        began = windows.window(each.budget_duration, book.now / SECOND).begins * SECOND
        if spend is None:
            notes.add(w.FROM_ZERO, f"of {each.budget_duration or 'ever'}")
        counts = spend is not None and spend.window_start >= began
        found[each.budget_duration or "ever"] = amounts.spent(spend.spend, notes) if spend and counts else 0
    return {"budget_limits": limits or None, "base_windows": found or None}


def _plain(row: Any, notes: Notes) -> dict[str, Any]:
    return {
        "rpm_limit": row.rpm_limit,
        "tpm_limit": row.tpm_limit,
        "max_parallel_requests": row.max_parallel_requests,
        "max_budget": amounts.most(row.max_budget, "max_budget", notes),
        "budget_duration": amounts.duration(row.budget_duration, "budget_duration", notes),
    }


def written(row: Any) -> dict[str, Any]:
    return {
        "created_at": row.created_at or 0,
        "updated_at": row.updated_at or row.created_at or 0,
        "created_by": getattr(row, "created_by", None) or None,
        "updated_by": getattr(row, "updated_by", None) or None,
    }


def _compare(duration: str, resets: int, book: Book, notes: Notes) -> None:
    ours = windows.window(duration, book.now / SECOND)
    if ours.ends is not None and abs(ours.ends * SECOND - resets) > SECOND:
        notes.add(w.OTHER_WINDOWS, f"{duration}: {at(resets)} there, {at(ours.ends * SECOND)} here")


def at(microseconds: int) -> str:
    return f"{datetime.fromtimestamp(microseconds / SECOND, UTC):%Y-%m-%d %H:%M}"


def _shown(value: Any) -> str:
    text = ", ".join(value) if isinstance(value, tuple) else str(value)
    return text if len(text) <= 80 else f"{text[:77]}..."
