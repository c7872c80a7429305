"""Keys out of LiteLLM's rows, and the hashes they are found by. PURE."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from aiops.state import tokens
from aiops.state.store import rows
from aiops.state.takeover import amounts, guesses, litellm, owners
from aiops.state.takeover import words as w
from aiops.state.takeover.amounts import Notes
from aiops.state.takeover.owners import Book, Spent

_LOST = {
    "object_permission_id": w.OBJECT_PERMISSIONS,
    "project_id": w.PROJECTS,
    "agent_id": w.AGENTS,
    "policies": w.POLICIES,
    "access_group_ids": w.ACCESS_GROUPS,
    "allowed_cache_controls": w.CACHE_CONTROLS,
    "tpd_limit": w.DAILY_TOKENS,
    "aliases": w.MODEL_ALIASES,
    "config": w.OWN_SETTINGS,
    "router_settings": w.OWN_SETTINGS,
    "permissions": w.PERMISSIONS,
    "budget_fallbacks": w.FALLBACKS,
    "auto_rotate": w.ROTATION,
}
_MANAGEMENT = "management_routes"


@dataclass(frozen=True)
class Valid:
    """A hash that a key is found by, until ``expires_at`` (microseconds since 1970; None: as long as the key)."""

    hash: str
    expires_at: int | None = None


def id_of(token: str) -> str:
    """Ours, of the row with this hash: the same each time, and no way back."""
    return hashlib.sha256(f"litellm {token}".encode()).hexdigest()[:32]


def name_of(row: litellm.Key) -> str:
    """How people know it."""
    return row.key_alias or row.key_name or f"sk-... (hash {row.token[:8]})"


def skipped(row: litellm.Key, now: int) -> str | None:
    """Why it is not taken over."""
    if row.team_id == litellm.DASHBOARD:
        return "sessions of the dashboard"
    if not tokens.is_hash(row.token):
        return "not hashed"
    if row.expires is not None and row.expires <= now:
        return "expired"
    return None


def key(row: litellm.Key, alias: str | None, administers: bool, book: Book, notes: Notes) -> tuple[rows.Key, Spent]:
    """``alias``: one that no other key has. ``administers``: its user does."""
    owners.lost(row, _LOST, notes)
    owners.organization(row.organization_id, book, notes)
    if administers or row.key_type == "management" or _MANAGEMENT in row.allowed_routes:
        notes.add(w.ADMINISTRATORS)
    known, kept = owners.metadata(row.metadata, notes)
    lent = owners.budget_of(row.budget_id, book, notes)
    duration, resets = row.budget_duration, row.budget_reset_at
    if lent is not None and not duration:
        duration, resets = lent.budget_duration, lent.budget_reset_at
    spent = owners.spending(row.spend, duration, resets, book, notes)
    if guesses.guessed(row.token, (row.key_alias, row.key_name, row.user_id, row.team_id)):
        notes.add(w.GUESSED)
    made = rows.Key(
        id=id_of(row.token),
        name=row.key_name or "sk-...",
        alias=alias,
        team_id=row.team_id or None,
        user_id=row.user_id or None,
        budget_id=lent.budget_id if lent else None,
        models=row.models or None,
        blocked=bool(row.blocked),
        key_type=row.key_type or None,
        allowed_routes=row.allowed_routes or None,
        tags=amounts.words(known.get("tags"), "tags", notes) or None,
        expires_at=row.expires,
        metadata=kept,
        **owners.limits(row, known, notes),
        **owners.several(row, "key", row.token, book, notes),
        **owners.written(row),
        **owners.base(spent, book),
    )
    return made, spent


def still_valid(deprecated: Iterable[litellm.Deprecated], now: int) -> Mapping[str, tuple[Valid, ...]]:
    """What each key (by its hash) was before it was rotated, and is not over yet. A key that was rotated twice has
    both."""
    current = {each.token: each for each in deprecated if each.revoke_at > now}
    found: dict[str, list[Valid]] = {}
    for each in current.values():
        ends, at, seen = each.revoke_at, each.active_token_id, {each.token}
        while at in current and at not in seen:
            seen.add(at)
            ends, at = min(ends, current[at].revoke_at), current[at].active_token_id
        found.setdefault(at, []).append(Valid(each.token, ends))
    return {token: tuple(valid) for token, valid in found.items()}
