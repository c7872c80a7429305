"""What only PostgreSQL does: servers that end, refuse or are full, locks of several at once, partitions, rights."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import partial

import psycopg
import pytest
from sqlalchemy import Connection, Engine, func, select, text, update
from sqlalchemy.exc import DBAPIError, ProgrammingError

from aiops.state.store import audit, changes, clock, keys, leases, open, roles, schema, usage
from aiops.state.store.open import reading, transact
from aiops.state.store.open import writing as transaction
from aiops.state.store.rows import Key
from aiops.state.store.tables import keys as keys_table
from aiops.state.store.tables import usage as ledger
from tests.kit.postgres import PASSWORD, Postgres, missing
from tests.kit.servers import needed
from tests.kit.waiting import free_port
from tests.unit.state.store.test_store_ledger import used


@pytest.fixture
def own() -> Iterator[Postgres]:
    """A server of the test's own, to be stopped and starved."""
    needed(missing())
    server = Postgres(max_connections="12", superuser_reserved_connections="1")
    try:
        yield server
    finally:
        server.remove()


# --- servers that cannot be reached -----------------------------------------------------------------------------------


def test_a_server_that_is_restarted_is_used_again_without_a_restart_of_ours(own: Postgres) -> None:
    """Connections of the pool that are dead are found before they are used."""
    engine = open.engine(own.database())
    schema.migrate(engine)
    own.restart()
    with transaction(engine) as connection:
        keys.add(connection, Key(id="k", name="n"), "h")
    own.stop()
    with pytest.raises(open.Unavailable, match="the database cannot be used") as refused:
        schema.schema_state(engine)
    assert refused.value.hint == "is it running, and is the address right?"
    own.start()
    assert schema.schema_state(engine) == schema.Ok()


def test_a_restart_in_the_middle_of_a_transaction_leaves_nothing_of_it(own: Postgres) -> None:
    engine = open.engine(own.database())
    schema.migrate(engine)
    with pytest.raises(open.Unavailable), transaction(engine) as connection:
        usage.ingest(connection, [used("1")])
        own.restart()
        connection.execute(text("SELECT 1"))
    with transaction(engine) as connection:
        assert usage.by(connection, ())[0].requests == 0
        assert usage.ingest(connection, [used("1")]) == ["1"]


def test_a_full_server_says_so(own: Postgres) -> None:
    url = own.database()
    guests = [psycopg.connect(url) for _ in range(11)]
    own.execute("CREATE ROLE plain LOGIN PASSWORD 'x'")
    name = url.rpartition("/")[2]
    with pytest.raises(open.Unavailable) as refused, transaction(open.engine(own.url(name, "plain", "x"))):
        pass
    assert "max_connections" in refused.value.hint
    for guest in guests:
        guest.close()


def test_a_pool_without_a_free_connection_is_no_lost_database(database: str) -> None:
    engine = open.engine(database, connections=1, statement_seconds=0.1)
    engine.pool._timeout = 0.1  # type: ignore[attr-defined]
    with (
        reading(engine),
        pytest.raises(open.Unavailable, match="all connections to the database are in use"),
        reading(engine),
    ):
        pass


def test_an_engine_opens_no_more_connections_than_it_may(database: str, postgres: Postgres) -> None:
    """Five for a host: three of the pool, one that listens, and one for whoever types a command."""
    engine = open.engine(database)
    start = threading.Barrier(12)

    def ask() -> None:
        start.wait()
        for _ in range(5):
            with reading(engine) as connection:
                connection.execute(text("SELECT pg_sleep(0.01)"))

    threads = [threading.Thread(target=ask) for _ in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with psycopg.connect(postgres.url()) as watching:
        row = watching.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'aiops' AND datname = %s",
            [database.rpartition("/")[2]],
        ).fetchone()
    assert row == (open.CONNECTIONS,)
    engine.dispose()


def test_a_wrong_password_is_told_and_not_shown(postgres: Postgres) -> None:
    engine = open.engine(postgres.url(password="secret-that-is-wrong"))
    with (
        pytest.raises(open.Unavailable, match="password authentication failed") as refused,
        reading(engine) as connection,
    ):
        connection.execute(text("SELECT 1"))
    assert "file of the database URL" in refused.value.hint
    assert "secret-that-is-wrong" not in f"{refused.value}{refused.value.__cause__!r}{engine!r}{engine.url!r}"


@pytest.mark.parametrize("url", ["mysql://x", "postgresql://[", "postgresql://h/d?nonsense=1"])
def test_a_url_that_makes_no_sense_is_refused_and_not_shown(url: str) -> None:
    with pytest.raises(ValueError, match="database URL") as refused:
        open.engine(url)
    assert url not in str(refused.value)


def test_of_several_hosts_the_one_that_can_write_is_used(database: str, postgres: Postgres) -> None:
    name = database.rpartition("/")[2]
    hosts = f"127.0.0.1:{free_port()},127.0.0.1:{postgres.port}"
    engine = open.engine(f"postgres://postgres:{PASSWORD}@{hosts}/{name}?target_session_attrs=read-write")
    assert schema.schema_state(engine) == schema.Ok()
    engine.dispose()


def test_a_database_that_is_read_only_says_so(database: str, postgres: Postgres) -> None:
    name = database.rpartition("/")[2]
    postgres.execute(f"ALTER DATABASE {name} SET default_transaction_read_only = on")
    engine = open.engine(database)
    with pytest.raises(open.Unavailable, match="read-only") as refused, transaction(engine) as connection:
        keys.add(connection, Key(id="k", name="n"), "h")
    assert "target_session_attrs=read-write" in refused.value.hint
    with reading(engine) as connection:
        assert keys.by_hash(connection, "h") is None
    engine.dispose()


def test_a_statement_that_takes_too_long_is_ended(database: str) -> None:
    engine = open.engine(database, statement_seconds=0.1)
    with pytest.raises(DBAPIError, match="statement timeout"), reading(engine) as connection:
        connection.execute(text("SELECT pg_sleep(5)"))
    engine.dispose()


# --- several at once --------------------------------------------------------------------------------------------------


def test_a_transaction_that_met_another_ones_is_tried_again(engine: Engine) -> None:
    """A deadlock loses no increment: the whole transaction is done once more."""
    with transaction(engine) as connection:
        keys.add(connection, Key(id="a", name="n"), "a")
        keys.add(connection, Key(id="b", name="n"), "b")
    both = threading.Barrier(2)
    tries: list[str] = []

    def more(first: str, second: str) -> None:
        def work(connection: Connection) -> None:
            tries.append(first)
            for count, id in enumerate((first, second)):
                if count and len(tries) <= 2:
                    both.wait(20)
                connection.execute(
                    update(keys_table).where(keys_table.c.id == id).values(weight=keys_table.c.weight + 1)
                )

        transact(engine, work)

    threads = [threading.Thread(target=more, args=pair) for pair in (("a", "b"), ("b", "a"))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(tries) == 3
    with reading(engine) as connection:
        assert {each.weight for each in keys.page(connection)} == {3.0}


def test_two_who_ingest_the_same_records_count_them_once(engine: Engine) -> None:
    records = [used(f"{number:03}", cost=1, model=f"m{number % 7}") for number in range(200)]
    start = threading.Barrier(3)
    new: list[str] = []

    def ingest(mine: list[int]) -> None:
        start.wait()
        for at in mine:
            new.extend(transact(engine, partial(usage.ingest, records=records[at : at + 50])))

    orders = ([0, 50, 100, 150], [150, 100, 50, 0], [25, 75, 125, 0])
    threads = [threading.Thread(target=ingest, args=(order,)) for order in orders]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(new) == [record.id for record in records]
    with reading(engine) as connection:
        assert usage.by(connection, ())[0].cost == usage.spent(connection, "key", "k", 0, None) == 200


def test_nobody_who_has_seen_a_change_finds_an_earlier_one_later(engine: Engine) -> None:
    """A lower number that is committed after a higher one would never be followed."""
    slow, quick = engine.connect(), engine.connect()
    first = changes.note(slow, "key", "slow")
    done = threading.Event()

    def note() -> None:
        changes.note(quick, "key", "quick")
        quick.commit()
        done.set()

    thread = threading.Thread(target=note)
    thread.start()
    assert not done.wait(0.3)
    with reading(engine) as connection:
        assert changes.newest(connection) == 0
    slow.commit()
    assert done.wait(10)
    thread.join()
    with reading(engine) as connection:
        assert [each.id for each in changes.since(connection, 0)] == ["slow", "quick"]
        assert changes.since(connection, 0)[0].seq == first
    slow.close()
    quick.close()


def test_who_listens_is_told_of_a_change_when_it_is_committed(engine: Engine, database: str) -> None:
    with psycopg.connect(**open.connect_parameters(database), autocommit=True) as listening:
        listening.execute(f"LISTEN {changes.CHANNEL}")
        with transaction(engine) as connection:
            seq = changes.note(connection, "key", "k")
            assert list(listening.notifies(timeout=0.2)) == []
        told = next(listening.notifies(timeout=10))
        assert int(told.payload) == seq


def test_nothing_is_ingested_while_a_counter_is_seeded(engine: Engine) -> None:
    done = threading.Event()
    seeding, ingesting = engine.connect(), engine.connect()
    usage.seeding(seeding)

    def ingest() -> None:
        usage.ingest(ingesting, [used("1")])
        ingesting.commit()
        done.set()

    thread = threading.Thread(target=ingest)
    thread.start()
    assert not done.wait(0.3)
    assert usage.spent(seeding, "key", "k", 0, None) == 0
    seeding.commit()
    assert done.wait(10)
    thread.join()
    seeding.close()
    ingesting.close()


def test_what_is_done_under_a_lease_is_finished_before_another_one_has_it(engine: Engine) -> None:
    with transaction(engine) as connection:
        lease = leases.take(connection, "l", "a", 60)
        assert lease is not None
    holding, taking = engine.connect(), engine.connect()
    leases.hold(holding, lease)
    with transaction(engine) as connection:
        connection.execute(text("SET LOCAL lock_timeout = '200ms'"))
        with pytest.raises(DBAPIError, match="lock timeout"):
            leases.release(connection, lease)
        connection.rollback()
    holding.commit()
    leases.release(taking, lease)
    taking.commit()
    for each in (holding, taking):
        each.close()


# --- partitions -------------------------------------------------------------------------------------------------------


def month(ahead: int) -> datetime:
    today = datetime.now(UTC)
    count = today.year * 12 + today.month - 1 + ahead
    return datetime(count // 12, count % 12 + 1, 1, tzinfo=UTC)


def rows_in(connection: Connection, table: str) -> int:
    count: int = connection.execute(text(f"SELECT count(*) FROM {table}")).scalar_one()
    return count


def partition(ahead: int) -> str:
    return f"usage_{month(ahead):%Y_%m}"


def test_months_are_made_ahead_and_the_runway_says_how_far(engine: Engine) -> None:
    with transaction(engine) as connection:
        assert usage.runway(connection) == 0
        assert usage.make_partitions(connection, 2) == 3
        assert usage.make_partitions(connection, 2) == 0
        left = usage.runway(connection)
        assert left is not None
        ends = clock.read(connection) / clock.SECOND + left
    assert abs(ends - month(3).timestamp()) < 60


def test_rows_that_came_before_their_month_was_made_are_moved_into_it(engine: Engine) -> None:
    """No request is refused because nobody made a partition; and none is lost when somebody does."""
    records = [used("1", month(0).timestamp()), used("2", month(1).timestamp() - 1e-6), used("3", month(1).timestamp())]
    with transaction(engine) as connection:
        usage.ingest(connection, records)
        assert rows_in(connection, "usage_rest") == 3
    with transaction(engine) as connection:
        usage.make_partitions(connection, 0)
        assert (rows_in(connection, "usage_rest"), rows_in(connection, partition(0))) == (1, 2)
        assert usage.page(connection, usage.Which()) == records[::-1]
        assert usage.ingest(connection, records) == []  # and still exactly once
        usage.make_partitions(connection, 1)
        assert (rows_in(connection, "usage_rest"), rows_in(connection, partition(1))) == (0, 1)


def test_a_month_is_dropped_when_all_of_it_is_old(engine: Engine) -> None:
    with transaction(engine) as connection:
        usage.make_partitions(connection, 1)
        usage.ingest(connection, [used("1", month(0).timestamp()), used("2", month(1).timestamp())])
    last = int(month(1).timestamp() * clock.SECOND)
    for before, left in ((last - 1, ["2", "1"]), (last, ["2"]), (last + 10, ["2"])):
        with transaction(engine) as connection:
            usage.drop_before(connection, before)
            assert [each.id for each in usage.page(connection, usage.Which())] == left


def test_two_make_the_same_months_at_once(engine: Engine) -> None:
    made: list[int] = []
    start = threading.Barrier(3)

    def make() -> None:
        start.wait()
        made.append(transact(engine, lambda connection: usage.make_partitions(connection, 1)))

    threads = [threading.Thread(target=make) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(made) == [0, 0, 2]


# --- rights -----------------------------------------------------------------------------------------------------------


@pytest.fixture
def people(postgres: Postgres, empty_database: str) -> dict[str, Engine]:
    """A migrator who owns the tables, a gateway, and a reader; all without any right but those that are granted."""
    name = empty_database.rpartition("/")[2]
    for role in ("migrator", "gateway", "reader"):
        postgres.execute(f"CREATE ROLE {name}_{role} LOGIN PASSWORD 'x' NOSUPERUSER NOCREATEDB NOCREATEROLE")
    engine = open.engine(empty_database)
    with transaction(engine) as connection:
        connection.exec_driver_sql(f"GRANT CREATE, USAGE ON SCHEMA public TO {name}_migrator")
    engine.dispose()
    made = {role: open.engine(postgres.url(name, f"{name}_{role}", "x")) for role in ("migrator", "gateway", "reader")}
    schema.migrate(made["migrator"])
    with transaction(made["migrator"]) as connection:
        roles.grant(connection, f"{name}_gateway", f"{name}_reader")
    return made


def test_a_gateway_without_rights_to_change_tables_does_all_it_has_to(people: dict[str, Engine]) -> None:
    schema.check(people["gateway"])
    with transaction(people["gateway"]) as connection:
        made = keys.add(connection, Key(id="k", name="n"), "h")
        keys.replace(connection, made)
        assert keys.by_hash(connection, "h") is not None
        audit.add(connection, audit.Act(who="me", from_where="", verb="create", kind="key", object="k"))
        assert leases.take(connection, "l", "a", 60) is not None
        assert usage.make_partitions(connection, 1) == 2
        usage.ingest(connection, [used("1", month(0).timestamp())])
        assert usage.spent(connection, "key", "k", 0, None) == 1000
        usage.drop_before(connection, int(month(1).timestamp() * clock.SECOND))
        assert usage.page(connection, usage.Which()) == []
        assert changes.prune(connection, 0) == 0
    for engine in people.values():
        engine.dispose()


@pytest.mark.parametrize(
    ("role", "statement"),
    [
        ("gateway", "DELETE FROM audit"),
        ("gateway", "UPDATE audit SET who = 'nobody'"),
        ("gateway", "DELETE FROM usage"),
        ("gateway", "UPDATE usage SET cost = 0"),
        ("gateway", "DELETE FROM usage_rest"),
        ("gateway", "ALTER TABLE keys ADD COLUMN x TEXT"),
        ("gateway", "DROP TABLE usage"),
        ("gateway", "CREATE TABLE mine (x TEXT)"),
        ("gateway", "UPDATE meta SET value = '9'"),
        ("gateway", "UPDATE alembic_version SET version_num = '9'"),
        ("reader", "SELECT * FROM key_hashes"),
        ("reader", "SELECT * FROM idempotency"),
        ("reader", "DELETE FROM keys"),
        ("reader", "SELECT aiops_drop_usage_before(0)"),
    ],
)
def test_what_a_role_does_not_need_it_may_not(people: dict[str, Engine], role: str, statement: str) -> None:
    with (
        pytest.raises(ProgrammingError, match=r"permission denied|must be owner"),
        transaction(people[role]) as connection,
    ):
        connection.exec_driver_sql(statement)
    for engine in people.values():
        engine.dispose()


def test_a_reader_sees_keys_and_usage(people: dict[str, Engine]) -> None:
    with reading(people["reader"]) as connection:
        assert keys.page(connection) == []
        assert connection.scalar(select(func.count()).select_from(ledger)) == 0
    for engine in people.values():
        engine.dispose()


# --- of another aiops -------------------------------------------------------------------------------------------------


def test_columns_added_under_a_running_gateway_do_not_disturb_it(engine: Engine, database: str) -> None:
    """`cached plan must not change result type`: columns are named, and no plan outlives its transaction."""
    with transaction(engine) as connection:
        keys.add(connection, Key(id="k", name="n"), "h")
    other = open.engine(database)
    for number in range(10):
        with reading(engine) as connection:
            assert keys.by_hash(connection, "h") is not None
            assert keys.get(connection, "k") is not None
        with transaction(other) as connection:
            connection.exec_driver_sql(f"ALTER TABLE keys ADD COLUMN extra{number} TEXT DEFAULT 'x'")
            another = ("VARCHAR", "TEXT")[number % 2]
            connection.exec_driver_sql(f"ALTER TABLE keys ALTER COLUMN alias TYPE {another}")
    other.dispose()
