"""Each act is whole: the row, the change that workers follow and the line in the audit, or nothing of it."""

from __future__ import annotations

import json
from typing import Any

import pytest
from sqlalchemy import Connection, Engine, func, select

from aiops.errors import Precondition
from aiops.state import rules, tokens
from aiops.state.administration import budgets, find, keys, listing, members, spend, teams, users
from aiops.state.administration.journal import Actor
from aiops.state.administration.request import Invalid, Unknown
from aiops.state.administration.requests import (
    KEY_TYPES,
    BudgetRequest,
    KeyRequest,
    Member,
    MemberRequest,
    TeamRequest,
    UserRequest,
)
from aiops.state.store import audit, changes, clock, identity, rows, tables, usage
from aiops.state.store import keys as stored
from aiops.state.store.open import reading, writing
from aiops.state.store.writing import Stale
from aiops.state.usage.record import Usage

NANO = 10**9
ANN = Actor("ann@desk", "command line", "why not")


def create(connection: Connection, **plain: Any) -> keys.Made:
    return keys.create(connection, KeyRequest.of(plain), ANN)


def refused(connection: Connection, **plain: Any) -> dict[str, str]:
    with pytest.raises(Invalid) as error:
        create(connection, **plain)
    return {each.field: each.what for each in error.value.problems}


def test_a_key_is_found_by_its_hash_and_stored_nowhere(engine: Engine) -> None:
    with writing(engine) as connection:
        made = create(connection, key_alias="ci", models=["gpt-4o"], rpm_limit=60, max_budget=10, duration="30d")
    with reading(engine) as connection:
        whose = identity.by_hash(connection, tokens.hashed(made.key))
        assert whose is not None and whose.id == made.row.id
        assert whose.accounts[0].models == ("gpt-4o",) and whose.accounts[0].limits.rpm == 60
        assert whose.expires == pytest.approx(made.row.created_at / clock.SECOND + 30 * 86_400)
        for table in tables.metadata.sorted_tables:
            assert made.key not in str(connection.execute(select(table)).all())


def test_a_key_for_management_is_an_administrators_and_the_other_kinds_are_not(engine: Engine) -> None:
    with writing(engine) as connection:
        made = {kind: create(connection, key_type=kind).row for kind in KEY_TYPES}
    assert [kind for kind, row in made.items() if row.admin] == ["management"]
    assert made["read_only"].allowed_routes == ("info_routes",)


def test_an_act_is_a_change_and_a_line_in_the_audit(engine: Engine) -> None:
    with writing(engine) as connection:
        made = create(connection, key_alias="ci")
    with writing(engine) as connection:
        done = keys.change(connection, made.row, KeyRequest.of({"rpm_limit": 5}), ANN)
    assert done.seq is not None and done.seq > made.seq
    with reading(engine) as connection:
        assert [(each.kind, each.id) for each in changes.since(connection, 0)] == [("key", made.row.id)] * 2
        last, first = audit.page(connection, kind="key", object=made.row.id)
    assert (first.verb, first.who, first.from_where) == ("keys create", "ann@desk", "command line")
    assert (last.before, last.after) == ({}, {"rpm_limit": 5, "reason": "why not"})
    assert made.key not in json.dumps(first.after) and tokens.hashed(made.key) not in json.dumps(first.after)


def test_what_is_refused_leaves_nothing_behind(engine: Engine) -> None:
    with writing(engine) as connection:
        create(connection, key_alias="ci")
        found = refused(connection, key_alias="ci", team_id="none", budget_id="none", budget_duration="1d")
        assert found == {
            "key_alias": found["key_alias"],
            "team_id": "names no team: there is no `none`",
            "budget_id": "names no budget: there is no `none`",
        }
        assert found["key_alias"].startswith("is taken: `ci` is sk-...")
        for looks in (tokens.make(), tokens.hashed("sk-1")):
            assert refused(connection, key_alias=looks) == {"key_alias": "looks like a key; choose a name"}
        assert refused(connection, budget_duration="1d") == {"budget_duration": "has no effect without `max_budget`"}
    with reading(engine) as connection:
        counted = [
            connection.scalar(select(func.count()).select_from(t)) for t in (tables.keys, tables.changes, tables.audit)
        ]
    assert counted == [1, 1, 1]


def test_a_change_that_changes_nothing_is_none(engine: Engine) -> None:
    with writing(engine) as connection:
        made = create(connection, rpm_limit=5)
        assert keys.change(connection, made.row, KeyRequest.of({"rpm_limit": 5}), ANN).seq is None


def test_who_changes_what_somebody_else_changed_meanwhile_is_told(engine: Engine) -> None:
    with writing(engine) as connection:
        made = create(connection)
        keys.change(connection, made.row, KeyRequest.of({"rpm_limit": 5}), ANN)
        with pytest.raises(Stale):
            keys.change(connection, made.row, KeyRequest.of({"rpm_limit": 6}), ANN)


def test_a_rotated_key_stays_valid_as_long_as_was_said_and_no_longer(engine: Engine) -> None:
    with writing(engine) as connection:
        made = create(connection, key_alias="ci", rpm_limit=5)
        at_once = keys.rotate(connection, made.row, KeyRequest(), ANN)
        later = keys.rotate(connection, at_once.row, KeyRequest(), ANN, grace=3600)
    with reading(engine) as connection:
        now = clock.read(connection) / clock.SECOND
        old, between, new = (
            identity.by_hash(connection, tokens.hashed(each)) for each in (made.key, at_once.key, later.key)
        )
    assert old is not None and old.expires is not None and old.expires <= now
    assert between is not None and between.expires == pytest.approx(now + 3600, abs=60)
    assert new is not None and new.expires is None
    assert old.id == between.id == new.id and new.name == tokens.name(later.key)


def test_a_blocked_key_is_unblocked_and_a_revoked_one_is_gone_for_good(engine: Engine) -> None:
    with writing(engine) as connection:
        made = create(connection, key_alias="ci")
        blocked = keys.block(connection, made.row, ANN).row
        whose = identity.by_hash(connection, tokens.hashed(made.key))
        assert whose is not None and whose.accounts[0].blocked
        row = keys.block(connection, blocked, ANN, blocked=False).row
        gone = keys.revoke(connection, row, ANN).row
        assert identity.by_hash(connection, tokens.hashed(made.key)) is None
        assert keys.revoke(connection, gone, ANN).seq is None
        for act in (
            lambda: keys.block(connection, gone, ANN),
            lambda: keys.rotate(connection, gone, KeyRequest(), ANN),
        ):
            with pytest.raises(Precondition, match="was revoked"):
                act()
        assert create(connection, key_alias="ci").row.alias == "ci"  # the alias is free again
        assert gone.alias == f"ci (revoked {gone.id[:8]})"


def test_a_key_is_found_as_people_programs_and_clients_call_it(engine: Engine) -> None:
    with writing(engine) as connection:
        made = create(connection, key_alias="nightly")
        for said in (made.row.id, "nightly", made.row.name, tokens.hashed(made.key), made.key):
            assert find.key(connection, said).id == made.row.id
        with pytest.raises(Unknown, match="there is no key `nightl`") as error:
            find.key(connection, "nightl")
        assert error.value.hint == "did you mean `nightly`?"
        with pytest.raises(Unknown) as hidden:
            find.key(connection, "sk-somebody-elses-secret")
        assert "secret" not in hidden.value.message.removesuffix("cret`")


def record(id: str, key: str, at: int, cost: int, **more: Any) -> Usage:
    values: dict[str, Any] = {
        "team": None, "user": None, "model": "m", "provider": "p", "served": "m", "path": "/", "seconds": 0.1,
        "first": None, "status": 200, "outcome": "answered", "prompt_tokens": 1, "completion_tokens": 1,
        "cached_tokens": 0, "estimated": False, "stream": False, "generation": 1, "replica": "r", "epoch": "e",
    }  # fmt: skip
    return Usage(id=id, key=key, started=at, cost=cost, **{**values, **more})


def test_what_was_spent_is_the_ledgers_and_a_reset_counts_from_then_on(engine: Engine) -> None:
    with writing(engine) as connection:
        made = create(connection, max_budget=10, budget_limits=[{"budget_duration": "1d", "max_budget": 5}], spend=2)
        at = clock.read(connection)
        usage.ingest(connection, [record("a", made.row.id, at, 3 * NANO)])
        now = at / clock.SECOND
        assert [each.spent for each in spend.used(connection, made.row, None, now)] == [5 * NANO, 5 * NANO]
        assert spend.spent(connection, made.row, None, now).total == 5 * NANO
        done = keys.reset_spend(connection, made.row, NANO, ANN).row
        assert done.epoch == made.row.epoch + 1
        later = clock.read(connection)
        usage.ingest(connection, [record("b", made.row.id, later, NANO)])
        assert [each.spent for each in spend.used(connection, done, None, now)] == [2 * NANO, 2 * NANO]
        tomorrow = [each.spent for each in spend.used(connection, done, None, now + 86_400)]
        assert tomorrow == [2 * NANO, 0]  # the day begins anew, what never does goes on


def test_pages_of_keys_have_each_once(engine: Engine) -> None:
    with writing(engine) as connection:
        names = [f"k{number}" for number in range(7)]
        for name in names:
            create(connection, key_alias=name, user_id="u" if name == "k3" else None)
        keys.revoke(connection, find.key(connection, "k0"), ANN)
        found, after = [], None
        while page := listing.page(connection, listing.Wanted(), 3, after):
            found += [each.alias for each in page]
            after = stored.cursor(page[-1])
        assert found == names[:0:-1]
        assert listing.count(connection, listing.Wanted()) == 6
        assert [each.alias for each in listing.page(connection, listing.Wanted(user="u"), 9)] == ["k3"]
        assert len(listing.page(connection, listing.Wanted(deleted=True), 9)) == 7
        keys.block(connection, find.key(connection, "k5"), ANN)
        assert [each.alias for each in listing.page(connection, listing.Wanted(status="revoked"), 9)] == ["k5"]
        assert listing.count(connection, listing.Wanted(status="active")) == 5


def test_a_team_has_members_and_a_budget_that_each_of_them_is_lent(engine: Engine) -> None:
    with writing(engine) as connection:
        asked = TeamRequest.of(
            {"team_alias": "red", "team_member_budget": 5, "members_with_roles": [{"role": "user", "user_id": "bob"}]}
        )
        team = teams.create(connection, asked, ANN).row
        made = create(connection, team_id=team.id, user_id="bob")
        whose = identity.by_hash(connection, tokens.hashed(made.key))
        assert whose is not None
        assert [each.kind for each in whose.accounts] == ["key", "team", "user", "member"]
        assert whose.accounts[3].budgets[0].most == 5 * NANO
        teams.change(connection, team, TeamRequest.of({"team_member_budget": 7}), ANN)
        again = identity.by_hash(connection, tokens.hashed(made.key))
        assert again is not None and again.accounts[3].budgets[0].most == 7 * NANO
        member = members.get(connection, team, "bob")
        members.change(connection, member, MemberRequest.of({"max_budget_in_team": 2}), ANN)
        own = identity.by_hash(connection, tokens.hashed(made.key))
        assert own is not None and own.accounts[3].budgets[0].most == 2 * NANO
        with pytest.raises(Invalid, match="is in the team already"):
            members.add(connection, team, Member("bob"), by=ANN)
        with pytest.raises(Unknown, match="no member of team red `eve`"):
            members.remove(connection, team, "eve", ANN)


def test_who_deletes_a_team_revokes_its_keys(engine: Engine) -> None:
    with writing(engine) as connection:
        team = teams.create(connection, TeamRequest.of({"team_alias": "red", "team_member_budget": 5}), ANN).row
        made, other = create(connection, team_id=team.id), create(connection)
        deleted = teams.delete(connection, find_team(connection, "red"), ANN)
        assert deleted.keys == (made.row.id,)
        assert identity.by_hash(connection, tokens.hashed(made.key)) is None
        assert identity.by_hash(connection, tokens.hashed(other.key)) is not None
        assert connection.scalar(select(func.count()).select_from(tables.budgets)) == 0  # what its members were lent
        with pytest.raises(Unknown):
            teams.get(connection, "red")


def find_team(connection: Connection, said: str) -> rows.Team:
    return teams.get(connection, said)


def test_a_teams_alias_and_a_budgets_id_are_one_ones(engine: Engine) -> None:
    with writing(engine) as connection:
        teams.create(connection, TeamRequest.of({"team_alias": "red"}), ANN)
        budgets.create(connection, BudgetRequest.of({"budget_id": "b", "max_budget": 1}), ANN)
        with pytest.raises(Invalid, match="`team_alias` is taken"):
            teams.create(connection, TeamRequest.of({"team_alias": "red"}), ANN)
        with pytest.raises(Invalid, match="`budget_id` is taken"):
            budgets.create(connection, BudgetRequest.of({"budget_id": "b"}), ANN)


def test_a_budget_that_is_lent_fills_what_a_key_leaves_open(engine: Engine) -> None:
    with writing(engine) as connection:
        lent = budgets.create(
            connection, BudgetRequest.of({"budget_id": "b", "max_budget": 3, "rpm_limit": 9}), ANN
        ).row
        made = create(connection, budget_id="b", rpm_limit=4)
        whose = identity.by_hash(connection, tokens.hashed(made.key))
        assert whose is not None
        assert (whose.accounts[0].limits.rpm, whose.accounts[0].budgets[0].most) == (4, 3 * NANO)
        assert [each.limit.max_budget for each in spend.used(connection, made.row, lent, 0.0)] == [3 * NANO]
        budgets.delete(connection, lent, ANN)
        free = identity.by_hash(connection, tokens.hashed(made.key))
        assert free is not None and free.accounts[0].budgets == ()


def test_who_deletes_a_user_revokes_their_keys_and_they_leave_their_teams(engine: Engine) -> None:
    with writing(engine) as connection:
        team = teams.create(connection, TeamRequest.of({"team_alias": "red"}), ANN).row
        user = users.create(connection, UserRequest.of({"user_id": "ada", "user_email": "a@b.c"}), ANN).row
        members.add(connection, team, Member("ada"), by=ANN)
        made = create(connection, user_id="ada")
        assert users.get(connection, "a@b.c").id == "ada"
        with pytest.raises(Invalid, match="`user_email` is taken"):
            users.create(connection, UserRequest.of({"user_email": "a@b.c"}), ANN)
        assert users.delete(connection, user, ANN).keys == (made.row.id,)
        assert users.memberships(connection, "ada") == []


def test_a_budget_that_ends_takes_its_counters_with_it_and_leaves_what_was_spent_before(engine: Engine) -> None:
    """Given back in the same window it would find a counter without what was spent between."""

    def epoch(connection: Connection) -> int:
        whose = identity.by_id(connection, id)
        assert whose is not None
        return whose.accounts[0].epoch

    with writing(engine) as connection:
        row = create(connection, max_budget=10, budget_duration="30d", spend=3).row
        id = row.id
        seen = {epoch(connection)}
        for fields, ends in (
            ({"rpm_limit": 5}, False),
            ({"max_budget": 20}, False),
            ({"budget_limits": [{"max_budget": 1, "budget_duration": "1d"}]}, False),
            ({"model_max_budget": {"gpt-*": {"max_budget": 1, "budget_duration": "1d"}}}, False),
            ({"budget_limits": None}, True),
            ({"model_max_budget": {"gpt-*": {"max_budget": 1, "budget_duration": "7d"}}}, True),
            ({"model_max_budget": None}, True),
            ({"budget_duration": "7d"}, True),
            ({"max_budget": None, "budget_duration": None}, True),
            ({"max_budget": 10, "budget_duration": "30d"}, False),
        ):
            row = keys.change(connection, row, KeyRequest.of(fields), ANN).row
            assert (epoch(connection) not in seen) == ends, fields
            seen.add(epoch(connection))
            assert spend.spent(connection, row, None, row.base_at / clock.SECOND).total == 3 * NANO
        row = keys.reset_spend(connection, row, 0, ANN).row
        assert epoch(connection) not in seen
        seen.add(epoch(connection))
        keys.change(connection, row, KeyRequest.of({"max_budget": None, "budget_duration": None}), ANN)
        assert epoch(connection) not in seen


def test_a_lent_budget_that_ends_takes_the_counters_of_all_who_were_lent_it(engine: Engine) -> None:
    def accounts(connection: Connection) -> dict[str, tuple[int, float]]:
        whose = identity.by_id(connection, key.id)
        assert whose is not None
        return {each.kind: (each.epoch, each.changed_at) for each in whose.accounts}

    def begun_anew(connection: Connection, before: dict[str, tuple[int, float]]) -> set[str]:
        """Whose counters are others, which are told what the ledger says because something was decided since."""
        now = accounts(connection)
        assert all(now[kind][1] > before[kind][1] for kind in now if now[kind][0] != before[kind][0])
        return {kind for kind in now if now[kind][0] != before[kind][0]}

    with writing(engine) as connection:
        lent = budgets.create(connection, BudgetRequest.of({"max_budget": 5, "budget_duration": "30d"}), ANN).row
        team = teams.create(
            connection, TeamRequest.of({"team_id": "t", "team_member_budget": 1, "budget_id": lent.id}), ANN
        ).row
        members.add(connection, team, Member("u"), by=ANN)
        key = create(connection, team_id="t", user_id="u", budget_id=lent.id).row
    with writing(engine) as connection:
        before = accounts(connection)
        lent = budgets.change(connection, lent, BudgetRequest.of({"budget_duration": "7d"}), ANN).row
        assert begun_anew(connection, before) == {"key", "team"}
        before = accounts(connection)
        team = teams.change(
            connection, teams.get(connection, "t"), TeamRequest.of({"team_member_budget": None}), ANN
        ).row
        assert begun_anew(connection, before) == {"member"}
        before = accounts(connection)
        budgets.delete(connection, lent, ANN)
        assert begun_anew(connection, before) == {"key", "team"}


def test_the_old_one_of_a_rotated_key_expires_as_itself_and_not_as_the_new_one(engine: Engine) -> None:
    with writing(engine) as connection:
        made = create(connection, key_alias="ci")
        new = keys.rotate(connection, made.row, KeyRequest(), ANN, grace=60)
        later = clock.read(connection) / clock.SECOND + 61
        old, current = (identity.by_hash(connection, tokens.hashed(each)) for each in (made.key, new.key))
        assert old is not None and current is not None
        assert rules.valid(current, later) is None
        refused = rules.valid(old, later)
        assert refused is not None
        assert f"The key that was replaced by the key {new.row.name} (ci) expired at" in refused.message
        own = keys.change(connection, new.row, KeyRequest.of({"duration": "30s"}), ANN).row
        expired = identity.by_hash(connection, tokens.hashed(new.key))
        assert expired is not None
        said = rules.valid(expired, later)
        assert said is not None and f"Key. The key {own.name} (ci) expired at" in said.message
