"""Changes, audit, replicas, leases and idempotency; and that somebody drops what is old of each table."""

from __future__ import annotations

import threading
import time

import pytest
from sqlalchemy import Engine, event

from aiops.state.store import audit, changes, clock, idempotency, keys, leases, replicas, teams, usage
from aiops.state.store.open import writing as transaction
from aiops.state.store.rows import Key, Member, Team
from aiops.state.store.tables import metadata

# Nothing grows for ever: what drops the old of each table, or why there is nothing to drop.
KEPT = {
    "audit": audit.prune,
    "changes": changes.prune,
    "idempotency": idempotency.prune,
    "key_hashes": keys.prune,
    "leases": leases.forget,
    "replicas": replicas.prune,
    "usage": usage.drop_before,
    "usage_daily": usage.drop_days_before,
    "usage_daily_tags": usage.drop_days_before,
    "usage_daily_totals": usage.drop_days_before,
    **dict.fromkeys(("keys", "teams", "team_members", "users", "budgets"), "as many as people make"),
    "imported": "as many as LiteLLM had",
    "published_generations": "as many as people apply; dropped with the generations of the hosts",
    "meta": "a row for each name in the code",
}


def test_every_table_has_somebody_who_drops_what_is_old() -> None:
    assert set(KEPT) == set(metadata.tables)


def test_every_write_is_noted_before_it_is_done(engine: Engine) -> None:
    said: list[str] = []
    event.listen(engine, "before_cursor_execute", lambda _c, _u, statement, *_: said.append(statement.split("(")[0]))
    with transaction(engine) as connection:
        made = keys.add(connection, Key(id="k", name="n"), "h")
        keys.replace(connection, made)
        keys.add_hash(connection, keys.Hash("h2", "k"))
        keys.expire_hash(connection, "h2", 1)
        keys.remove_hash(connection, "h2")
        team = teams.add(connection, Team(id="t"))
        teams.replace(connection, team)
        teams.add_member(connection, Member(team_id="t", user_id="u"))
        teams.remove_member(connection, "t", "u")
        teams.remove(connection, "t")
        keys.remove(connection, "k")
        noted = [(each.kind, each.id) for each in changes.since(connection, 0)]
    assert noted == [
        ("key", "k"), ("key", "k"), ("hash", "h2"), ("hash", "h2"), ("hash", "h2"), ("team", "t"), ("team", "t"),
        ("member", "t/u"), ("member", "t/u"), ("team", "t"), ("hash", "h"), ("key", "k"),
    ]  # fmt: skip
    writes = [each.split()[:3] for each in said if each.startswith(("INSERT", "UPDATE", "DELETE"))]
    assert writes[0][2] == "changes"


def test_a_change_is_told_as_the_keys_it_is_about(engine: Engine) -> None:
    with transaction(engine) as connection:
        keys.add(connection, Key(id="1", name="n", team_id="t"), "h1")
        keys.add_hash(connection, keys.Hash("h1old", "1"))
        keys.add(connection, Key(id="2", name="n", team_id="t", user_id="u"), "h2")
        keys.add(connection, Key(id="3", name="n"), "h3")

        def found(*of: tuple[changes.Kind, str], most: int = 1000) -> list[str] | None:
            return changes.hashes(connection, [changes.Change(0, kind, id) for kind, id in of], most)

        assert found(("key", "1")) == ["h1", "h1old"]
        assert found(("team", "t")) == ["h1", "h1old", "h2"]
        assert found(("user", "u"), ("key", "3")) == ["h2", "h3"]
        assert found(("member", "t/u")) == ["h1", "h1old", "h2"]
        assert found(("hash", "gone")) == ["gone"]
        assert found() == []
        assert found(("budget", "b")) is None
        assert found(("all", "")) is None
        assert found(("team", "t"), most=2) is None


def test_changes_are_numbered_on_also_when_old_ones_are_dropped(engine: Engine) -> None:
    with transaction(engine) as connection:
        first, second = changes.note(connection, "all", ""), changes.note(connection, "key", "k")
        assert second > first > 0
        assert changes.since(connection, first) == [changes.Change(second, "key", "k")]
        assert len(changes.since(connection, 0, most=1)) == 1
        assert changes.prune(connection, clock.read(connection) + 1) == 1
        assert changes.newest(connection) == second
        assert changes.note(connection, "all", "") > second


def test_an_act_is_read_as_it_was_written(engine: Engine) -> None:
    act = audit.Act(
        who="me", from_where="127.0.0.1", verb="update", kind="key", object="k", before={"a": None}, after={}
    )
    with transaction(engine) as connection:
        first = audit.add(connection, act)
        at = clock.read(connection)
        while clock.read(connection) == at:  # SQLite's goes in milliseconds
            pass
        second = audit.add(connection, audit.Act(who="you", from_where="", verb="create", kind="team", object="t"))
        found = audit.page(connection)
        assert [each.id for each in found] == [second, first]
        assert (found[1].before, found[1].after, found[0].before) == ({"a": None}, {}, None)
        assert [each.id for each in audit.page(connection, kind="key", object="k")] == [first]
        assert [each.id for each in audit.page(connection, before=second)] == [first]
        assert audit.page(connection, since=found[0].at + 1) == audit.page(connection, until=found[1].at) == []
        assert audit.prune(connection, found[0].at) == 1
        assert [each.id for each in audit.page(connection)] == [second]


def test_replicas_are_those_that_were_seen_lately(engine: Engine) -> None:
    replica = replicas.Replica(
        id="r", host="h", url="http://127.0.0.1:1", generation=1, applied_seq=2, workers={"7": 2}
    )
    with transaction(engine) as connection:
        replicas.seen(connection, replica)
        replicas.seen(connection, replicas.Replica(id="r", host="h", url="u", generation=2, applied_seq=3))
        (found,) = replicas.live(connection, 60)
        assert (found.generation, found.applied_seq, found.workers) == (2, 3, {})
        assert 0 <= found.age < 60
        assert replicas.live(connection, -1) == []
        assert replicas.prune(connection, 60) == 0
        assert replicas.prune(connection, -1) == 1
        replicas.seen(connection, replica)
        replicas.leave(connection, "r")
        assert replicas.live(connection, 60) == []


def test_a_lease_has_one_holder_and_epochs_that_only_grow(engine: Engine) -> None:
    with transaction(engine) as connection:
        first = leases.take(connection, "publish", "a", 60)
        assert first == leases.Lease("publish", "a", 1, 60)
        assert leases.take(connection, "publish", "b", 60) is None
        assert leases.take(connection, "other", "b", 60) == leases.Lease("other", "b", 1, 60)
        held = leases.holder(connection, "publish")
        assert held is not None
        assert (held.holder, held.epoch) == ("a", 1)
        assert 0 < held.left <= 60
        leases.hold(connection, first)
        leases.release(connection, first)
        assert leases.holder(connection, "publish") is None
        second = leases.take(connection, "publish", "b", 60)
        assert second is not None
        assert second.epoch == 2
        again = leases.take(connection, "publish", "b", 60)  # it came back, and does not know what it had
        assert again is not None
        assert again.epoch == 3
        for refused in (first, second):
            with pytest.raises(leases.Fenced, match="is not held by"):
                leases.hold(connection, refused)
            with pytest.raises(leases.Fenced):
                leases.renew(connection, refused, 60)
            leases.release(connection, refused)
        leases.hold(connection, again)


def test_who_slept_through_the_end_of_a_lease_is_refused(engine: Engine) -> None:
    """By the database's clock: what the holder thinks the time is has no say."""
    with transaction(engine) as connection:
        slept = leases.take(connection, "l", "a", 0.05)
        assert slept is not None
        time.sleep(0.06)
        for act in (lambda: leases.hold(connection, slept), lambda: leases.renew(connection, slept, 60)):
            with pytest.raises(leases.Fenced):
                act()
        taken = leases.take(connection, "l", "b", 60)
        assert taken is not None
        assert taken.epoch == slept.epoch + 1
        assert leases.forget(connection, "l") == 0
        leases.release(connection, taken)
        assert leases.forget(connection, "l") == 1


def test_of_many_who_want_a_lease_one_gets_it(engine: Engine) -> None:
    got: list[leases.Lease | None] = []

    def want(holder: str) -> None:
        with transaction(engine) as connection:
            got.append(leases.take(connection, "l", holder, 60))

    threads = [threading.Thread(target=want, args=(str(number),)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(got) == 8
    assert len([each for each in got if each is not None]) == 1


def begin(engine: Engine, request: str, seconds: float = 60, fingerprint: str = "f") -> idempotency.Entry | None:
    with transaction(engine) as connection:
        return idempotency.begin(connection, "k", "i", request_id=request, fingerprint=fingerprint, seconds=seconds)


def test_a_retry_finds_the_first_request_and_its_answer(engine: Engine) -> None:
    assert begin(engine, "1") is None
    assert begin(engine, "2", fingerprint="other") == idempotency.Entry(request_id="1", fingerprint="f")
    with transaction(engine) as connection:
        assert not idempotency.finish(connection, "k", "i", request_id="2", status=500, answer=None)
        assert idempotency.finish(connection, "k", "i", request_id="1", status=200, answer={"body": "x"})
    entry = idempotency.Entry(request_id="1", fingerprint="f", status=200, answer={"body": "x"})
    assert begin(engine, "2") == entry
    with transaction(engine) as connection:
        idempotency.abandon(connection, "k", "i", request_id="1")  # it has been answered
    assert begin(engine, "2") == entry


def test_a_request_that_failed_or_is_long_over_is_no_first_one(engine: Engine) -> None:
    assert begin(engine, "1") is None
    with transaction(engine) as connection:
        idempotency.abandon(connection, "k", "i", request_id="1")
    assert begin(engine, "2", seconds=-1) is None
    assert begin(engine, "3") is None
    with transaction(engine) as connection:
        assert idempotency.prune(connection) == 0
    assert begin(engine, "4") is not None


def test_of_many_tries_at_once_one_is_the_first(engine: Engine) -> None:
    found: list[idempotency.Entry | None] = []
    threads = [threading.Thread(target=lambda n=n: found.append(begin(engine, str(n)))) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found.count(None) == 1
    assert len({each.request_id for each in found if each is not None}) == 1
