"""All of a LiteLLM database: our rows, notes on what is different, and what was skipped, with its money. PURE."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from aiops.state.store import rows
from aiops.state.store.changes import member_id
from aiops.state.takeover import amounts, keys, litellm, owners
from aiops.state.takeover import words as w
from aiops.state.takeover.amounts import Notes
from aiops.state.takeover.keys import Valid
from aiops.state.takeover.litellm import Database
from aiops.state.takeover.owners import NOTHING, Book, Spent

_ADMINISTRATOR = "proxy_admin"
_COUNTED = {
    "LiteLLM_ModelAccessGroupBudgetTable": w.ACCESS_GROUP_BUDGETS,
    "LiteLLM_OrganizationMembership": w.ORGANIZATIONS,
    "LiteLLM_PolicyAttachmentTable": w.POLICIES,
}


@dataclass(frozen=True)
class Taken:
    """One row. ``theirs``: what LiteLLM finds it by; ``name``: how people know it. ``hashes``: of a key."""

    kind: str
    theirs: str
    name: str
    row: rows.Limited
    spent: Spent = NOTHING
    hashes: tuple[Valid, ...] = ()


@dataclass(frozen=True)
class Skipped:
    """Rows of one kind that are not taken over for the same reason, and the nano-dollars they had spent."""

    kind: str
    why: str
    count: int
    spent: int


@dataclass(frozen=True)
class Translated:
    """``missing``: columns that LiteLLM's version does not have, as ``table.column``."""

    source: str
    now: int
    taken: tuple[Taken, ...]
    skipped: tuple[Skipped, ...]
    notes: tuple[w.Note, ...]
    missing: tuple[str, ...] = ()


@dataclass
class _Work:
    taken: list[Taken] = field(default_factory=list)
    notes: list[w.Note] = field(default_factory=list)
    skipped: Counter[tuple[str, str]] = field(default_factory=Counter)
    money: Counter[tuple[str, str]] = field(default_factory=Counter)

    def take(self, kind: str, theirs: str, row: rows.Limited, notes: Notes, spent: Spent = NOTHING) -> None:
        self.taken.append(Taken(kind, theirs, notes.name, row, spent))
        self.notes += notes.found

    def skip(self, kind: str, why: str, spend: float, notes: Notes) -> None:
        self.skipped[kind, why] += 1
        self.money[kind, why] += amounts.spent(spend, notes)
        self.notes += notes.found


def translate(database: Database) -> Translated:
    work = _Work()
    book = _book(database)
    for budget in database.budgets:
        notes = Notes("budget", budget.budget_id)
        work.take("budget", budget.budget_id, owners.budget(budget, notes), notes)
    _users(database, book, work)
    _teams(database, book, work)
    _keys(database, book, work)
    _elsewhere(database, book, work)
    return Translated(
        database.source,
        database.now,
        tuple(work.taken),
        tuple(Skipped(*which, count, work.money[which]) for which, count in work.skipped.items()),
        tuple(work.notes),
        database.missing,
    )


def _book(database: Database) -> Book:
    budgets = {each.budget_id: each for each in database.budgets}
    spends = {(each.entity_type, each.entity_id, each.window_duration): each for each in database.window_spends}
    held = {each.organization_id for each in database.organizations if _holds(each, budgets.get(each.budget_id or ""))}
    return Book(database.now, budgets, spends, frozenset(held))


def _holds(organization: litellm.Organization, budget: litellm.Budget | None) -> bool:
    names = ("max_budget", "max_parallel_requests", "tpm_limit", "rpm_limit", "tpd_limit")
    limited = budget is not None and any(getattr(budget, name) is not None for name in names)
    return limited or bool(set(organization.models) - {"all-proxy-models"})


def _users(database: Database, book: Book, work: _Work) -> None:
    for each in database.users:
        notes = Notes("user", each.user_email or each.user_alias or each.user_id)
        if each.user_id == litellm.WHOLE_GATEWAY:
            if each.max_budget is not None:
                notes.add(w.WHOLE_BUDGET, f"max_budget is {each.max_budget}")
            work.skip("user", "the whole gateway", each.spend, notes)
        else:
            row, spent = owners.user(each, book, notes)
            work.take("user", each.user_id, row, notes, spent)


def _teams(database: Database, book: Book, work: _Work) -> None:
    memberships = {(each.team_id, each.user_id): each for each in database.memberships}
    for each in database.teams:
        notes = Notes("team", each.team_alias or each.team_id)
        if each.team_id == litellm.DASHBOARD:
            work.skip("team", "the dashboard's own", each.spend, notes)
            continue
        row, spent = owners.team(each, book, notes)
        of_it = list(owners.members(each, memberships, row, book, notes))
        work.take("team", each.team_id, row, notes, spent)
        for member, theirs, told in of_it:
            work.take("member", member_id(member.team_id, member.user_id), member, told, theirs)
    teams = {each.team_id for each in database.teams} - {litellm.DASHBOARD}
    for own in database.memberships:
        if own.team_id not in teams:
            work.skip("member", "of no team", own.spend, Notes("member", f"{own.user_id} of {own.team_id}"))


def _keys(database: Database, book: Book, work: _Work) -> None:
    administrators = {each.user_id for each in database.users if each.user_role == _ADMINISTRATOR}
    teams = {each.team_id for each in database.teams}
    earlier = keys.still_valid(database.deprecated, database.now)
    aliases: set[str] = set()
    live = []
    for each in database.keys:
        notes = Notes("key", keys.name_of(each))
        why = keys.skipped(each, database.now)
        if why is None:
            live.append((each, notes))
            continue
        if why == "not hashed":
            notes = Notes("key", each.key_alias or "without an alias")  # the token may be the key itself
            notes.add(w.NOT_HASHED)
        work.skip("key", why, each.spend, notes)
    for each, notes in sorted(live, key=lambda pair: (pair[0].created_at or 0, pair[0].token)):
        alias = _free(each.key_alias, aliases, notes)
        if each.team_id and each.team_id not in teams:
            notes.add(w.NO_TEAM, each.team_id)
        row, spent = keys.key(each, alias, each.user_id in administrators, book, notes)
        hashes = (Valid(each.token), *earlier.get(each.token, ()))
        work.taken.append(Taken("key", each.token, notes.name, row, spent, hashes))
        work.notes += notes.found
    orphans = set(earlier) - {each.token for each, _ in live}
    if orphans:
        count = sum(len(earlier[token]) for token in orphans)
        work.skipped["earlier hash", "of no key that is valid"] += count
    over = sum(each.revoke_at <= database.now for each in database.deprecated)
    if over:
        work.skipped["earlier hash", "no longer valid"] += over


def _free(alias: str | None, taken: set[str], notes: Notes) -> str | None:
    """LiteLLM's own check lets two keys of one alias pass now and then; here there is one."""
    if not alias:
        return None
    free, number = alias, 2
    while free in taken:
        free, number = f"{alias} ({number})", number + 1
    if free != alias:
        notes.add(w.RENAMED, f"is `{free}` now")
    taken.add(free)
    return free


def _elsewhere(database: Database, book: Book, work: _Work) -> None:
    """What no row of ours comes of."""
    for organization in database.organizations:
        notes = Notes("organization", organization.organization_alias or organization.organization_id)
        if organization.organization_id in book.held_back:
            notes.add(w.ORGANIZATION_LIMITS)
        work.skip("organization", "not in aiops", organization.spend, notes)
    for customer in database.customers:
        notes = Notes("customer", customer.alias or customer.user_id)
        if customer.budget_id or customer.blocked:
            notes.add(w.CUSTOMERS, "blocked" if customer.blocked else f"budget_id is {customer.budget_id}")
        work.skip("customer", "not in aiops", customer.spend, notes)
    for tag in database.tags:
        notes = Notes("tag", tag.tag_name)
        if tag.budget_id:
            notes.add(w.TAG_BUDGETS, f"budget_id is {tag.budget_id}")
        work.skip("tag", "not in aiops", tag.spend, notes)
    for project in database.projects:
        notes = Notes("project", project.project_alias or project.project_id)
        notes.add(w.PROJECTS)
        work.skip("project", "not in aiops", project.spend, notes)
    names = {each.token: keys.name_of(each) for each in database.keys}
    for mapping in database.jwt_mappings:
        if mapping.is_active is not False:
            work.notes.append(w.Note(w.JWT, "key", names.get(mapping.token, "of nobody"), mapping.jwt_claim_name))
    for table, count in database.rows_elsewhere.items():
        if count:
            work.notes.append(w.Note(_COUNTED[table], "table", table, f"{count} rows"))


def bounding(notes: Iterable[w.Note]) -> list[str]:
    """The words that somebody has to say before anything is taken over."""
    return sorted({each.word.word for each in notes if each.word.bounds})
