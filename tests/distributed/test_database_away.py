"""Without Postgres nothing begins; what runs refuses keys with `profile: prod`, and else goes on with what it knows."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from aiops.demo.child import DemoProvider
from tests.distributed.replicas import ask, create, replicas, share
from tests.kit.gateway import Gateway
from tests.kit.postgres import Postgres
from tests.kit.postgres import missing as no_postgres
from tests.kit.servers import needed
from tests.kit.waiting import free_port, until

STRANGER = "sk-nobody-knows-this-one"


@pytest.fixture
def own() -> Iterator[Postgres]:
    """To be stopped."""
    needed(no_postgres())
    server = Postgres()
    try:
        yield server
    finally:
        server.remove()


def store(gateway: Gateway) -> str:
    return str(gateway.get("/_health/ready").json()["checks"]["store"])


@pytest.mark.parametrize("profile", ["dev", "prod"])
def test_while_it_is_away_prod_refuses_every_key_but_the_master_key_and_dev_only_those_it_does_not_know(
    own: Postgres, redis_url: str, profile: str
) -> None:
    with (
        DemoProvider.double(models=("alpha", "beta")) as provider,
        replicas(1, own.database(), redis_url, provider.url, profile=profile) as (gateway,),
    ):
        key = create(gateway)
        assert ask(gateway, key).status_code == 200
        own.stop()
        try:
            # One that restarts is no news, also with `profile: prod`.
            until(lambda: store(gateway) == "lost", 20, "that it is away")
            known, unknown = ask(gateway, key), ask(gateway, STRANGER)
            master = ask(gateway, gateway.key)
            down = gateway.must("down")
            refused = gateway.cli("up")
        finally:
            own.start()
        assert known.status_code == (503 if profile == "prod" else 200)
        assert (unknown.status_code, unknown.headers["retry-after"]) == (503, "1")
        if profile == "prod":
            assert known.headers["retry-after"] == "1"
        for answer in (known, unknown) if profile == "prod" else (unknown,):
            # What ails our database, and where it is, is nothing for whoever has no key.
            assert answer.json()["error"]["message"].startswith("Nobody can say now whose key sk-...")
            assert "database" not in answer.text and "127.0.0.1" not in answer.text
        assert master.status_code == 200
        assert down["outcome"] == "applied"
        assert (refused.code, refused.data["error"]["code"]) == (4, "database_unavailable")
        assert gateway.pids() == []
        gateway.must("up")
        assert ask(gateway, key).status_code == 200
        assert ask(gateway, STRANGER).status_code == 401


def test_the_first_up_is_refused_while_it_is_away(redis_url: str) -> None:
    gateway = Gateway()
    try:
        share(gateway, f"postgresql://aiops:only-for-tests@127.0.0.1:{free_port()}/aiops", redis_url)
        refused = gateway.cli("up")
        assert (refused.code, refused.data["error"]["code"]) == (4, "database_unavailable")
        assert "only-for-tests" not in refused.out + refused.err
        assert gateway.pids() == []
    finally:
        gateway.destroy()
