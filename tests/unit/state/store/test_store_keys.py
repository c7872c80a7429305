"""Keys and whom they count for, as rows and as a worker keeps them."""

from __future__ import annotations

from dataclasses import replace

import pytest
from sqlalchemy import Connection, Engine, event, update

from aiops.state.shapes import Account, Budget, Limits
from aiops.state.store import budgets, changes, clock, keys, tables, teams, users, writing
from aiops.state.store.open import reading
from aiops.state.store.open import writing as transaction
from aiops.state.store.rows import Budget as BudgetRow
from aiops.state.store.rows import BudgetLimit, Key, Member, Team, User

HASH = "a" * 64


def key(id: str = "k", **rest: object) -> Key:
    return Key(id=id, name="sk-...abcd", **rest)  # type: ignore[arg-type]


def account(connection: Connection, kind: str, hash: str = HASH) -> Account:
    identity = keys.by_hash(connection, hash)
    assert identity is not None
    return next(each for each in identity.accounts if each.kind == kind)


def test_a_row_is_read_as_it_was_written(engine: Engine) -> None:
    written = key(
        alias="ci",
        rpm_limit=3,
        max_budget=5_000_000_000,
        budget_duration="30d",
        budget_limits=(BudgetLimit(7, "1d"),),
        model_rpm_limit={"gpt-4o": 2},
        model_max_budget={"gpt-4o": (BudgetLimit(9, "1h"),)},
        models=("gpt-*",),
        tags=("a", "b"),
        metadata={"who": {"x": [1]}},
        allowed_routes=("/v1/chat/completions",),
        weight=0.5,
        expires_at=2**53,
        created_by="me",
    )
    with transaction(engine) as connection:
        made = keys.add(connection, written, HASH)
    with reading(engine) as connection:
        assert (
            keys.get(connection, "k")
            == made
            == keys.get_by_alias(connection, "ci")
            == keys.get_by_hash(connection, HASH)
        )
    assert made.version == 1
    assert 0 < made.created_at <= made.updated_at
    assert replace(made, version=0, created_at=0, updated_at=0) == written


def test_a_key_comes_with_all_it_counts_for_in_one_round_trip(engine: Engine) -> None:
    with transaction(engine) as connection:
        teams.add(connection, Team(id="t", alias="Team", models=("gpt-*",), rpm_limit=100))
        users.add(connection, User(id="u", email="u@example.com", tpm_limit=5))
        teams.add_member(
            connection, Member(team_id="t", user_id="u", max_budget=9, epoch=4, base_spend=2, base_at=1_500_000)
        )
        keys.add(connection, key(team_id="t", user_id="u", tags=("x",), metadata={"a": 1}, weight=2.0), HASH)
    said: list[str] = []
    event.listen(engine, "before_cursor_execute", lambda _c, _u, statement, *_: said.append(statement))
    with reading(engine) as connection:
        identity = keys.by_hash(connection, HASH)
    assert len([statement for statement in said if "SELECT" in statement]) == 1
    assert identity is not None
    assert (identity.id, identity.hash, identity.name) == ("k", HASH, "sk-...abcd")
    assert (identity.team, identity.user, identity.tags, identity.metadata) == ("t", "u", ("x",), {"a": 1})
    assert identity.weight == 2.0
    assert all(each.changed_at > 0 for each in identity.accounts)
    assert tuple(replace(each, changed_at=0.0) for each in identity.accounts) == (
        Account(kind="key", id="k", name="sk-...abcd"),
        Account(kind="team", id="t", name="Team", models=("gpt-*",), limits=Limits(rpm=100)),
        Account(kind="user", id="u", name="u@example.com", limits=Limits(tpm=5)),
        Account(kind="member", id="t/u", name="u@example.com", budgets=(Budget(most=9),), epoch=4, base=2, base_at=1.5),
    )


def test_a_budget_fills_what_the_key_says_nothing_of(engine: Engine) -> None:
    with transaction(engine) as connection:
        budgets.add(connection, BudgetRow(id="b", max_budget=5, budget_duration="30d", rpm_limit=7, tpm_limit=8))
        keys.add(connection, key(budget_id="b", tpm_limit=1, budget_limits=(BudgetLimit(3, "1d"),)), HASH)
        found = account(connection, "key")
    assert found.limits == Limits(rpm=7, tpm=1)
    assert found.budgets == (Budget(most=5, duration="30d"), Budget(most=3, duration="1d"))


def test_a_window_has_one_budget_the_least(engine: Engine) -> None:
    with transaction(engine) as connection:
        limits = (BudgetLimit(3, "1d"), BudgetLimit(8, "1d"))
        keys.add(connection, key(max_budget=5, budget_duration="1d", budget_limits=limits, shadow=True), HASH)
        assert account(connection, "key").budgets == (Budget(most=3, duration="1d", shadow=True),)


def test_limits_of_one_model_are_apart(engine: Engine) -> None:
    with transaction(engine) as connection:
        row = key(
            model_rpm_limit={"a": 1},
            model_tpm_limit={"a": 2, "b": 3},
            model_max_budget={"c": (BudgetLimit(4, "1h"),)},
            shadow=True,
        )
        keys.add(connection, row, HASH)
        found = account(connection, "key")
    assert found.by_model == {"a": Limits(rpm=1, tpm=2, shadow=True), "b": Limits(tpm=3, shadow=True)}
    assert found.budgets_by_model == {"c": (Budget(most=4, duration="1h", shadow=True),)}


@pytest.mark.parametrize(("own", "default", "found"), [(None, 6, 6), (2, 6, 2), (0, 6, 0), (None, 0, None)])
def test_a_member_has_a_budget_of_their_own_or_the_teams_default(
    engine: Engine, own: int | None, default: int, found: int | None
) -> None:
    """As in LiteLLM, 0 by default is no limit, and 0 of one's own is nothing at all."""
    with transaction(engine) as connection:
        budgets.add(connection, BudgetRow(id="default", max_budget=default))
        teams.add(connection, Team(id="t", member_budget_id="default"))
        if own is not None:
            budgets.add(connection, BudgetRow(id="own", max_budget=own))
            teams.add_member(connection, Member(team_id="t", user_id="u", budget_id="own"))
        keys.add(connection, key(team_id="t", user_id="u"), HASH)
        member = account(connection, "member")
    assert member.budgets == (() if found is None else (Budget(most=found),))


def test_what_a_user_may_spend_alone_does_not_hold_in_a_team(engine: Engine) -> None:
    with transaction(engine) as connection:
        teams.add(connection, Team(id="t"))
        users.add(connection, User(id="u", max_budget=3, rpm_limit=4, models=("no-default-models",)))
        keys.add(connection, key("alone", user_id="u"), "1")
        keys.add(connection, key("inside", user_id="u", team_id="t"), "2")
        alone, inside = account(connection, "user", "1"), account(connection, "user", "2")
    assert (alone.budgets, alone.models, alone.limits.rpm) == ((Budget(most=3),), ("no-default-models",), 4)
    assert (inside.budgets, inside.models, inside.limits.rpm) == ((), (), 4)


def test_a_key_of_a_team_that_is_gone_is_blocked(engine: Engine) -> None:
    with transaction(engine) as connection:
        teams.add(connection, Team(id="t", models=("small",)))
        keys.add(connection, key(team_id="t"), HASH)
        assert not account(connection, "team").blocked
        assert teams.remove(connection, "t")
        assert account(connection, "team").blocked


def test_blocked_is_told_of_keys_teams_and_users(engine: Engine) -> None:
    with transaction(engine) as connection:
        teams.add(connection, Team(id="t", blocked=True))
        users.add(connection, User(id="u", blocked=True))
        keys.add(connection, key(team_id="t", user_id="u", blocked=True), HASH)
        assert all(account(connection, kind).blocked for kind in ("key", "team", "user"))


def test_an_old_hash_is_valid_until_it_expires_and_a_revoked_key_is_unknown(engine: Engine) -> None:
    with transaction(engine) as connection:
        made = keys.add(connection, key(expires_at=9_000_000), HASH)
        keys.add_hash(connection, keys.Hash("old", "k", 4_000_000))
        new, old = keys.by_hash(connection, HASH), keys.by_hash(connection, "old")
        assert new and old
        assert (new.expires, old.expires) == (9.0, 4.0)
        assert keys.expire_hash(connection, HASH, 1_000_000)
        again = keys.by_hash(connection, HASH)
        assert again and again.expires == 1.0
        keys.replace(connection, replace(made, revoked_at=1))
        assert keys.by_hash(connection, HASH) is None
        assert keys.by_hash(connection, "old") is None
        assert keys.get_by_hash(connection, "old") is not None


def test_a_hash_nobody_has_is_nobody(engine: Engine) -> None:
    with reading(engine) as connection:
        assert keys.by_hash(connection, HASH) is None
        assert keys.by_id(connection, "k") is None


def test_the_version_of_an_identity_grows_with_each_change_of_any_row(engine: Engine) -> None:
    def version(connection: Connection) -> int:
        found = keys.by_hash(connection, HASH)
        assert found is not None
        assert found.version == changes.newest(connection)
        return found.version

    with transaction(engine) as connection:
        team = teams.add(connection, Team(id="t"))
        keys.add(connection, key(team_id="t"), HASH)
        before = version(connection)
        teams.replace(connection, replace(team, blocked=True))
        assert version(connection) > before


def test_nobody_writes_over_what_another_one_wrote_meanwhile(engine: Engine) -> None:
    with transaction(engine) as connection:
        read = keys.add(connection, key(), HASH)
        first = keys.replace(connection, replace(read, rpm_limit=1))
        assert (first.rpm_limit, first.version) == (1, 2)
        assert first.updated_at >= read.updated_at
        with pytest.raises(writing.Stale, match=r"key sk-\.\.\.abcd was changed or removed by somebody else"):
            keys.replace(connection, replace(read, tpm_limit=2))
        assert keys.get(connection, "k") == first


def test_a_name_is_given_once(engine: Engine) -> None:
    with transaction(engine) as connection:
        keys.add(connection, key(alias="ci"), HASH)
        keys.add(connection, key("none"), "n")
        keys.add(connection, key("none too"), "n2")  # many may have no alias
    for again, hash in ((key(), "b"), (key("other", alias="ci"), "b"), (key("other"), HASH)):
        with pytest.raises(writing.Exists), transaction(engine) as connection:
            keys.add(connection, again, hash)
    with transaction(engine) as connection:
        other = keys.add(connection, key("other"), "b")
    with pytest.raises(writing.Exists, match="alias"), transaction(engine) as connection:
        keys.replace(connection, replace(other, alias="ci"))


def test_pages_have_every_key_once_also_of_the_same_instant(engine: Engine) -> None:
    many = [key(f"k{number:02}", created_at=number // 4, updated_at=1) for number in range(30)]
    with transaction(engine) as connection:
        keys.add_many(connection, many, [keys.Hash(each.id, each.id) for each in many])
        found: list[str] = []
        page = keys.page(connection, size=7)
        while page:
            found += [each.id for each in page]
            page = keys.page(connection, size=7, after=keys.cursor(page[-1]))
        assert found == [each.id for each in reversed(many)]
        assert keys.count(connection) == 30


def test_keys_are_found_by_what_is_asked_for(engine: Engine) -> None:
    with transaction(engine) as connection:
        now = clock.read(connection)
        keys.add(connection, key("1", team_id="t", alias="Build_1"), "1")
        keys.add(connection, key("2", user_id="u", budget_id="b", expires_at=now - 1), "2")
        keys.add(connection, key("3", team_id="t", revoked_at=now, alias="Build-2"), "3")
        keys.add(connection, key("4", expires_at=now + 60 * clock.SECOND), "4")

        def found(**filters: object) -> list[str]:
            return sorted(each.id for each in keys.page(connection, filters=keys.Filters(**filters)))  # type: ignore[arg-type]

        assert found() == ["1", "2", "3", "4"]
        assert found(team_id="t") == ["1", "3"]
        assert found(team_id="t", live=True) == ["1"]
        assert found(live=True) == ["1", "4"]
        assert found(live=False) == ["2", "3"]
        assert found(user_id="u") == found(budget_id="b") == found(hash="2") == ["2"]
        assert found(alias="Build-2") == ["3"]
        assert found(alias_part="build") == ["1", "3"]
        assert found(alias_part="d_") == ["1"]  # no wildcard
        assert keys.count(connection, keys.Filters(team_id="t")) == 2


def test_a_key_that_is_removed_takes_its_hashes_along(engine: Engine) -> None:
    with transaction(engine) as connection:
        keys.add(connection, key(), HASH)
        keys.add_hash(connection, keys.Hash("old", "k", 5))
        assert keys.remove(connection, "k")
        assert not keys.remove(connection, "k")
        assert keys.hashes(connection, ["k"]) == []


def test_hashes_that_are_over_are_dropped_but_for_the_only_one(engine: Engine) -> None:
    with transaction(engine) as connection:
        keys.add(connection, key(), HASH)
        keys.add_hash(connection, keys.Hash("old", "k", 5))
        keys.add(connection, key("alone"), "alone")
        keys.expire_hash(connection, "alone", 5)
        assert keys.prune(connection, 6) == 1
        assert {each.hash for each in keys.hashes(connection, ["k", "alone"])} == {HASH, "alone"}


def test_members_are_those_of_their_team(engine: Engine) -> None:
    with transaction(engine) as connection:
        teams.add(connection, Team(id="a/b%", alias="same"))
        teams.add(connection, Team(id="a", alias="same"))
        first = teams.add_member(connection, Member(team_id="a/b%", user_id="c/d", role="admin"))
        teams.add_member(connection, Member(team_id="a", user_id="b%/c/d"))
        assert teams.member(connection, "a/b%", "c/d") == first
        assert [each.id for each in teams.get_by_alias(connection, "same")] == ["a", "a/b%"]
        assert [each.id for each in teams.page(connection, user_id="c/d")] == ["a/b%"]
        assert [each.user_id for each in teams.members(connection, ["a", "a/b%"])] == ["b%/c/d", "c/d"]
        teams.replace_member(connection, replace(first, role="user"))
        teams.remove(connection, "a/b%")
        assert teams.members(connection, ["a/b%"]) == []
    for team, user in (("a/b%", "c/d"), ("a", "b%/c/d"), ("a%2F", "b")):
        assert changes.member_of(changes.member_id(team, user)) == (team, user)
    assert changes.member_id("a/b%", "c/d") != changes.member_id("a", "b%/c/d")


def test_a_row_with_more_columns_than_we_know_is_read(engine: Engine) -> None:
    """Of a newer aiops: columns are named, in what is read and in what is written."""
    with transaction(engine) as connection:
        connection.exec_driver_sql("ALTER TABLE keys ADD COLUMN hue TEXT")
    with transaction(engine) as connection:
        made = keys.add(connection, key(), HASH)
        connection.execute(update(tables.keys).values(models=["x"]))
        connection.exec_driver_sql("UPDATE keys SET hue = 'red'")
        keys.replace(connection, replace(made, rpm_limit=1))
        assert keys.by_hash(connection, HASH) is not None
        assert connection.exec_driver_sql("SELECT hue FROM keys").scalar_one() == "red"
