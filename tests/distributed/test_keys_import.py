"""``aiops keys import`` out of a real PostgreSQL with LiteLLM's tables, by the command line."""

from __future__ import annotations

import math
import random
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from sqlalchemy import Engine, func, select

from aiops.state import money, rules
from aiops.state.administration import keys as administration
from aiops.state.administration.journal import Actor
from aiops.state.counters.meters import Meter
from aiops.state.shapes import Account, Identity
from aiops.state.store import changes, clock, identity, open, tables, usage
from aiops.state.store.keys import get_by_hash
from aiops.state.takeover import address, reading, remembered, writing
from aiops.state.takeover.account import Account as Accounted
from aiops.state.takeover.translate import translate
from aiops.state.usage.record import Usage
from tests.kit.gateway import Answer, Gateway
from tests.kit.litellm_database import (
    BUDGETS,
    EARLIER,
    KEYS,
    LOG,
    MEMBERS,
    TEAMS,
    USERS,
    WINDOWS,
    LiteLLMDatabase,
    hashed,
    later,
    now,
)  # fmt: skip
from tests.kit.postgres import PASSWORD, Postgres

KEY = "sk-AbCdEfGhIjKlMnOpQrStUv"
SOMEBODY = Actor("somebody", "a test")


@pytest.fixture
def theirs(empty_database: str) -> LiteLLMDatabase:
    return LiteLLMDatabase(empty_database)


@pytest.fixture
def gateway() -> Iterator[Gateway]:
    made = Gateway()
    made.init()
    yield made
    made.destroy()


@pytest.fixture
def ours(gateway: Gateway) -> Iterator[Engine]:
    made = open.engine(gateway.home / "state" / "aiops.db")
    yield made
    made.dispose()


class Importing:
    """The URL is in a file that only its owner can read."""

    def __init__(self, gateway: Gateway, theirs: LiteLLMDatabase) -> None:
        self.gateway = gateway
        self.file = gateway.home / "litellm-database"
        self.file.write_text(theirs.url + "\n")
        self.file.chmod(0o600)

    def __call__(self, *arguments: str) -> dict[str, Any]:
        answer = self.tried(*arguments)
        assert answer.code == 0, answer.out + answer.err
        return answer.data

    def tried(self, *arguments: str) -> Answer:
        return self.gateway.cli("keys", "import", "--database-url-file", self.file, *arguments)

    def say(self, *arguments: str) -> str:
        answer = self.gateway.say("keys", "import", "--database-url-file", self.file, *arguments)
        assert answer.code == 0, answer.err
        assert PASSWORD not in answer.out + answer.err
        return answer.out


@pytest.fixture
def importing(gateway: Gateway, theirs: LiteLLMDatabase) -> Importing:
    return Importing(gateway, theirs)


def who(engine: Engine, key: str) -> Identity | None:
    """As a worker asks for it."""
    with open.reading(engine) as connection:
        return identity.by_hash(connection, hashed(key))


def known(engine: Engine, key: str) -> Identity:
    found = who(engine, key)
    assert found is not None, "nobody knows this key"
    return found


def account(identity: Identity, kind: str = "key") -> Account:
    return next(each for each in identity.accounts if each.kind == kind)


def meters(engine: Engine, key: str) -> dict[str, Meter]:
    """Of money, by how it is called."""
    with open.reading(engine) as connection:
        at = clock.read(connection) / clock.SECOND
    counted = rules.counts(known(engine, key), "gpt-4o", at).meters
    return {
        each.name.split(":usd:")[0].split(":")[0] + ":" + each.name.split(":")[4]: each
        for each in counted
        if each.what == "money"
    }


def spend_here(engine: Engine, id: str, cost: int) -> None:
    """One request of this key that aiops counted itself."""
    with open.writing(engine) as connection:
        record = Usage(
            id=f"r{random.random()}", key=id, team=None, user=None, model="gpt-4o", provider="p", served="gpt-4o",
            path="/v1/chat/completions", started=clock.read(connection), seconds=1.0, first=None, status=200,
            outcome="answered", prompt_tokens=1, completion_tokens=1, cached_tokens=0, cost=cost, estimated=False,
            stream=False, generation=1, replica="here", epoch="one",
        )  # fmt: skip
        usage.ingest(connection, [record])


def fill(theirs: LiteLLMDatabase) -> None:
    """A little of everything."""
    theirs.add(BUDGETS, budget_id="standard", max_budget=25.0, rpm_limit=30, budget_duration="1mo",
               created_by="me", updated_by="me", updated_at=now())  # fmt: skip
    theirs.add(BUDGETS, budget_id="member", max_budget=5.0, created_by="me", updated_by="me", updated_at=now())
    theirs.add(USERS, user_id="ann", user_email="ann@example.org", user_role="internal_user", spend=3.000000001)
    theirs.add(TEAMS, team_id="research", team_alias="Research", models=["gpt-4o"], max_budget=100.0, spend=40.1,
               members_with_roles=[{"role": "admin", "user_id": "ann"}], tpm_limit=9_000_000_000)  # fmt: skip
    theirs.add(MEMBERS, user_id="ann", team_id="research", spend=1.25, budget_id="member")
    theirs.key(KEY, key_alias="ann's", user_id="ann", team_id="research", spend=0.1 + 0.2, budget_id="standard",
               metadata={"model_rpm_limit": {"gpt-4o": 3}, "tags": ["prod"]})  # fmt: skip
    theirs.key("sk-a-session-of-the-dashboard", team_id="litellm-dashboard", spend=0.5)
    theirs.key("sk-one-that-has-expired-long-ago", expires=later(seconds=-5), spend=0.25)


def test_every_old_key_goes_on_working_and_money_is_the_same_on_both_sides(
    theirs: LiteLLMDatabase, importing: Importing, ours: Engine
) -> None:
    fill(theirs)
    told = importing()
    assert told["outcome"] == "applied"
    assert told["rows"] == {
        "key": {"new": 1, "sessions of the dashboard": 1, "expired": 1},
        "team": {"new": 1},
        "member": {"new": 1},
        "user": {"new": 1},
        "budget": {"new": 2},
    }
    assert told["nano_dollars"] == {
        "key": {"there": 1_050_000_000, "here": 300_000_000,
                "left": {"sessions of the dashboard": 500_000_000, "expired": 250_000_000}},
        "team": {"there": 40_100_000_000, "here": 40_100_000_000, "left": {}},
        "member": {"there": 1_250_000_000, "here": 1_250_000_000, "left": {}},
        "user": {"there": 3_000_000_001, "here": 3_000_000_001, "left": {}},
    }  # fmt: skip
    found = known(ours, KEY)
    assert (found.alias, found.team, found.user, found.tags) == ("ann's", "research", "ann", ("prod",))
    key = account(found)
    assert (key.limits.rpm, key.by_model["gpt-4o"].rpm) == (30, 3)
    assert [(each.most, each.duration) for each in key.budgets] == [(25 * money.NANO, "1mo")]
    assert account(found, "team").limits.tpm == 9_000_000_000 and account(found, "team").models == ("gpt-4o",)
    assert account(found, "member").budgets[0].most == 5 * money.NANO
    assert account(found, "member").base == 1_250_000_000
    for gone in ("sk-a-session-of-the-dashboard", "sk-one-that-has-expired-long-ago"):
        assert who(ours, gone) is None
    with open.reading(ours) as connection:
        (act,) = connection.execute(select(tables.audit).where(tables.audit.c.verb == "keys import")).mappings()
        assert act["after"]["nano_dollars"]["key"] == 300_000_000 and act["who"]


def test_a_person_sees_both_sides_and_no_password(theirs: LiteLLMDatabase, importing: Importing) -> None:
    fill(theirs)
    shown = importing.say()
    assert "keys:          3 = 1 new + 1 sessions of the dashboard + 1 expired" in shown
    assert "money of keys:          $1.05 = $0.30 here + $0.50 sessions of the dashboard + $0.25 expired" in shown
    assert "money of users:         $3.000000001 = $3.000000001 here" in shown
    assert hashed(KEY) not in shown


def test_a_second_time_nothing_is_changed(theirs: LiteLLMDatabase, importing: Importing, ours: Engine) -> None:
    fill(theirs)
    importing()
    before = known(ours, KEY)
    told = importing()
    assert told["outcome"] == "unchanged" and told["rows"]["key"]["as before"] == 1
    assert known(ours, KEY) == before  # its version too: no change was noted
    assert "no change" in importing.say()


def test_what_was_spent_there_since_counts_once_beside_what_was_counted_here(
    theirs: LiteLLMDatabase, importing: Importing, ours: Engine
) -> None:
    token = theirs.key(KEY, key_alias="mine", spend=10.0, max_budget=50.0)
    importing()
    first = account(known(ours, KEY))
    assert meters(ours, KEY)["key:ever"].base == 10 * money.NANO
    spend_here(ours, first.id, 3_000_000_001)
    assert importing()["outcome"] == "unchanged"
    theirs.change(KEYS, {"token": token}, spend=12.5)
    told = importing()
    assert told["rows"]["key"] == {"only spent more": 1}
    assert told["nano_dollars"]["key"] == {"there": 12_500_000_000, "here": 12_500_000_000, "left": {}}
    again = account(known(ours, KEY))
    assert meters(ours, KEY)["key:ever"].base == 15_500_000_001
    assert again.epoch == first.epoch + 1 and again.base_at > first.base_at
    assert importing()["outcome"] == "unchanged"


def test_only_what_was_changed_there_is_changed_here(
    theirs: LiteLLMDatabase, importing: Importing, ours: Engine
) -> None:
    tokens = [theirs.key(f"sk-number-{each}-of-three-keys", key_alias=f"k{each}", rpm_limit=1) for each in range(3)]
    importing()
    with open.writing(ours) as connection:
        for token in tokens[1:]:
            row = get_by_hash(connection, token)
            assert row is not None
            administration.block(connection, row, SOMEBODY)
    for token in tokens[:2]:
        theirs.change(KEYS, {"token": token}, rpm_limit=2, key_alias=f"new-{token[:4]}")
    told = importing()
    assert told["rows"]["key"] == {"changed": 1, "as before": 1, "kept as they are here": 1}
    assert [(each["word"], each["name"]) for each in told["notes"]] == [("changed-here", f"new-{tokens[1][:4]}")]
    found = [account(known(ours, f"sk-number-{each}-of-three-keys")) for each in range(3)]
    assert [(each.limits.rpm, each.blocked) for each in found] == [(2, False), (1, True), (1, True)]


def test_a_key_that_was_deleted_there_is_revoked_here(
    theirs: LiteLLMDatabase, importing: Importing, ours: Engine
) -> None:
    token = theirs.key(KEY, key_alias="mine")
    theirs.key("sk-another-one-that-stays", key_alias="other")
    importing()
    theirs.execute(f"DELETE FROM \"{KEYS}\" WHERE token = '{token}'")
    theirs.key("sk-a-new-one-of-the-same-alias", key_alias="mine")
    assert importing()["revoked"] == 1
    assert who(ours, KEY) is None
    assert known(ours, "sk-a-new-one-of-the-same-alias").alias == "mine"
    assert known(ours, "sk-another-one-that-stays")
    assert importing()["outcome"] == "unchanged"


def test_a_key_that_was_made_to_expire_there_is_valid_here_no_longer(
    theirs: LiteLLMDatabase, importing: Importing, ours: Engine
) -> None:
    token = theirs.key(KEY, key_alias="mine", expires=later(hours=1))
    theirs.key("sk-another-one-that-stays", key_alias="other")
    importing()
    theirs.change(KEYS, {"token": token}, expires=later(seconds=-1))
    assert importing()["revoked"] == 1
    assert who(ours, KEY) is None
    assert importing()["outcome"] == "unchanged"


def test_a_database_that_lost_all_its_keys_revokes_none(
    theirs: LiteLLMDatabase, importing: Importing, ours: Engine
) -> None:
    theirs.key(KEY, key_alias="mine")
    importing()
    theirs.execute(f'DELETE FROM "{KEYS}"')
    refused = importing.tried()
    assert refused.code == 4 and "has no valid key any more, and 1 were taken over" in refused.message
    assert known(ours, KEY)


def test_a_key_that_was_rotated_there_is_the_same_key_and_its_earlier_hash_ends(
    theirs: LiteLLMDatabase, importing: Importing, ours: Engine
) -> None:
    old = theirs.key(KEY, key_alias="mine", max_budget=5.0, spend=1.0)
    importing()
    id = known(ours, KEY).id
    new, ends = hashed("sk-what-it-is-after-rotation"), later(hours=1)
    theirs.change(KEYS, {"token": old}, token=new)
    theirs.add(EARLIER, id="1", token=old, active_token_id=new, revoke_at=ends)
    theirs.add(EARLIER, id="2", token=hashed("sk-over-already"), active_token_id=new, revoke_at=later(hours=-1))
    told = importing()
    assert told["hashes"] == 2 and told["revoked"] == 0
    assert known(ours, "sk-what-it-is-after-rotation").id == known(ours, KEY).id == id
    expires = known(ours, KEY).expires
    assert expires is not None and abs(expires - (ends - now()).total_seconds() - _now(ours)) < 60
    assert known(ours, "sk-what-it-is-after-rotation").expires is None
    assert who(ours, "sk-over-already") is None
    assert importing()["outcome"] == "unchanged"


def _now(engine: Engine) -> float:
    with open.reading(engine) as connection:
        return clock.read(connection) / clock.SECOND


def test_several_budgets_begin_with_what_was_spent_in_each_of_them(
    theirs: LiteLLMDatabase, importing: Importing, ours: Engine
) -> None:
    """A new window beside an old one does not keep the old spend: no instant refusal."""
    limits = [{"budget_duration": "1d", "max_budget": 5.0}, {"budget_duration": "7d", "max_budget": 20.0}]
    token = theirs.key(KEY, key_alias="mine", spend=800.0, budget_limits=limits)
    theirs.add(WINDOWS, entity_type="key", entity_id=token, window_duration="1d", window_start=now(), spend=2.5,
               updated_at=now())  # fmt: skip
    for number, (at, spend) in enumerate([(now(), 4.0), (later(days=-9), 300.0)]):
        theirs.add(LOG, request_id=str(number), call_type="c", api_key=token, spend=spend, startTime=at, endTime=at)
    importing()
    assert {name: each.base for name, each in meters(ours, KEY).items()} == {
        "key:1d": 2_500_000_000,
        "key:7d": 4_000_000_000,
    }


def test_nothing_is_taken_over_before_somebody_said_that_keys_may_do_without(
    theirs: LiteLLMDatabase, importing: Importing, ours: Engine
) -> None:
    theirs.key(KEY, key_alias="guarded", metadata={"guardrails": ["pii"]})
    theirs.key("sk-of-an-organization-1", key_alias="of Acme", object_permission_id="o1")
    refused = importing.tried()
    assert refused.code == 4
    assert "guardrails: key guarded" in refused.message and "object-permissions: key of Acme" in refused.message
    assert refused.hint.endswith("--without guardrails --without object-permissions")
    assert who(ours, KEY) is None
    assert importing.tried("--without", "guardrails").code == 4
    assert importing("--without", "guardrails", "--without", "object-permissions")["outcome"] == "applied"
    assert known(ours, KEY).alias == "guarded"


def test_a_word_that_does_not_exist_is_refused(importing: Importing) -> None:
    refused = importing.tried("--without", "guards")
    assert refused.code == 2 and "`guards`" in refused.message and "guardrails" in refused.hint


def test_a_plan_shows_everything_and_writes_nothing(
    theirs: LiteLLMDatabase, importing: Importing, ours: Engine
) -> None:
    fill(theirs)
    theirs.key("sk-1234", key_alias="weak", metadata={"guardrails": ["pii"]})
    told = importing("--dry-run")
    assert told["outcome"] == "planned" and told["rows"]["key"]["new"] == 2
    assert told["refused"] == ["guardrails"]
    assert {each["word"] for each in told["notes"]} == {"guardrails", "guessed"}
    shown = importing.say("--dry-run")
    assert "! guardrails (1)" in shown and "nothing would be taken over without --without guardrails" in shown
    assert who(ours, KEY) is None
    with open.reading(ours) as connection:
        assert changes.newest(connection) == 0
        assert connection.scalar(select(func.count()).select_from(tables.imported)) == 0


def test_a_key_that_is_here_already_is_kept_as_it_is(
    theirs: LiteLLMDatabase, importing: Importing, gateway: Gateway, ours: Engine
) -> None:
    made = gateway.must("keys", "create", "--alias", "made here", "--rpm-limit", "7")
    theirs.key(made["key"], key_alias="the same one", rpm_limit=1, spend=2.0)
    theirs.key("sk-another-one-of-theirs", key_alias="made here")
    told = importing()
    assert {(each["word"], each["name"]) for each in told["notes"]} == {
        ("here-already", "the same one"), ("renamed", "made here"),
    }  # fmt: skip
    assert account(known(ours, made["key"])).limits.rpm == 7
    assert known(ours, "sk-another-one-of-theirs").alias == "made here (2)"
    assert told["nano_dollars"]["key"]["left"] == {"kept as they are here": 2 * money.NANO}
    assert importing()["outcome"] == "unchanged"


def test_a_database_of_an_older_version_is_read_by_the_columns_that_it_has(
    empty_database: str, gateway: Gateway, ours: Engine
) -> None:
    """Columns are named: a schema that another version made breaks nothing."""
    theirs = LiteLLMDatabase(empty_database, old=True)
    theirs.add(TEAMS, team_id="t", team_alias="Old", admins=["ann"], members=["ann", "bob"])
    theirs.key(KEY, key_alias="old", spend=1.5, max_budget=9.0, team_id="t", user_id="bob")
    told = Importing(gateway, theirs)()
    assert told["rows"]["key"] == {"new": 1} and told["rows"]["member"] == {"new": 2}
    assert f"{KEYS}.budget_limits" in told["missing_columns"] and EARLIER in told["missing_columns"]
    assert account(known(ours, KEY)).base == 1_500_000_000


def test_a_user_that_may_only_read_is_enough(theirs: LiteLLMDatabase, importing: Importing, postgres: Postgres) -> None:
    fill(theirs)
    reader = "reader_of_" + theirs.url.rpartition("/")[2]
    theirs.execute(f"CREATE ROLE {reader} LOGIN PASSWORD '{PASSWORD}'")
    importing.file.write_text(postgres.url(theirs.url.rpartition("/")[2], reader))
    try:
        refused = importing.tried()
        assert refused.code == 4 and "LiteLLM_VerificationToken is not there, or not to be seen" in refused.message
        theirs.execute(f"GRANT SELECT ON ALL TABLES IN SCHEMA public TO {reader}")
        assert importing()["outcome"] == "applied"
    finally:
        theirs.execute(f"DROP OWNED BY {reader}")
        theirs.execute(f"DROP ROLE {reader}")


def test_its_engine_s_own_words_in_the_url_are_understood(theirs: LiteLLMDatabase, importing: Importing) -> None:
    theirs.key(KEY)
    importing.file.write_text(f"{theirs.url}?schema=public&connection_limit=10&pool_timeout=20&pgbouncer=true")
    assert importing()["outcome"] == "applied"


def test_a_schema_of_another_name_is_found(theirs: LiteLLMDatabase, importing: Importing) -> None:
    theirs.key(KEY)
    theirs.execute("ALTER SCHEMA public RENAME TO gateway")
    assert "public" in importing.tried().hint
    importing.file.write_text(f"{theirs.url}?schema=gateway")
    assert importing()["outcome"] == "applied"


def test_a_password_never_stands_on_the_command_line(
    theirs: LiteLLMDatabase, gateway: Gateway, importing: Importing
) -> None:
    theirs.key(KEY)
    refused = gateway.cli("keys", "import", theirs.url)
    assert refused.code == 2 and "--database-url-file" in refused.hint
    without = theirs.url.replace(f":{PASSWORD}@", "@")
    wrong = gateway.cli("keys", "import", without, env={"PGPASSWORD": "wrong"})
    assert wrong.code == 4 and "password authentication failed" in wrong.message
    empty = gateway.cli("keys", "import", "--database-url-env", "LITELLM_URL")
    assert empty.code == 2 and "LITELLM_URL is not set" in empty.message
    both = gateway.cli("keys", "import", without, "--database-url-env", "LITELLM_URL")
    assert both.code == 2
    for answer in (refused, wrong, empty, both):
        assert PASSWORD not in answer.out + answer.err
    assert gateway.must("keys", "import", without, env={"PGPASSWORD": PASSWORD})["outcome"] == "applied"
    named = gateway.must("keys", "import", "--database-url-env", "LITELLM_URL", env={"LITELLM_URL": theirs.url})
    assert named["outcome"] == "unchanged"


@pytest.mark.parametrize(
    ("content", "code", "what"),
    [
        ("", 2, "is empty"),
        ("mysql://root:only-for-tests@127.0.0.1/x", 2, "does not begin with postgresql://"),
        ("postgresql://me:only-for-tests@127.0.0.1:1", 2, "names no database"),
        ("postgresql://me:only-for-tests@127.0.0.1:port/x", 2, "cannot be read"),
        ("postgresql://me:only-for-tests@127.0.0.1:1/x", 4, "cannot be read"),
        ("postgresql://me:only-for-tests@127.0.0.1:1/x?wrong_word=1", 4, "wrong_word"),
    ],
)
def test_a_bad_address_is_explained_without_its_password(
    gateway: Gateway, tmp_path: Path, content: str, code: int, what: str
) -> None:
    file = tmp_path / "url"
    file.write_text(content)
    refused = gateway.cli("keys", "import", "--database-url-file", file)
    assert refused.code == code and what in refused.message
    assert PASSWORD not in refused.out + refused.err


def test_a_file_that_others_can_read_is_told(importing: Importing, theirs: LiteLLMDatabase) -> None:
    theirs.key(KEY)
    importing.file.chmod(0o644)
    answer = importing.gateway.say("keys", "import", "--database-url-file", importing.file)
    assert answer.code == 0 and f"chmod 600 {importing.file}" in answer.err
    assert stat.S_IMODE(importing.file.stat().st_mode) == 0o644


def test_a_database_that_is_not_litellm_s_is_refused(empty_database: str, gateway: Gateway, tmp_path: Path) -> None:
    file = tmp_path / "url"
    file.write_text(empty_database)
    refused = gateway.cli("keys", "import", "--database-url-file", file)
    assert refused.code == 4 and "is no LiteLLM database that aiops knows" in refused.message


def test_litellm_hashes_keys_as_these_tests_do() -> None:
    from litellm.proxy._types import hash_token

    assert hash_token(KEY) == hashed(KEY)


# --- into PostgreSQL as well ------------------------------------------------------------------------------------------


def test_no_nano_dollar_is_lost_of_random_amounts(theirs: LiteLLMDatabase, engine: Engine) -> None:
    """LiteLLM's floats through its own PostgreSQL into ours, and the sum of them."""
    chance = random.Random(20_261_127)
    spends = [chance.random() * 10 ** chance.randint(-9, 6) for _ in range(300)]
    spends += [0.0, 5e-10, 1.5e-9, 2.5e-9, 1e-300, 0.1 + 0.2, 1_234_567.123456789]
    with psycopg.connect(theirs.url) as raw, raw.cursor() as cursor:
        rows = [(hashed(f"sk-number-{number}"), f"k{number}", each) for number, each in enumerate(spends)]
        cursor.executemany(f'INSERT INTO "{KEYS}" (token, key_alias, spend) VALUES (%s, %s, %s)', rows)
    translated = translate(reading.read(address.parse(theirs.url)))
    with open.writing(engine) as connection:
        account = Accounted(translated, writing.write(connection, translated, SOMEBODY))
        stands = int(connection.scalar(select(func.sum(tables.keys.c.base_spend))) or 0)
    assert account.sum("key").there == account.sum("key").here == stands == sum(map(money.nano, spends))
    assert abs(stands - math.fsum(spends) * money.NANO) <= len(spends) / 2 + 1


def test_postgres_takes_over_the_same_as_sqlite(theirs: LiteLLMDatabase, engine: Engine) -> None:
    fill(theirs)
    translated = translate(reading.read(address.parse(theirs.url)))
    with open.writing(engine) as connection:
        assert writing.write(connection, translated, SOMEBODY).counts["key"].added == 1
    assert account(known(engine, KEY), "member").base == 1_250_000_000
    with open.writing(engine) as connection:
        assert writing.write(connection, translated, SOMEBODY).nothing


def test_an_import_that_breaks_off_leaves_nothing(theirs: LiteLLMDatabase, engine: Engine) -> None:
    fill(theirs)
    translated = translate(reading.read(address.parse(theirs.url)))
    with pytest.raises(KeyboardInterrupt), open.writing(engine) as connection:
        writing.write(connection, translated, SOMEBODY)
        raise KeyboardInterrupt
    with open.reading(engine) as connection:
        for table in (tables.keys, tables.teams, tables.imported, tables.audit):
            assert connection.scalar(select(func.count()).select_from(table)) == 0


def test_money_that_does_not_stand_there_as_it_was_read_undoes_the_import(
    theirs: LiteLLMDatabase, engine: Engine
) -> None:
    fill(theirs)
    translated = translate(reading.read(address.parse(theirs.url)))
    with open.writing(engine) as connection:
        written = writing.write(connection, translated, SOMEBODY)
        assert remembered.check(connection, translated, written.here) == written.spent
        connection.execute(tables.team_members.update().values(base_spend=tables.team_members.c.base_spend + 1))
        with pytest.raises(RuntimeError, match="the money of members does not stand there"):
            remembered.check(connection, translated, written.here)
