"""The response cache on a real Redis: whose answers they are, how many, how long, and what happens without it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest

from aiops.demo.child import DemoProvider
from aiops.state.answers.kept import Kept
from aiops.state.counters.pool import Pool
from tests.distributed.replicas import ask, create, replicas
from tests.docs.console import Shell, commands
from tests.kit import redis as kit
from tests.kit.gateway import Gateway
from tests.kit.postgres import Postgres
from tests.kit.servers import needed
from tests.kit.waiting import until
from tests.kit.warm.product import BIN, ROOT

MIB = 1 << 20
COMMENTED = "# cache:\n#   ttl: 300\n#   most_bytes: 268435456\n"
CHAT = "/v1/chat/completions"


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


def kept(server: kit.Redis, lines: list[str] | None = None, *, ttl: float = 60, most: int = MIB) -> Kept:
    return Kept(server.url, ttl, most, (lines if lines is not None else []).append)


async def there(store: Kept, name: str) -> bytes | None:
    """Asked until it is answered: the first question of a busy machine may be given up."""
    async with asyncio.timeout(20):
        while (found := await store.get(name)) is None:
            await asyncio.sleep(0.05)
    return found


async def well(store: Kept) -> None:
    await store.put("a sign", b"1")
    await there(store, "a sign")


# --- the store --------------------------------------------------------------------------------------------------------


def test_all_that_is_kept_is_never_more_than_the_bound_and_the_oldest_goes_first(
    server: kit.Redis, run: asyncio.Runner
) -> None:
    import redis

    store = kept(server)

    async def story() -> None:
        for number in range(30):
            await store.put(f"answer-{number:02}", bytes(100_000))
        await there(store, "answer-29")
        await store.put("too large", bytes(MIB))
        await store.close()

    run.run(story())
    seen = redis.Redis(port=server.port)
    names = sorted(key.decode().rpartition(":")[2] for key in seen.keys("aiops:answers:a:*"))
    assert names == [f"answer-{number}" for number in range(20, 30)], "ten of 100 kB are a MiB"
    assert int(seen.get("aiops:answers:bytes")) == sum(map(int, seen.hgetall("aiops:answers:sizes").values())) <= MIB
    assert {seen.pttl(f"aiops:answers:{book}") > 60_000 for book in ("ages", "sizes", "bytes")} == {True}


def test_what_has_ended_makes_room_and_an_answer_that_is_kept_again_counts_once(
    server: kit.Redis, run: asyncio.Runner
) -> None:
    import redis

    short, long = kept(server, ttl=0.2), kept(server)

    async def story() -> None:
        for number in range(5):
            await short.put(f"short-{number}", bytes(1000))
        await asyncio.sleep(0.5)
        for _ in range(3):
            await long.put("long", bytes(1000))
        await there(long, "long")
        assert await long.get("short-0") is None
        for store in (short, long):
            await store.close()

    run.run(story())
    assert set(redis.Redis(port=server.port).hgetall("aiops:answers:sizes")) == {b"long"}


class Counting(Pool):
    """``asked``: how often Redis was, by requests and by probes."""

    asked = 0

    async def command(self, *words: Any) -> Any:
        Counting.asked += 1
        return await super().command(*words)


def test_a_redis_that_is_frozen_holds_one_request_up_for_a_moment_and_the_others_not_at_all(
    server: kit.Redis, run: asyncio.Runner, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("aiops.state.answers.kept.Pool", Counting)
    lines: list[str] = []
    store = kept(server, lines)

    async def story() -> int:
        await store.put("name", b"answer")
        assert await there(store, "name") == b"answer"
        server.freeze()
        before = Counting.asked
        assert [await store.get("name") for _ in range(200)] == [None] * 200
        asked = Counting.asked - before
        server.thaw()
        assert await there(store, "name") == b"answer", "without being made anew"
        await store.close()
        return asked

    assert run.run(story()) == 1, "the first finds out, and nobody else asks"
    assert [line.rpartition(" cannot be used: ")[2] for line in lines if "cannot" in line] == ["no answer within 20 ms"]
    assert "the response cache" in lines[0] and lines[-1].endswith("answers again")


def test_a_redis_that_is_gone_is_no_answer_and_is_used_again_when_it_is_back(
    server: kit.Redis, run: asyncio.Runner
) -> None:
    store = kept(server)

    async def story() -> None:
        await well(store)
        await asyncio.to_thread(server.stop)
        assert await store.get("a sign") is None
        await store.put("a sign", b"2")
        await asyncio.to_thread(server.start)
        async with asyncio.timeout(20):
            while await store.get("a sign") is None:
                await asyncio.sleep(0.05)
                await store.put("a sign", b"3")
        await store.close()

    run.run(story())


# --- two gateways -----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def two(stores: tuple[Postgres, kit.Redis], provider: DemoProvider) -> Iterator[list[Gateway]]:
    postgres, redis = stores
    with replicas(2, postgres.database(), redis.url, provider.url) as made:
        for gateway in made:
            gateway.edit("aiops.yaml", COMMENTED, "cache: {ttl: 300}\n")
            gateway.must("apply")
        yield made


def said(gateway: Gateway, key: str, text: str, **more: Any) -> httpx.Response:
    return ask(gateway, key, messages=[{"role": "user", "content": text}], **more)


def hit(gateway: Gateway, key: str, text: str, **more: Any) -> httpx.Response:
    """Its answer, once it is kept."""
    return until(
        lambda: answer if (answer := said(gateway, key, text, **more)).headers["x-cache"] == "hit" else None,
        20,
        "a hit",
    )


def test_two_keys_never_share_an_answer_and_one_key_does_over_all_gateways(two: list[Gateway]) -> None:
    """Each answer of the double has an id of its own, so that whose it was can be told."""
    text = "who shares this?"
    keys = {"ann": create(two[0]), "bob": create(two[0]), "master": ""}
    seen: dict[str, set[str]] = {name: set() for name in keys}

    def look(gateway: Gateway, name: str, key: str) -> str:
        answer = said(gateway, key or gateway.key, text)
        assert answer.status_code == 200
        how, id = answer.headers["x-cache"], answer.json()["id"]
        assert (id in seen[name]) == (how == "hit"), "a hit is what this key was told before, at whichever gateway"
        seen[name].add(id)
        return str(how)

    for name, key in keys.items():
        assert look(two[0], name, key) == "miss", "the same was answered to the others already"
        for gateway in (two[1], two[0]):
            until(lambda: look(gateway, name, key) == "hit", 20, "a hit")  # noqa: B023
    ann, bob, master = seen.values()
    assert not ann & bob and not bob & master and not master & ann


def test_a_hit_costs_nothing_is_counted_and_is_in_the_ledger_as_what_it_is(two: list[Gateway]) -> None:
    key, text = create(two[0], "--alias", "thrifty", "--max-budget", 10), "what does this cost?"
    assert said(two[0], key, text).status_code == 200
    hit(two[0], key, text)

    def rows() -> list[dict[str, Any]]:
        found = httpx.get(f"{two[0].url}/spend/logs", params={"api_key": key}, headers=two[0].auth, trust_env=False)
        return list(found.json())

    until(lambda: any(row["cache_hit"] == "True" for row in rows()), 20, "its row")
    free = [row for row in rows() if row["cache_hit"] == "True"]
    paid = [row for row in rows() if row["cache_hit"] == "False"]
    assert {(row["spend"], row["total_tokens"], row["status"]) for row in free} == {(0.0, 0, "success")}
    assert paid and all(row["spend"] > 0 and row["total_tokens"] > 0 for row in paid)
    assert until(lambda: two[0].cli("usage", "prove").data["ok"], 20, "ledger = counters")


def test_a_stream_of_the_openai_client_comes_again_as_it_was(two: list[Gateway]) -> None:
    key = create(two[0])
    client = openai.OpenAI(base_url=f"{two[0].url}/v1", api_key=key, max_retries=0)

    def streamed() -> tuple[str | None, list[str]]:
        answer = client.chat.completions.with_raw_response.create(
            model="alpha", messages=[{"role": "user", "content": "stream this"}], max_tokens=8, stream=True
        )
        return answer.headers.get("x-cache"), [piece.model_dump_json() for piece in answer.parse()]

    how, first = streamed()
    assert how == "miss" and len(first) > 2
    again = until(lambda: found if (found := streamed())[0] == "hit" else None, 20, "a hit")
    assert again[1] == first


def test_a_client_that_wants_a_new_answer_gets_one(two: list[Gateway]) -> None:
    key = create(two[0])
    client = openai.OpenAI(base_url=f"{two[0].url}/v1", api_key=key, max_retries=0)

    def asked_anew(**headers: str) -> str:
        answer = client.chat.completions.create(
            model="alpha", messages=[{"role": "user", "content": "once more"}], max_tokens=4, extra_headers=headers
        )
        return answer.id

    first = asked_anew()
    until(lambda: asked_anew() == asked_anew(), 20, "a hit")
    assert asked_anew(**{"cache-control": "no-store"}) != asked_anew()
    assert asked_anew(**{"cache-control": "no-cache"}) != first


def test_limits_and_budgets_are_proved_with_answers_of_models(two: list[Gateway]) -> None:
    """Those that are kept cost nothing: no budget was ever spent by them."""
    done = two[0].cli("verify", "--suite", "distributed")
    checks = {check["id"]: check for check in done.data["checks"]}
    assert (done.code, [check for check in checks.values() if check["status"] == "fail"]) == (0, [])
    assert {checks[id]["status"] for id in ("budget:spent", "budget:refused", "usage:rows")} == {"pass"}


@pytest.mark.shows("aiops.yaml: cache.ttl")
def test_an_answer_ends_with_its_time(two: list[Gateway]) -> None:
    gateway, key = two[0], create(two[0])
    gateway.edit("aiops.yaml", "cache: {ttl: 300}", "cache: {ttl: 2}")
    gateway.must("apply")
    try:
        said(gateway, key, "for how long?")
        hit(gateway, key, "for how long?")
        until(lambda: said(gateway, key, "for how long?").headers["x-cache"] == "miss", 20, "its end")
    finally:
        gateway.edit("aiops.yaml", "cache: {ttl: 2}", "cache: {ttl: 300}")
        gateway.must("apply")


def test_an_answer_outlives_its_generation_until_its_model_leads_elsewhere(two: list[Gateway]) -> None:
    gateway, key, text = two[0], create(two[0]), "which generation?"
    said(gateway, key, text)
    first = hit(gateway, key, text)
    gateway.edit("aiops.yaml", "cache: {ttl: 300}", "cache: {ttl: 301}")
    gateway.must("apply")
    assert hit(gateway, key, text).json() == first.json()
    written = gateway.source("providers.yaml").read_text()
    price = "    cost_per_1k_tokens: 1.0\n"
    gateway.edit("providers.yaml", price, f"{price}    options: {{temperature: 0.5}}\n")
    gateway.must("apply")
    try:
        assert said(gateway, key, text).headers["x-cache"] == "miss"
    finally:
        gateway.source("providers.yaml").write_text(written)
        gateway.edit("aiops.yaml", "cache: {ttl: 301}", "cache: {ttl: 300}")
        gateway.must("apply")


@pytest.mark.shows("aiops.yaml: cache.most_bytes")
def test_a_gateway_keeps_no_more_than_it_is_told(two: list[Gateway], stores: tuple[Postgres, kit.Redis]) -> None:
    import redis

    gateway, key = two[0], create(two[0])
    seen = redis.Redis.from_url(stores[1].url)
    gateway.edit("aiops.yaml", "cache: {ttl: 300}", f"cache: {{ttl: 300, most_bytes: {MIB}}}")
    gateway.must("apply")
    try:
        seen.delete("none", *seen.keys("aiops:answers:*"))
        said(gateway, key, "is there room?")
        hit(gateway, key, "is there room?")
        seen.set("aiops:answers:bytes", MIB)  # as if it were full
        said(gateway, key, "is there room now?")
        hit(gateway, key, "is there room now?")
        assert said(gateway, key, "is there room?").headers["x-cache"] == "miss", "it gave way"
    finally:
        seen.delete(*seen.keys("aiops:answers:*"))
        gateway.edit("aiops.yaml", f", most_bytes: {MIB}", "")
        gateway.must("apply")


def test_without_redis_every_request_is_asked_and_answered(
    two: list[Gateway], stores: tuple[Postgres, kit.Redis]
) -> None:
    _, redis = stores
    key, text = create(two[0]), "without Redis?"
    said(two[0], key, text)
    hit(two[0], key, text)
    redis.freeze()
    try:
        for _ in range(3):
            answer = said(two[0], key, text)
            assert (answer.status_code, answer.headers["x-cache"]) == (200, "miss")
    finally:
        redis.thaw()
    hit(two[0], key, text)


def test_every_command_of_the_page(two: list[Gateway], tmp_path: Path) -> None:
    gateway = two[1]
    gateway.edit("aiops.yaml", "cache: {ttl: 300}\n", "")
    gateway.must("apply")
    env = {**gateway.env, "PATH": f"{BIN}:{gateway.env['PATH']}", "AIOPS_HOME": str(gateway.home)}
    shell = Shell(tmp_path, {**env, "PORT": str(gateway.port)})
    with DemoProvider.double(models=("tiny-random",)) as quickstart:
        gateway.add("demo", quickstart.url, "tiny-random")
        for command in commands((ROOT / "docs" / "response-cache.md").read_text()):
            shell.run(command)
        gateway.must("remove-provider", "demo", "--force")
