"""The ledger: exactly once, sums that agree with the rows, and what becomes of both in time."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
from datetime import UTC, date, datetime
from random import Random

import pytest
from sqlalchemy import Engine, func, select

from aiops.state.shapes import Kind
from aiops.state.store import clock, freeze, usage
from aiops.state.store.changes import member_id
from aiops.state.store.open import reading
from aiops.state.store.open import writing as transaction
from aiops.state.store.tables import usage as ledger
from aiops.state.store.tables import usage_daily
from aiops.state.usage import settled
from aiops.state.usage.record import Usage

DAY = 86_400
NOON = int(datetime(2026, 11, 27, 12, tzinfo=UTC).timestamp())
ROWS = ("", "e1", "e2", "e1 key:0:30d ", "e1 team:0:7d key:0:30d ", "?e1 key:0:30d ", "e1 key:0:30 ", "e11 key:0:30d ")


def used(id: str, at: float = NOON, **rest: object) -> Usage:
    values = {
        "key": "k", "team": None, "user": None, "model": "gpt-4o", "provider": "openai", "served": "gpt-4o-2024",
        "path": "/v1/chat/completions", "seconds": 1.5, "first": 0.25, "status": 200, "outcome": "answered",
        "prompt_tokens": 10, "completion_tokens": 20, "cached_tokens": 5, "cost": 1000, "estimated": False,
        "stream": True, "generation": 3, "replica": "r", "epoch": "e1",
    }  # fmt: skip
    return Usage(id=id, started=int(at * clock.SECOND), **{**values, **rest})  # type: ignore[arg-type]


def test_a_record_is_read_as_it_was_put_in(engine: Engine) -> None:
    record = used("1", team="t", user="u", tags=("a", "b"), end_user="me", idempotency_key="i", cost=2**53 - 1)
    bare = used("2", cost=None, first=None, key="")
    with transaction(engine) as connection:
        assert usage.ingest(connection, [bare, record]) == ["1", "2"]
        assert usage.page(connection, usage.Which()) == [bare, record]
        assert usage.page(connection, usage.Which(id="1")) == [record]


def test_a_request_counts_once_however_often_it_is_put_in(engine: Engine) -> None:
    """A crash anywhere repeats, and repeats change nothing."""
    records = [used(str(number), cost=number) for number in range(5)]
    with transaction(engine) as connection:
        assert usage.ingest(connection, records[:3]) == ["0", "1", "2"]
    with transaction(engine) as connection:
        assert usage.ingest(connection, [*records, records[4]]) == ["3", "4"]
    with transaction(engine) as connection:
        assert usage.ingest(connection, records) == []
        assert connection.scalar(select(func.count()).select_from(ledger)) == 5
        (total,) = usage.by(connection, ())
        assert (total.requests, total.cost, total.prompt_tokens) == (5, 10, 50)


def test_a_ledger_that_is_being_moved_takes_nothing(engine: Engine) -> None:
    with transaction(engine) as connection:
        freeze.freeze(connection, 60, "it is being moved")
    with pytest.raises(freeze.Frozen), transaction(engine) as connection:
        usage.ingest(connection, [used("1")])
    with reading(engine) as connection:
        assert usage.page(connection, usage.Which()) == []


def test_what_is_put_in_by_a_transaction_that_fails_is_not_in_the_sums_either(engine: Engine) -> None:
    with pytest.raises(RuntimeError), transaction(engine) as connection:
        usage.ingest(connection, [used("1")])
        raise RuntimeError
    with reading(engine) as connection:
        assert usage.by(connection, ())[0].requests == 0
        assert usage.page(connection, usage.Which()) == []


def test_more_than_a_batch_at_once(engine: Engine) -> None:
    count = 2 * usage.BATCH + 1
    with transaction(engine) as connection:
        assert len(usage.ingest(connection, (used(f"{number:05}", cost=1) for number in range(count)))) == count
        assert usage.spent(connection, "key", "k", 0, None) == count


def test_the_sums_are_those_of_the_rows(engine: Engine) -> None:
    random = Random(1)
    records = [
        used(
            f"{number}",
            NOON + random.randrange(-3 * DAY, 3 * DAY),
            key=random.choice(["", "k1", "k2"]),
            team=random.choice([None, "t"]),
            user=random.choice([None, "u"]),
            model=random.choice(["a", "b"]),
            cost=random.choice([None, 1, 2**40]),
            outcome=random.choice(["answered", "failed", "left", "lost"]),
            estimated=random.random() < 0.5,
            tags=tuple(random.sample(["x", "y", "z"], random.randrange(3))),
        )
        for number in range(300)
    ]
    with transaction(engine) as connection:
        for start in range(0, 300, 70):
            usage.ingest(connection, records[start : start + 90])
        groups = usage.by(connection, ("day", "key", "model"))
        tags = usage.by(connection, ("tag",))
        by_model = usage.by(connection, ("model",))
        by_model_and_key = [
            replace(
                first,
                **{
                    name: sum(getattr(each, name) for each in groups if each.of[2] == first.of[0])
                    for name in ("requests", "failed", "estimated", "unpriced", "cost", "prompt_tokens")
                },
            )
            for first in by_model
        ]
    expected: dict[tuple[str, ...], list[int]] = defaultdict(lambda: [0] * 5)
    for record in records:
        day = datetime.fromtimestamp(record.started / clock.SECOND, UTC).date().isoformat()
        counts = expected[day, record.key, record.model]
        failed = record.outcome in ("failed", "lost")
        for place, one in enumerate((1, failed, record.estimated, record.cost is None, record.cost or 0)):
            counts[place] += one
    assert {
        each.of: [each.requests, each.failed, each.estimated, each.unpriced, each.cost] for each in groups
    } == expected
    assert [each.of for each in groups] == sorted(expected)
    assert [replace(each, of=()) for each in by_model] == [replace(each, of=()) for each in by_model_and_key]
    assert {each.of[0]: each.requests for each in tags} == {
        tag: sum(tag in record.tags for record in records) for tag in ("x", "y", "z")
    }


def test_usage_is_grouped_and_filtered(engine: Engine) -> None:
    with transaction(engine) as connection:
        usage.ingest(
            connection,
            [
                used("1", NOON - DAY, key="a", team="t", provider="p", cost=1, tags=("x",)),
                used("2", NOON, key="a", user="u", cost=2, tags=("x", "y")),
                used("3", NOON, key="b", team="t", model="m", cost=4),
            ],
        )

        def costs(*dimensions: usage.Dimension, **where: object) -> dict[tuple[str, ...], int]:
            found = usage.by(connection, dimensions, usage.Filter(**where))  # type: ignore[arg-type]
            return {each.of: each.cost for each in found}

        assert costs("day") == {("2026-11-26",): 1, ("2026-11-27",): 6}
        assert costs("key") == {("a",): 3, ("b",): 4}
        assert costs("team", "key") == {("", "a"): 2, ("t", "a"): 1, ("t", "b"): 4}
        assert costs("provider") == {("openai",): 6, ("p",): 1}
        assert costs("tag") == {("x",): 3, ("y",): 2}
        assert costs("key", tag="x") == {("a",): 3}
        assert costs("key", since=date(2026, 11, 27)) == {("a",): 2, ("b",): 4}
        assert costs("key", until=date(2026, 11, 27)) == {("a",): 1}
        assert costs("key", team="t", model="m") == {("b",): 4}
        assert costs("model", user="u") == {("gpt-4o",): 2}
        assert costs(provider="p") == {(): 1}
        assert len(usage.by(connection, ("day", "key"), most=2)) == 2
        with pytest.raises(ValueError, match="usage by tag is not kept by user"):
            usage.by(connection, ("tag", "user"))


def test_what_was_spent_is_told_of_any_window_to_the_nano_dollar(engine: Engine) -> None:
    """Whole days out of the sums, the rest out of the rows: together what the rows alone say."""
    random = Random(2)
    records = [
        used(
            str(number),
            NOON + random.randrange(-5 * DAY, 5 * DAY) + random.random(),
            key=random.choice(["k", "other"]),
            team=random.choice([None, "t", "t2"]),
            user=random.choice([None, "u"]),
            model=random.choice(["a", "b"]),
            cost=random.randrange(10**9),
            epoch=random.choice(
                ["e1", "e2", "e1 key:0:30d ", "e1 team:0:7d key:0:30d ", "?e1 key:0:30d ", "e1 key:0:30 "]
            ),
        )
        for number in range(400)
    ]
    midnight = NOON - DAY // 2
    edges = [
        (midnight, midnight + DAY),
        (midnight, midnight + 1),
        (midnight - 1, midnight),
        (midnight + 3600, midnight + 7200),
        (midnight - 3600, midnight + 3600),
        (midnight - 3 * DAY + 5, midnight + 2 * DAY + 7),
        (midnight - 2 * DAY, None),
        (midnight - 2 * DAY + 0.5, None),
        (0, None),
        (0, midnight + 99),
    ]
    whose: list[tuple[Kind, str, dict[str, object]]] = [
        ("key", "k", {"key": "k"}),
        ("team", "t", {"team": "t"}),
        ("user", "u", {"user": "u", "team": None}),
        ("member", member_id("t", "u"), {"user": "u", "team": "t"}),
    ]
    with transaction(engine) as connection:
        usage.ingest(connection, records)
        for begins, ends in edges:
            for kind, id, fields in whose:
                for model, epoch in ((None, None), ("a", None), (None, "e1"), ("b", "e2")):
                    expected = sum(
                        record.cost or 0
                        for record in records
                        if begins * clock.SECOND <= record.started
                        and (ends is None or record.started < ends * clock.SECOND)
                        and all(getattr(record, name) == value for name, value in fields.items())
                        and model in (None, record.model)
                        and (epoch is None or not settled.has(record.epoch, epoch, "key:0:30d"))
                    )
                    counter = None if epoch is None else (epoch, "key:0:30d")
                    found = usage.spent(connection, kind, id, begins, ends, model=model, not_in=counter)
                    assert found == expected, (begins, ends, kind, model, epoch)


def test_a_pattern_of_models_is_told_what_all_of_its_models_spent(engine: Engine) -> None:
    """Matched as a request is: in the sums by day and in the rows, and without what the counter has."""
    models = ("gpt-4o", "gpt-4o-mini", "GPT-4o", "claude", "gpt")
    records = [
        used(f"{model} {days} {epoch}", NOON - days * DAY, model=model, cost=10**number, epoch=epoch)
        for number, model in enumerate(models)
        for days in (0, 2)
        for epoch in ("e1 key:0:30d:gpt-%2A ", "e2 ")
    ]
    with transaction(engine) as connection:
        usage.ingest(connection, records)
        for pattern, whose in (
            ("gpt-*", "gpt-4o gpt-4o-mini"),
            ("gpt-4?", "gpt-4o"),
            ("*", " ".join(models)),
            ("all-proxy-models", " ".join(models)),
            ("no-default-models", ""),
        ):
            expected = sum(each.cost or 0 for each in records if each.model in whose.split())
            begins = NOON - 3 * DAY + 5
            assert usage.spent(connection, "key", "k", begins, NOON + 1, model=pattern) == expected, pattern
            counter = ("e1", "key:0:30d:gpt-%2A")
            assert usage.spent(connection, "key", "k", begins, NOON + 1, model=pattern, not_in=counter) * 2 == expected


def test_pages_of_the_ledger_have_every_request_once(engine: Engine) -> None:
    records = [used(f"{number:03}", NOON + number // 5) for number in range(50)]
    with transaction(engine) as connection:
        usage.ingest(connection, records)
        found: list[Usage] = []
        page = usage.page(connection, usage.Which(key="k"), size=7)
        while page:
            found += page
            page = usage.page(connection, usage.Which(key="k"), size=7, after=(page[-1].started, page[-1].id))
        assert found == records[::-1]


def test_requests_are_found_by_what_is_asked_for(engine: Engine) -> None:
    at = NOON * clock.SECOND
    with transaction(engine) as connection:
        first = used("1", NOON, key="a", team="t", end_user="e")
        second = used("2", NOON + 1, key="b", user="u", model="m")
        usage.ingest(connection, [first, second])
        for which, found in (
            (usage.Which(key="a"), [first]),
            (usage.Which(team="t"), [first]),
            (usage.Which(end_user="e"), [first]),
            (usage.Which(user="u"), [second]),
            (usage.Which(model="m"), [second]),
            (usage.Which(since=at + 1), [second]),
            (usage.Which(until=at + 1), [first]),
            (usage.Which(key="a", user="u"), []),
        ):
            assert usage.page(connection, which) == found


def test_old_rows_are_dropped_and_what_they_cost_is_still_known(engine: Engine) -> None:
    old = [used(f"old{number}", NOON - 90 * DAY, cost=1) for number in range(3)]
    with transaction(engine) as connection:
        usage.make_partitions(connection)
        usage.ingest(connection, [*old, used("new", cost=10)])
    with transaction(engine) as connection:
        assert usage.drop_before(connection, (NOON - 80 * DAY) * clock.SECOND) is False
    with transaction(engine) as connection:
        assert [each.id for each in usage.page(connection, usage.Which())] == ["new"]
        assert usage.spent(connection, "key", "k", 0, None) == 13
        assert usage.by(connection, ())[0].requests == 4
        assert usage.drop_days_before(connection, date(2026, 11, 1)) == 2
        assert usage.spent(connection, "key", "k", 0, None) == 10


def test_an_index_answers_what_is_asked_for_each_seed(engine: Engine) -> None:
    """With ten million rows nobody waits for all of them to be read."""
    with transaction(engine) as connection:
        usage.make_partitions(connection)
        usage.ingest(connection, [used(str(number), key=f"k{number}", team=f"t{number}") for number in range(300)])
        if engine.dialect.name == "postgresql":
            connection.exec_driver_sql("SET LOCAL enable_seqscan = off")
        for table, conditions in (
            (ledger, [ledger.c.key_id == "k", ledger.c.started >= 1]),
            (ledger, [ledger.c.team_id == "t", ledger.c.started >= 1]),
            (usage_daily, [usage_daily.c.key_id == "k", usage_daily.c.day >= date(2026, 1, 1)]),
            (usage_daily, [usage_daily.c.team_id == "t", usage_daily.c.day >= date(2026, 1, 1)]),
        ):
            statement = select(func.sum(table.c.cost)).where(*conditions)
            shown = statement.compile(connection, compile_kwargs={"literal_binds": True})
            explain = "EXPLAIN" if engine.dialect.name == "postgresql" else "EXPLAIN QUERY PLAN"
            plan = str(connection.exec_driver_sql(f"{explain} {shown}").all())
            assert "Seq Scan" not in plan, plan
            assert "SCAN usage" not in plan, plan


def test_the_same_id_of_another_instant_is_another_request(engine: Engine) -> None:
    """A record is found by when it started and its id: both are fixed when the request is let in."""
    record = used("1")
    with transaction(engine) as connection:
        assert usage.ingest(connection, [record, replace(record, outcome="lost")]) == ["1"]
        assert usage.ingest(connection, [replace(record, started=record.started + 1)]) == ["1"]
