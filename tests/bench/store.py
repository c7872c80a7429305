"""The store with as many rows as a large installation has, on PostgreSQL: what a cold key, a page and a report take."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from random import Random

from sqlalchemy import Connection, Engine, text

from aiops.state.store import keys, open, schema, usage
from aiops.state.store.rows import Key
from aiops.state.usage.record import Usage
from tests.bench.figures import Figure, median
from tests.bench.gateways import BenchError
from tests.bench.session import Session
from tests.kit.postgres import Postgres, missing

DAYS = 60
NOW = 1_795_700_000  # seconds since 1970
COLD_KEY, PAGE, REPORT = 0.005, 0.050, 1.0

# Rows are made where they are stored: a million of them through a client measures the client.
_KEYS = """
INSERT INTO keys (id, name, alias, team_id, user_id, rpm_limit, max_budget, budget_duration, created_at, updated_at)
SELECT md5(n::text), 'sk-...' || lpad((n % 10000)::text, 4, '0'), 'alias ' || n, 't' || n % 1000, 'u' || n % 50000, 60,
       1000000000, '30d', 1790000000000000 + n, 1790000000000000
FROM generate_series(1, {count}) AS n
"""
_HASHES = """
INSERT INTO key_hashes (hash, key_id, created_at)
SELECT encode(sha256(('sk-' || n)::bytea), 'hex'), md5(n::text), 1790000000000000 FROM generate_series(1, {count}) AS n
"""
_TEAMS = """
INSERT INTO {table} (id, created_at, updated_at) SELECT '{letter}' || n, n, n FROM generate_series(0, {count} - 1) AS n
"""
# A tenth of the keys does most: the square of a random number.
_USAGE = """
INSERT INTO usage (started, id, key_id, team_id, user_id, model, provider, served, path, seconds, status, outcome,
    prompt_tokens, completion_tokens, cached_tokens, cost, estimated, stream, generation, replica, epoch, ingested_at)
SELECT ({now} - ({days} * 86400 * random())::bigint) * 1000000, md5('r' || n), md5(k::text), 't' || k % 1000,
    'u' || k % 50000, 'model-' || n % 12, 'provider-' || n % 4, 'served', '/v1/chat/completions', 1, 200, 'answered',
    100, 50, 0, 1000, false, true, 1, 'r', 'e', 0
FROM (SELECT n, 1 + (power(random(), 4) * {keys})::bigint AS k FROM generate_series(1, {count}) AS n) AS drawn
"""
_DAILY = """
INSERT INTO usage_daily (day, key_id, team_id, user_id, model, provider, epoch, requests, cost, prompt_tokens,
    completion_tokens)
SELECT (to_timestamp(started / 1000000) AT TIME ZONE 'UTC')::date, key_id, team_id, user_id, model, provider, epoch,
    count(*), sum(cost), sum(prompt_tokens), sum(completion_tokens)
FROM usage GROUP BY 1, 2, 3, 4, 5, 6, 7
"""
_TOTALS = """
INSERT INTO usage_daily_totals (day, model, provider, requests, cost, prompt_tokens, completion_tokens)
SELECT day, model, provider, sum(requests), sum(cost), sum(prompt_tokens), sum(completion_tokens)
FROM usage_daily GROUP BY 1, 2, 3
"""


def store(session: Session) -> Iterator[Figure]:
    if (reason := missing()) is not None:
        raise BenchError(reason)
    key_count, usage_count = session.rounds(1_000_000, 100_000), session.rounds(10_000_000, 1_000_000)
    with contextlib.ExitStack() as stack:
        server = Postgres(
            shared_buffers="4GB", max_wal_size="16GB", wal_level="minimal", max_wal_senders="0", jit="off"
        )
        stack.callback(server.remove)
        engine = open.engine(server.database(), statement_seconds=3600)
        stack.callback(engine.dispose)
        schema.migrate(engine)
        began = time.monotonic()
        _fill(engine, key_count, usage_count)
        session.say(f"   {key_count:,} keys and {usage_count:,} rows of usage in {time.monotonic() - began:.0f} s")
        size = f"{key_count:,} keys, {usage_count:,} rows"
        yield from _figures(engine, session, key_count, size)


def _fill(engine: Engine, key_count: int, usage_count: int) -> None:
    with open.writing(engine) as connection:
        connection.exec_driver_sql("SET LOCAL idle_in_transaction_session_timeout = 0")
        usage.make_partitions(connection)
        for statement in (_KEYS, _HASHES):
            connection.execute(text(statement.replace("::", "\\:\\:").format(count=key_count)))
        for table, letter, count in (("teams", "t", 1000), ("users", "u", 50_000)):
            connection.execute(text(_TEAMS.format(table=table, letter=letter, count=count)))
        filled = _USAGE.format(now=NOW, days=DAYS, keys=key_count - 1, count=usage_count)
        connection.execute(text(filled.replace("::", "\\:\\:")))
        connection.execute(text(_DAILY.replace("::", "\\:\\:")))
        connection.execute(text(_TOTALS))
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.exec_driver_sql("VACUUM ANALYZE")


def _figures(engine: Engine, session: Session, key_count: int, size: str) -> Iterator[Figure]:
    import hashlib

    random = Random(1)
    hashes = [hashlib.sha256(f"sk-{random.randrange(1, key_count)}".encode()).hexdigest() for _ in range(500)]
    with open.reading(engine) as connection:
        keys.by_hash(connection, hashes[0])
        cold = [_timed(lambda each=hash: keys.by_hash(connection, each)) for hash in hashes[1:]]  # type: ignore[misc]
        yield median("store: a key not asked for before", cold, limit=COLD_KEY, detail=size)
        rounds = session.rounds(20, 10)
        page = keys.page(connection, size=100)
        yield median(
            "store: first page of 100 keys", _times(rounds, lambda: keys.page(connection, size=100)), limit=PAGE
        )
        middle = keys.Cursor(1_790_000_000_000_000 + key_count // 2, "")
        for name, ask in (
            ("a page from the middle", lambda: keys.page(connection, size=100, after=middle)),
            ("a page of one team's keys", lambda: keys.page(connection, filters=keys.Filters(team_id="t7"))),
        ):
            yield median(f"store: {name}", _times(rounds, ask), limit=PAGE)
        part = keys.Filters(alias_part="999")
        searched = _times(3, lambda: keys.page(connection, filters=part))
        yield median("store: a page of a part of an alias", searched, detail="told, not promised")
        yield from _reports(connection, page)
    yield from _ingest(engine, session)


def _reports(connection: Connection, page: list[Key]) -> Iterator[Figure]:
    month = (NOW - 30 * 86_400 + 4000, NOW - 4000)
    for name, ask in (
        ("usage by day", lambda: usage.by(connection, ("day",))),
        ("usage by team", lambda: usage.by(connection, ("team",))),
        ("usage by day and model", lambda: usage.by(connection, ("day", "model"))),
        ("usage by key, the first 100", lambda: usage.by(connection, ("key",), most=100)),
    ):
        yield median(f"store: {name}", _times(5, ask), limit=REPORT)
    for name, kind, id in (("busiest key", "key", _busiest(connection)), ("team", "team", "t1")):
        found = _times(5, lambda k=kind, i=id: usage.spent(connection, k, i, *month, not_in=("x", "key:0:30d")))  # type: ignore[misc]
        yield median(f"store: what the {name} spent in 30 days", found, detail="seeds a counter")
    which = usage.Which(key=page[0].id)
    yield median("store: the last 100 requests of a key", _times(5, lambda: usage.page(connection, which)))


def _ingest(engine: Engine, session: Session) -> Iterator[Figure]:
    count = session.rounds(20_000, 5_000)
    records = [
        Usage(
            id=f"new{number}", key=f"k{number % 100}", team=f"t{number % 10}", user=None, model="m", provider="p",
            served="s", path="/v1/chat/completions", started=(NOW + number) * 1_000_000, seconds=1.0, first=None,
            status=200, outcome="answered", prompt_tokens=1, completion_tokens=1, cached_tokens=0, cost=1,
            estimated=False, stream=False, generation=1, replica="r", epoch="e",
        )
        for number in range(count)
    ]  # fmt: skip
    seconds = 0.0
    for start in range(0, count, 1000):
        batch = records[start : start + 1000]
        seconds += _timed(lambda b=batch: open.transact(engine, lambda c: usage.ingest(c, b)))  # type: ignore[misc]
    yield Figure("store: requests ingested", count / seconds, "/s", detail="batches of 1,000, one after another")


def _busiest(connection: Connection) -> str:
    found = connection.execute(
        text("SELECT key_id FROM usage_daily GROUP BY key_id ORDER BY sum(requests) DESC LIMIT 1")
    )
    return str(found.scalar_one())


def _times(rounds: int, ask: Callable[[], object]) -> list[float]:
    ask()
    return [_timed(ask) for _ in range(rounds)]


def _timed(ask: Callable[[], object]) -> float:
    began = time.perf_counter()
    ask()
    return time.perf_counter() - began
