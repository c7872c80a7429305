"""A key and everybody it counts for, out of one statement: rows of the key, its team, user, membership, and budgets."""

from __future__ import annotations

from typing import Any

from sqlalchemy import ColumnElement, Connection, FromClause, RowMapping, Select, and_, bindparam, func, literal, select
from sqlalchemy.sql.selectable import NamedFromClause

from aiops.state.shapes import Account, Budget, Identity, Kind, Limits
from aiops.state.store import rows
from aiops.state.store.changes import member_id
from aiops.state.store.clock import SECOND
from aiops.state.store.tables import budgets, changes, key_hashes, keys, team_members, teams, users

_LIMITS = (
    "rpm_limit", "tpm_limit", "max_parallel_requests", "max_budget", "budget_duration", "budget_limits",
    "model_rpm_limit", "model_tpm_limit", "model_max_budget",
)  # fmt: skip
_COUNTED = ("models", "blocked", "shadow", "epoch", "base_spend", "base_at", "base_windows", "updated_at")

_of_key, _of_team, _of_user, _of_member, _of_members = (
    budgets.alias(f"{whose}_budget") for whose in ("key", "team", "user", "member", "members")
)
_LENT = (_of_key, _of_team, _of_user, _of_member, _of_members)
_CHANGED: dict[Kind, tuple[str, ...]] = {
    "key": ("key_updated_at", "key_budget_updated_at"),
    "team": ("team_updated_at", "team_budget_updated_at"),
    "user": ("user_updated_at", "user_budget_updated_at"),
    "member": ("member_updated_at", "member_budget_updated_at", "team_updated_at", "members_budget_updated_at"),
}
"""When any of them was changed, an account may have got a budget that it did not have."""


def by_hash(connection: Connection, hash: str) -> Identity | None:
    """Whose key this is the sha256 (hex) of; expired and blocked ones too, but none that is revoked."""
    return _one(connection, _BY_HASH, hash)


def by_id(connection: Connection, id: str) -> Identity | None:
    """The same by the key's own id; ``Identity.hash`` is empty."""
    return _one(connection, _BY_ID, id)


def _one(connection: Connection, statement: Select[Any], wanted: str) -> Identity | None:
    row = connection.execute(statement, {"wanted": wanted}).mappings().one_or_none()
    return None if row is None else _identity(row)


def _account(prefix: str, table: FromClause, *fill: NamedFromClause) -> list[ColumnElement[Any]]:
    """Columns of an account, what is NULL filled from the budgets in turn."""
    return [
        *(func.coalesce(table.c[name], *_filling(name, fill)).label(f"{prefix}_{name}") for name in _LIMITS),
        *(table.c[name].label(f"{prefix}_{name}") for name in _COUNTED),
    ]


def _filling(name: str, fill: tuple[NamedFromClause, ...]) -> list[ColumnElement[Any]]:
    # Of what members have by default 0 means no limit, as LiteLLM has it.
    lent = [budget.c[name] for budget in fill]
    zero = name == "max_budget"
    return [func.nullif(column, 0) if zero and column.table is _of_members else column for column in lent]


def _statement(source: FromClause, hash: ColumnElement[str], expires: ColumnElement[Any]) -> Select[Any]:
    joined = (
        source.outerjoin(_of_key, _of_key.c.id == keys.c.budget_id)
        .outerjoin(teams, teams.c.id == keys.c.team_id)
        .outerjoin(_of_team, _of_team.c.id == teams.c.budget_id)
        .outerjoin(users, users.c.id == keys.c.user_id)
        .outerjoin(_of_user, _of_user.c.id == users.c.budget_id)
        .outerjoin(
            team_members, and_(team_members.c.team_id == keys.c.team_id, team_members.c.user_id == keys.c.user_id)
        )
        .outerjoin(_of_member, _of_member.c.id == team_members.c.budget_id)
        .outerjoin(_of_members, _of_members.c.id == teams.c.member_budget_id)
    )
    own = ("id", "name", "alias", "team_id", "user_id", "admin", "allowed_routes", "weight", "tags", "metadata")
    return (
        select(
            *(keys.c[name] for name in own),
            hash.label("hash"),
            keys.c.expires_at,
            expires.label("hash_expires_at"),
            teams.c.id.label("team"),
            teams.c.alias.label("team_alias"),
            users.c.id.label("user"),
            func.coalesce(users.c.alias, users.c.email).label("user_alias"),
            select(func.max(changes.c.seq)).scalar_subquery().label("seq"),
            *_account("key", keys, _of_key),
            *_account("team", teams, _of_team),
            *_account("user", users, _of_user),
            *_account("member", team_members, _of_member, _of_members),
            *(budget.c.updated_at.label(f"{budget.name}_updated_at") for budget in _LENT),
        )
        .select_from(joined)
        .where(keys.c.revoked_at.is_(None))
    )


_BY_HASH = _statement(
    key_hashes.join(keys, keys.c.id == key_hashes.c.key_id), key_hashes.c.hash, key_hashes.c.expires_at
).where(key_hashes.c.hash == bindparam("wanted"))
_BY_ID = _statement(keys, literal(""), literal(None)).where(keys.c.id == bindparam("wanted"))


def _identity(row: RowMapping) -> Identity:
    expiries = [each / SECOND for each in (row["expires_at"], row["hash_expires_at"]) if each is not None]
    return Identity(
        id=row["id"],
        hash=row["hash"],
        name=row["name"],
        alias=row["alias"],
        accounts=tuple(_accounts(row)),
        team=row["team_id"],
        user=row["user_id"],
        expires=min(expiries, default=None),
        replaced=row["hash_expires_at"] is not None,
        admin=row["admin"],
        routes=tuple(row["allowed_routes"] or ()),
        tags=tuple(row["tags"] or ()),
        metadata=row["metadata"] or {},
        weight=row["weight"],
        version=row["seq"] or 0,
    )


def _accounts(row: RowMapping) -> list[Account]:
    found = [_of("key", row["id"], row["alias"] or row["name"], row)]
    if row["team"] is not None:
        found.append(_of("team", row["team"], row["team_alias"] or row["team"], row))
    elif row["team_id"] is not None:
        # A team that was removed does not set its keys free of what held them.
        found.append(Account(kind="team", id=row["team_id"], name=row["team_id"], blocked=True))
    if row["user"] is not None:
        # What a user may spend and ask for alone is not what holds in a team, as LiteLLM has it: the limits are.
        found.append(_of("user", row["user"], row["user_alias"] or row["user"], row, alone=row["team_id"] is None))
    if row["team"] is not None and row["user_id"] is not None:
        member = member_id(row["team"], row["user_id"])
        found.append(_of("member", member, row["user_alias"] or row["user_id"], row))
    return found


def _of(kind: Kind, id: str, name: str, row: RowMapping, alone: bool = True) -> Account:
    def value(column: str) -> Any:
        return row[f"{kind}_{column}"]

    shadow = bool(value("shadow"))
    requests, tokens = value("model_rpm_limit") or {}, value("model_tpm_limit") or {}
    own = (rows.BudgetLimit(value("max_budget"), value("budget_duration")),) if value("max_budget") is not None else ()
    return Account(
        kind=kind,
        id=id,
        name=name,
        blocked=bool(value("blocked")),
        models=tuple(value("models") or ()) if alone else (),
        limits=Limits(
            rpm=value("rpm_limit"), tpm=value("tpm_limit"), parallel=value("max_parallel_requests"), shadow=shadow
        ),
        by_model={
            model: Limits(rpm=requests.get(model), tpm=tokens.get(model), shadow=shadow)
            for model in sorted({*requests, *tokens})
        },
        budgets=_budgets((*own, *rows.budget_limits(value("budget_limits"))), shadow) if alone else (),
        budgets_by_model={
            model: _budgets(limits, shadow)
            for model, limits in sorted(rows.budgets_by_model(value("model_max_budget")).items())
            if alone
        },
        epoch=value("epoch") or 0,
        base=value("base_spend") or 0,
        base_at=(value("base_at") or 0) / SECOND,
        changed_at=max(row[column] or 0 for column in _CHANGED[kind]) / SECOND,
        bases=value("base_windows") or {},
    )


def _budgets(limits: tuple[rows.BudgetLimit, ...], shadow: bool) -> tuple[Budget, ...]:
    """One for each duration, the least: a window has one counter."""
    least: dict[str | None, int] = {}
    for each in limits:
        least[each.budget_duration] = min(each.max_budget, least.get(each.budget_duration, each.max_budget))
    return tuple(Budget(most=most, duration=duration, shadow=shadow) for duration, most in least.items())
