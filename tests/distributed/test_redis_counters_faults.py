"""Redis killed, frozen, emptied, renewed, behind a password, behind sentinels: nobody waits, no sum is wrong."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from aiops.state.counters import connections
from aiops.state.counters.fallback import Fallback
from aiops.state.counters.meters import Decision, Demand, Granted, Meter, Refused, Settled, Unavailable, Unseeded
from aiops.state.counters.redis import Redis
from aiops.state.counters.shared import Shared
from tests.kit import redis as kit
from tests.kit.servers import needed
from tests.kit.waiting import free_port, until

USD = Meter(name="key:K:usd:0", what="money", limit=1000)
RPM = Meter(name="key:K:rpm", what="requests", limit=60)
PARALLEL = Meter(name="key:K:parallel", what="parallel", limit=100)
# Long enough for a machine that is busy, and short enough to see that somebody waits for it.
PATIENT = {"connect": 0.5, "command": 0.5}


@pytest.fixture
def server() -> Iterator[kit.Redis]:
    """One that may be stopped and frozen."""
    needed(kit.missing())
    server = kit.Redis()
    yield server
    server.remove()


@pytest.fixture
def run() -> Iterator[asyncio.Runner]:
    with asyncio.Runner() as runner:
        yield runner


def demand(id: str, *meters: Meter, cost: int = 0) -> Demand:
    return Demand(id=id, owner="w", meters=meters or (RPM,), cost=cost)


def redis(url: str, lines: list[str] | None = None, **more: float) -> Redis:
    return Redis(url, say=(lines if lines is not None else []).append, **{**PATIENT, **more})


async def seeded(counters: Redis | Shared | Fallback) -> None:
    await counters.seed({USD.name: 0}, {USD.name: None})


async def answers(counters: Redis, seconds: float = 5.0) -> None:
    """Within these seconds, without being made anew."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            await counters.alive("w")
            return
        except Unavailable:
            assert time.monotonic() < deadline
            await asyncio.sleep(0.05)


def test_a_frozen_redis_is_asked_by_few_and_told_once_and_comes_back_by_itself(
    server: kit.Redis, run: asyncio.Runner
) -> None:
    lines: list[str] = []
    counters = redis(server.url, lines)

    async def freeze() -> None:
        await counters.alive("w")
        server.freeze()
        asked = await asyncio.gather(
            *(counters.reserve(demand(f"{number}")) for number in range(300)), return_exceptions=True
        )
        assert all(isinstance(each, Unavailable) for each in asked)
        assert sum(each.asked for each in asked if isinstance(each, Unavailable)) <= 32
        for number in range(2000):
            with pytest.raises(Unavailable) as turned_away:
                await counters.reserve(demand(f"more {number}"))
            assert not turned_away.value.asked, "nobody of them waits for Redis"
        assert len(lines) == 1
        server.thaw()
        await answers(counters)
        assert isinstance(await counters.reserve(demand("again")), Granted)
        lost, back = lines
        assert "cannot be used: no answer within 500 ms" in lost
        assert "answers again" in back
        await counters.close()

    run.run(freeze())


def test_a_redis_that_was_killed_and_comes_back_begins_a_new_epoch(server: kit.Redis, run: asyncio.Runner) -> None:
    counters = redis(server.url)

    async def kill() -> None:
        await seeded(counters)
        before = await counters.epoch()
        await counters.reserve(demand("a", USD, cost=5))
        server.stop(signal.SIGKILL)
        with pytest.raises(Unavailable):
            await counters.reserve(demand("b"))
        server.start()
        await answers(counters)
        assert await counters.epoch() != before
        assert isinstance(await counters.reserve(demand("c", USD)), Unseeded)
        assert await counters.settle("a", 0, 5) == Settled("", False)
        await counters.close()

    run.run(kill())


def test_what_redis_read_from_its_disk_may_be_old_and_is_not_believed(run: asyncio.Runner) -> None:
    """A snapshot of a minute ago is less than was spent."""
    needed(kit.missing())
    server = kit.Redis(save="3600 1", appendonly="no")
    counters = redis(server.url)

    async def restart() -> None:
        await seeded(counters)
        before = await counters.epoch()
        server.restart()  # writes a snapshot, and reads it
        await answers(counters)
        assert await counters.epoch() != before
        assert isinstance(await counters.reserve(demand("c", USD)), Unseeded)
        for _ in range(50):  # the keys of the past go, a few with each sign of life
            await counters.alive("w")
        left = [key async for key in keys(counters) if before.encode() in key]
        assert left == []
        await counters.close()

    try:
        run.run(restart())
    finally:
        server.remove()


async def keys(counters: Redis) -> object:
    place = b"0"
    while True:
        place, found = await counters._pool.command("SCAN", place)
        for key in found:
            yield key
        if place == b"0":
            return


def test_a_redis_that_was_emptied_begins_a_new_epoch_at_once(redis_url: str, run: asyncio.Runner) -> None:
    """The database of keys and the one of counters are never mixed up: what is lost is asked of the ledger."""
    counters = redis(redis_url)

    async def empty() -> None:
        await seeded(counters)
        before = await counters.epoch()
        await counters._pool.command("FLUSHALL")
        assert isinstance(await counters.reserve(demand("a", USD)), Unseeded)
        assert await counters.epoch() != before
        await counters.close()

    run.run(empty())


def test_scripts_that_redis_forgot_are_loaded_again(redis_url: str, run: asyncio.Runner) -> None:
    counters = redis(redis_url)

    async def flush() -> None:
        await counters.reserve(demand("a"))
        await counters._pool.command("SCRIPT", "FLUSH")
        assert isinstance(await counters.reserve(demand("b")), Granted)
        await counters.close()

    run.run(flush())


def test_every_key_ends_by_itself(redis_url: str, run: asyncio.Runner) -> None:
    counters = redis(redis_url)

    async def all_kinds() -> None:
        tpm = Meter(name="key:K:tpm", what="tokens", limit=100)
        month = Meter(name="key:K:usd:30d", what="money", limit=100, window=2**33, ends=2**33 + 2_592_000)
        await seeded(counters)
        for number in range(4):
            await counters.reserve(demand(f"{number}", USD, RPM, PARALLEL, tpm, month, cost=1))
        await counters.settle("0", 500, 1)
        await counters.void("1")
        await counters.post("else", {"other": 1}, {"other": None})
        await counters.alive("w")
        for key in [key async for key in keys(counters)]:
            assert await counters._pool.command("PTTL", key) > 0, key
        spent = b"aiops:" + (await counters.epoch()).encode() + b":d:" + USD.name.encode()
        assert await counters._pool.command("PTTL", spent) > 1e10
        await counters.close()

    run.run(all_kinds())


def test_the_clock_is_that_of_redis(redis_url: str, run: asyncio.Runner, monkeypatch: pytest.MonkeyPatch) -> None:
    """Replicas whose clocks are minutes apart keep one limit together."""
    counters = [redis(redis_url) for _ in range(3)]

    async def ask() -> int:
        passed = 0
        for number in range(600):
            decision: Decision = await counters[number % 3].reserve(demand(f"{number}"))
            passed += isinstance(decision, Granted)
        for each in counters:
            await each.close()
        return passed

    real = time.time
    monkeypatch.setattr(time, "time", lambda: real() + 61)
    assert run.run(ask()) == 60


def test_a_password_is_used_and_a_wrong_one_is_said_and_not_shown(run: asyncio.Runner) -> None:
    needed(kit.missing())
    server = kit.Redis(requirepass="correct")
    try:
        lines: list[str] = []
        good, bad = redis(server.url), redis(server.url.replace("correct", "mistaken"), lines)

        async def both() -> None:
            assert isinstance(await good.reserve(demand("a")), Granted)
            with pytest.raises(Unavailable) as refused:
                await bad.reserve(demand("b"))
            assert "password" in str(refused.value)
            assert "mistaken" not in "".join([str(refused.value), *lines])
            await good.close()
            await bad.close()

        run.run(both())
    finally:
        server.remove()


@pytest.mark.parametrize(
    "url", ["redis://h/0?socket_timeout=600&socket_connect_timeout=600", "rediss://h/0", "unix:///s"]
)
def test_no_url_drops_the_time_outs(url: str) -> None:
    async def greet(connection: object) -> None: ...

    make, _ = connections.factory(url, connect=0.05, command=0.07, greet=greet)
    made = make()
    assert (made.socket_connect_timeout, made.socket_timeout, made.retry.get_retries()) == (0.05, 0.07, 0)


@pytest.mark.parametrize("url", ["http://h", "redis+sentinel://h1:x/name", "redis+sentinel://h1"])
def test_a_url_that_is_none_is_refused_without_its_password(url: str) -> None:
    with pytest.raises(connections.BadUrl) as refused:
        Redis(url.replace("://", "://:secret@"))
    assert "secret" not in str(refused.value)


def test_the_master_is_found_through_sentinels_also_when_the_first_is_away(
    server: kit.Redis, run: asyncio.Runner, tmp_path: Path
) -> None:
    port = free_port()
    settings = tmp_path / "sentinel.conf"
    settings.write_text(
        f"port {port}\nbind 127.0.0.1\ndir {tmp_path}\nsentinel monitor mine 127.0.0.1 {server.port} 1\n"
    )
    sentinel = subprocess.Popen(["redis-server", str(settings), "--sentinel"], stdout=subprocess.DEVNULL)
    try:

        async def ask() -> None:
            counters = redis(f"redis+sentinel://127.0.0.1:{free_port()},127.0.0.1:{port}/mine/0", connect=2, command=2)
            assert isinstance(await counters.reserve(demand("a")), Granted)
            await counters.close()

        until(lambda: answering(port), 10, "the sentinel's answer")
        run.run(ask())
    finally:
        sentinel.terminate()
        sentinel.wait()


def answering(port: int) -> bool:
    import socket

    try:
        with socket.create_connection(("127.0.0.1", port), 1) as probe:
            probe.sendall(b"SENTINEL get-master-addr-by-name mine\r\n")
            return probe.recv(99).startswith(b"*2")
    except OSError:
        return False


@pytest.fixture
def own(tmp_path: Path) -> Iterator[Shared]:
    counters = Shared(tmp_path / "counters", size=1 << 20)
    yield counters
    counters.close()


def test_who_seeds_the_hosts_counters_does_not_wait_for_redis(
    server: kit.Redis, own: Shared, run: asyncio.Runner
) -> None:
    """A request waits while the accountant says what was spent, which has its own way to Redis."""
    asked: list[str] = []

    class Watched(Redis):
        async def seed(self, meters: Mapping[str, int], ends: Mapping[str, int | None], epoch: str = "") -> None:
            asked.append(epoch)
            await super().seed(meters, ends, epoch)

    async def out() -> None:
        workers, accountants = Fallback(redis(server.url), own), Fallback(Watched(server.url), own)
        await seeded(workers)
        server.freeze()
        unseeded = await workers.reserve(demand("during", USD, cost=100))
        assert isinstance(unseeded, Unseeded)
        await accountants.seed({USD.name: 7}, {USD.name: None}, unseeded.epoch)
        granted = await workers.reserve(demand("during", USD, cost=100))
        assert isinstance(granted, Granted)
        assert granted.levels[0].used == 107  # and this one

    run.run(out())
    assert asked == []


def test_without_redis_the_hosts_counters_decide_and_redis_when_it_is_back(
    server: kit.Redis, own: Shared, run: asyncio.Runner
) -> None:
    async def out_and_back() -> None:
        first = redis(server.url)
        both = Fallback(first, own)
        await seeded(both)
        there = await both.epoch()
        assert isinstance(await both.reserve(demand("before", USD, cost=100)), Granted)
        server.freeze()
        unseeded = await both.reserve(demand("during", USD, cost=100))
        assert isinstance(unseeded, Unseeded)
        assert unseeded.epoch == await own.epoch() != there
        await both.seed({USD.name: 0}, {USD.name: None}, unseeded.epoch)
        granted = await both.reserve(demand("during", USD, cost=100))
        assert isinstance(granted, Granted)
        assert granted.epoch == unseeded.epoch
        # What was reserved in Redis cannot be settled there: nobody counts it, and the record says so.
        assert await both.settle("before", 0, 70) == Settled("", True)
        server.thaw()
        await answers(first)
        assert await both.epoch() == there
        # What was reserved here is settled here.
        assert await both.settle("during", 0, 30) == Settled(unseeded.epoch, True)
        await both.alive("w")
        # The ledger posts both, and Redis was told of the first already.
        await both.post("before", {USD.name: 70}, {USD.name: None})
        await both.post("during", {USD.name: 30}, {USD.name: None})
        level = (await first.levels([USD]))[0]
        assert (level.used, level.reserved) == (100, 0)
        await first.close()

    run.run(out_and_back())


def test_a_reservation_whose_answer_was_lost_holds_nothing_when_redis_is_back(
    server: kit.Redis, own: Shared, run: asyncio.Runner
) -> None:
    """No phantom reservations: what was asked of a frozen Redis is carried out when it thaws."""

    async def lost() -> None:
        first = redis(server.url)
        both = Fallback(first, own)
        await seeded(both)
        await both.reserve(demand("a", PARALLEL))
        server.freeze()
        granted = await both.reserve(demand("lost", PARALLEL))
        assert isinstance(granted, Granted)
        server.thaw()
        await answers(first)
        await both.settle("lost", 0, 0)
        await both.alive("w")
        assert (await first.levels([PARALLEL]))[0].used == 1
        await first.close()

    run.run(lost())


def test_a_request_that_is_given_up_while_redis_is_asked_holds_nothing(
    server: kit.Redis, own: Shared, run: asyncio.Runner
) -> None:
    async def left() -> None:
        first = redis(server.url)
        both = Fallback(first, own)
        await both.reserve(demand("before"))  # Redis has the script now
        server.freeze()
        asking = asyncio.create_task(both.reserve(demand("left", PARALLEL)))
        await asyncio.sleep(0.05)
        asking.cancel()
        await asyncio.gather(asking, return_exceptions=True)
        server.thaw()
        await answers(first)
        await both.alive("w")
        assert (await first.levels([PARALLEL]))[0].used == 0
        await first.close()

    run.run(left())


def test_the_limits_hold_on_the_host_while_redis_is_away(server: kit.Redis, own: Shared, run: asyncio.Runner) -> None:
    async def away() -> None:
        first = redis(server.url)
        both = Fallback(first, own)
        server.stop(signal.SIGKILL)
        decisions = [await both.reserve(demand(f"{number}")) for number in range(200)]
        assert sum(isinstance(each, Granted) for each in decisions) == 60
        assert sum(isinstance(each, Refused) for each in decisions) == 140
        await first.close()

    run.run(away())
