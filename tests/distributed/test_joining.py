"""A gateway with keys of its own joins a database that others use: its keys come along, and no name is taken twice."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from aiops.demo.child import DemoProvider
from tests.distributed.replicas import ask, asked_all_the_time, create, replicas, secret, standalone
from tests.kit.gateway import Gateway
from tests.kit.postgres import Postgres
from tests.kit.waiting import until


@pytest.fixture
def there(postgres: Postgres, redis_url: str, provider: DemoProvider) -> Iterator[tuple[Gateway, str]]:
    """One that shares its database already, and the URL of that."""
    url = postgres.database()
    with replicas(1, url, redis_url, provider.url) as (made,):
        yield made, url


@pytest.fixture
def alone(provider: DemoProvider) -> Iterator[Gateway]:
    with standalone(provider.url) as made:
        yield made


def test_names_that_are_there_twice_are_refused_and_then_its_keys_come_along_while_both_are_asked(
    there: tuple[Gateway, str], alone: Gateway, redis_url: str
) -> None:
    first, url = there
    theirs = create(first, "--alias", "ci")
    first.must("teams", "create", "research")
    mine = create(alone, "--alias", "ci", "--max-budget", 100)
    alone.must("teams", "create", "research")
    assert ask(alone, mine).status_code == 200
    assert ask(first, mine).status_code == 401

    files = (
        *("--database-url-file", secret(alone.home / "the-database-url", url)),
        *("--redis-url-file", secret(alone.home / "the-redis-url", redis_url)),
    )
    before = alone.snapshot()
    refused = alone.cli("scale-out", *files)
    assert refused.code == 4
    assert sorted(refused.message.splitlines()) == [
        "the key of the name `ci` is there already",
        "the team of the name `research` is there already",
    ]
    assert "keys update NAME --alias OTHER`" in refused.hint
    assert alone.snapshot() == before
    assert ask(alone, mine).status_code == 200
    create(alone, "--alias", "nothing-is-frozen")

    alone.must("keys", "update", "ci", "--alias", "ci-of-the-second")
    alone.must("teams", "update", "research", "--alias", "research-of-the-second")
    with asked_all_the_time(first, theirs) as of_the_first, asked_all_the_time(alone, mine) as of_the_second:
        assert alone.must("scale-out", *files)["outcome"] == "applied"
    assert (set(of_the_first), set(of_the_second)) == ({200}, {200})

    assert (ask(first, mine).status_code, ask(alone, theirs).status_code) == (200, 200)
    asked = {"ci": of_the_first[200] + 1, "ci-of-the-second": of_the_second[200] + 3}
    for gateway in (first, alone):
        until(lambda: gateway.cli("usage", "prove").data["ok"], 20, "ledger = counters")  # noqa: B023
    for gateway in (first, alone):
        for alias, requests in asked.items():
            (found,) = gateway.must("usage", "--by", "key", "--key", alias)["usage"]
            assert found["requests"] == requests, (gateway.port, alias)
    aliases = {each["key_alias"] for each in first.must("keys", "list")["keys"]}
    assert aliases == {"ci", "ci-of-the-second", "nothing-is-frozen"}

    joined = alone.snapshot()
    kept = alone.cli("scale-in")
    assert (kept.code, "other gateways live on the same database: box-1" in kept.message) == (4, True)
    assert "`aiops" in kept.hint and "down` there first" in kept.hint
    assert alone.snapshot() == joined
