"""The same `Idempotency-Key` on a real gateway with two workers: asked of the provider once, charged once."""

from __future__ import annotations

import os
import signal
import sqlite3
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import httpx
import pytest

from aiops.demo.child import DemoProvider
from tests.e2e.keys import Keys, keys_of
from tests.kit.gateway import Gateway, serving
from tests.kit.waiting import until

REPLAY = "x-aiops-idempotent-replay"


@pytest.fixture(scope="module")
def served(one: DemoProvider) -> Iterator[Gateway]:
    with serving(one.url, "alpha", workers=2) as gateway:
        yield gateway


@pytest.fixture
def keys(served: Gateway, one: DemoProvider) -> Iterator[Keys]:
    one.forget_requests()
    with keys_of(served) as found:
        yield found
    one.control(mode="ok", delay=0, tokens=8, chunk_delay=0)


def asked(one: DemoProvider) -> int:
    return sum(each["method"] == "POST" for each in one.requests())


@pytest.mark.parametrize("stream", [False, True])
def test_retries_at_once_and_later_get_the_first_ones_answer_and_are_charged_once(
    keys: Keys, one: DemoProvider, stream: bool
) -> None:
    key = keys.make()
    one.control(delay=1)
    with ThreadPoolExecutor(8) as several:
        answers = list(several.map(lambda _: keys.ask(key, again="a", stream=stream), range(8)))
    answers += [keys.ask(key, again="a", stream=stream) for _ in range(4)]
    assert {each.status_code for each in answers} == {200}
    assert len({each.content for each in answers}) == 1
    assert [REPLAY in each.headers for each in answers].count(False) == 1
    assert len({each.headers["content-type"] for each in answers}) == 1
    assert asked(one) == 1
    keys.ask(key)  # recorded after whatever else was
    assert len(keys.used(key, 2)) == 2


def test_a_retry_after_a_time_out_gets_what_was_answered_meanwhile(keys: Keys, one: DemoProvider) -> None:
    key = keys.make()
    one.control(delay=1.5)
    with pytest.raises(httpx.TimeoutException):
        keys.ask(key, again="t", seconds=0.5)
    found = keys.ask(key, again="t")
    assert (found.status_code, found.headers[REPLAY], asked(one)) == (200, "true", 1)
    assert [each.outcome for each in keys.used(key, 1)] == ["answered"]


def test_a_retry_of_what_a_killed_worker_had_under_way_really_runs(
    served: Gateway, keys: Keys, one: DemoProvider
) -> None:
    key = keys.make()
    one.control(delay=30)
    with ThreadPoolExecutor(1) as first:
        lost = first.submit(keys.ask, key, again="k")
        until(lambda: asked(one) == 1, 10, "the first one at the provider")
        one.control(delay=0)
        for worker in served.workers():
            os.kill(worker, signal.SIGKILL)
        with pytest.raises(httpx.TransportError):
            lost.result()
    until(lambda: served.get("/_health/live").status_code == 200, 20, "workers again")
    found = keys.ask(key, again="k")
    assert (found.status_code, REPLAY in found.headers) == (200, False)
    assert sorted(each.outcome for each in keys.used(key, 2)) == ["answered", "lost"]


def test_a_failed_one_is_not_kept_and_another_body_is_refused(keys: Keys, one: DemoProvider) -> None:
    key = keys.make()
    one.control(mode="500")
    assert keys.ask(key, again="f").status_code == 500
    one.control(mode="ok")
    found = keys.ask(key, again="f")
    assert (found.status_code, REPLAY in found.headers) == (200, False)
    refused = keys.ask(key, again="f", max_tokens=5)
    assert (refused.status_code, refused.json()["error"]["code"]) == (422, "idempotency_key_reused")
    assert keys.ask(keys.make(), again="f", max_tokens=5).status_code == 200  # another key, another matter


def test_answers_are_kept_where_nobody_else_reads_them_and_not_for_ever(served: Gateway, keys: Keys) -> None:
    key = keys.make()
    keys.ask(key, again="d")
    database = served.home / "state" / "aiops.db"
    assert {path.stat().st_mode & 0o077 for path in database.parent.glob("aiops.db*")} == {0}

    def hours() -> float:
        with closing(sqlite3.connect(database, timeout=10)) as connection:
            row = connection.execute(
                "SELECT (expires_at / 1e6 - strftime('%s')) / 3600.0 FROM idempotency WHERE key_id = ? AND status",
                (key.id,),
            ).fetchone()
        return float(row[0]) if row else 0.0

    assert 23 < until(hours, 10, "the answer in the database") <= 24.1
