"""Rows as a file declares them: made, adopted, changed, given back, pruned, and taken back."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine

from aiops.actions.instance.tenancy import declaration
from aiops.spec.load.tenancy import read
from aiops.state import tokens
from aiops.state.administration import find, keys, teams
from aiops.state.administration.declared.compare import compare
from aiops.state.administration.declared.converge import converge, take_back
from aiops.state.administration.declared.entry import Declaration
from aiops.state.administration.journal import Actor
from aiops.state.administration.requests import KeyRequest, TeamRequest
from aiops.state.store import keys as stored
from aiops.state.store import schema
from aiops.state.store.open import engine, reading, writing
from aiops.state.store.rows import Key

BY = Actor("ann", "a test")
FILE = """
budgets: {small: {max_budget: 5, budget_duration: 30d}}
teams: {research: {rpm_limit: 600}}
users: {alice: {user_email: alice@example.org}}
keys:
  ci: {team: research, user: alice, budget_id: small, rpm_limit: 60, duration: 90d, metadata: {owner: [1, 2]},
       model_max_budget: {m: {max_budget: 5}}, budget_limits: [{max_budget: 1, budget_duration: 1d}]}
"""


@pytest.fixture
def database(tmp_path: Path) -> Engine:
    made = engine(tmp_path / "aiops.db")
    schema.migrate(made)
    return made


def of(text: str) -> Declaration:
    return declaration(read(text.encode()))


def apply(database: Engine, text: str, generation: int) -> dict[str, str]:
    """The secrets of new keys."""
    made: dict[str, str] = {}
    with writing(database) as connection:
        converge(connection, of(text), f"here/{generation}", BY, made.__setitem__)
    return made


def steps(database: Engine, text: str) -> list[tuple[str, str, dict[str, Any]]]:
    with reading(database) as connection:
        return [(step.kind, step.name, step.values) for step in compare(connection, of(text))]


def key(database: Engine, alias: str = "ci") -> Key:
    with reading(database) as connection:
        return find.key(connection, alias)


def make(database: Engine, **fields: Any) -> Key:
    with writing(database) as connection:
        return keys.create(connection, KeyRequest.of(fields), BY).row


def change(database: Engine, alias: str = "ci", **fields: Any) -> None:
    with writing(database) as connection:
        keys.change(connection, find.key(connection, alias), KeyRequest.of(fields), BY)


def test_what_is_new_is_made_with_all_that_it_refers_to_and_is_then_as_declared(database: Engine) -> None:
    made = apply(database, FILE, 1)
    row = key(database)
    with reading(database) as connection:
        by_hash = stored.get_by_hash(connection, tokens.hashed(made["ci"]))
    assert by_hash == row
    assert (row.team_id, row.user_id, row.budget_id, row.rpm_limit) == ("research", "alice", "small", 60)
    assert row.expires_at == row.created_at + 90 * 86_400 * 1_000_000
    assert steps(database, FILE) == []
    assert apply(database, FILE, 2) == {}


def test_what_is_declared_is_declared_whole(database: Engine) -> None:
    apply(database, "keys: {ci: {rpm_limit: 60, tags: [a]}}", 1)
    change(database, rpm_limit=99, max_budget=3, blocked=True)
    assert steps(database, "keys: {ci: {rpm_limit: 60, tags: [a]}}") == [
        ("key", "ci", {"rpm_limit": 60, "max_budget": None, "blocked": False})
    ]
    apply(database, "keys: {ci: }", 2)
    row = key(database)
    assert (row.rpm_limit, row.max_budget, row.tags, row.blocked) == (None, None, None, False)


def test_a_key_that_is_there_is_adopted_by_its_alias_and_given_back_as_it_was(database: Engine) -> None:
    before = make(database, key_alias="ci", rpm_limit=7, max_budget=2, tags=["old"])
    assert apply(database, "keys: {ci: {rpm_limit: 60}}", 1) == {}
    assert key(database).id == before.id
    apply(database, "keys: {ci: {rpm_limit: 61}}", 2)
    apply(database, "keys: {}", 3)
    after = key(database)
    assert (after.rpm_limit, after.max_budget, after.tags) == (7, before.max_budget, ("old",))
    change(database, rpm_limit=8)
    assert steps(database, "keys: {}") == [], "it is nobody's any more"


def test_adopting_what_is_as_declared_already_is_a_step_too(database: Engine) -> None:
    make(database, key_alias="ci", rpm_limit=60)
    assert steps(database, "keys: {ci: {rpm_limit: 60}}") == [("key", "ci", {})]
    apply(database, "keys: {ci: {rpm_limit: 60}}", 1)
    assert steps(database, "keys: {ci: {rpm_limit: 60}}") == []
    assert steps(database, "keys: {}") == [("key", "ci", {})]


def test_a_team_is_found_by_its_alias_and_its_keys_are_too(database: Engine) -> None:
    with writing(database) as connection:
        team = teams.create(connection, TeamRequest.of({"team_id": "t-1", "team_alias": "research"}), BY).row
    apply(database, FILE, 1)
    assert key(database).team_id == team.id
    assert steps(database, FILE) == []


def test_what_was_made_and_leaves_the_file_is_blocked_and_stays(database: Engine) -> None:
    apply(database, FILE, 1)
    assert steps(database, "keys: {}") == [
        ("budget", "small", {}), ("team", "research", {"blocked": True}),
        ("user", "alice", {"blocked": True}), ("key", "ci", {"blocked": True}),
    ]  # fmt: skip
    apply(database, "keys: {}", 2)
    row = key(database)
    assert (row.blocked, row.rpm_limit, row.revoked_at) == (True, 60, None)
    assert apply(database, FILE, 3) == {}
    assert not key(database).blocked


def test_a_key_that_was_revoked_by_hand_is_made_anew(database: Engine) -> None:
    apply(database, "keys: {ci: {rpm_limit: 60}}", 1)
    first = key(database)
    with writing(database) as connection:
        keys.revoke(connection, first, BY)
    assert list(apply(database, "keys: {ci: {rpm_limit: 60}}", 2)) == ["ci"]
    assert key(database).id != first.id
    assert steps(database, "keys: {ci: {rpm_limit: 60}}") == []


def test_what_is_not_in_the_file_is_left_alone_unless_it_is_to_be_pruned(database: Engine) -> None:
    make(database, key_alias="other")
    make(database)
    with writing(database) as connection:
        teams.create(connection, TeamRequest.of({"team_alias": "ops"}), BY)
    apply(database, FILE, 1)
    assert steps(database, FILE) == []
    pruned = steps(database, FILE + "prune: true")
    assert [(kind, values) for kind, _, values in pruned] == [("key", {"blocked": True})] * 2 + [
        ("team", {"blocked": True})
    ]
    apply(database, FILE + "prune: true", 2)
    assert key(database, "other").blocked
    assert not key(database).blocked


def test_what_did_not_go_live_is_taken_back_once_and_only_for_its_own_generation(database: Engine) -> None:
    make(database, key_alias="old", rpm_limit=7)
    apply(database, "keys: {old: {rpm_limit: 60}}", 1)
    made = apply(database, "teams: {research: }\nkeys: {old: {rpm_limit: 61}, new: {team: research}}", 2)
    with writing(database) as connection:
        assert not take_back(connection, "here/3", BY)
        assert not take_back(connection, "there/2", BY), "another gateway counts its own generations"
        assert take_back(connection, "here/2", BY)
        assert not take_back(connection, "here/2", BY)
    assert key(database, "old").rpm_limit == 60
    with reading(database) as connection:
        new = stored.get_by_hash(connection, tokens.hashed(made["new"]))
        assert new is not None and new.revoked_at is not None
    assert steps(database, "keys: {old: {rpm_limit: 60}}") == [], "what it was before is remembered as it was"
    apply(database, "keys: {}", 3)
    assert key(database, "old").rpm_limit == 7


def test_a_transaction_that_fails_leaves_nothing(database: Engine) -> None:
    def no_room(alias: str, secret: str) -> None:
        raise OSError("no room")

    with pytest.raises(OSError, match="no room"), writing(database) as connection:
        converge(connection, of(FILE), "here/1", BY, no_room)
    assert len(steps(database, FILE)) == 4
    with writing(database) as connection:
        assert not take_back(connection, "here/1", BY)


def test_no_secret_is_remembered_with_it(database: Engine) -> None:
    made = apply(database, FILE, 1)
    with reading(database) as connection:
        dumped = str(connection.exec_driver_sql("SELECT * FROM meta").all())
        dumped += str(connection.exec_driver_sql("SELECT * FROM audit").all())
    assert "research" in dumped
    assert made["ci"] not in dumped
    assert tokens.hashed(made["ci"]) not in dumped
