"""One word for how things are, and why."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

import pytest

from aiops.actions.route.live import ProviderState
from aiops.actions.service.health import Health, dead_providers, judge
from aiops.spec.routes.routes import Route, RouteTable, Unrouted

TABLE = RouteTable((Route("chat", "cards", "m", ("code",)), Route("code", "cloud", "c"), Route("embed", "cards", "e")))


def facts(url: str, status: str = "active") -> dict[str, Any]:
    return {"type": "vllm", "url": url, "status": status}


PROVIDERS = {"cards": facts("http://10.0.0.7:8000"), "cloud": facts("https://api.example.com")}


def state(provider: str, errors: int = 0, avoided: str | None = None, ago: float | None = None) -> ProviderState:
    return ProviderState(provider, 0, 4, errors, True, avoided, 12.0 if avoided else 0.0, ago)


def dead(*told: ProviderState, refused: Mapping[tuple[str, int], str] | None = None) -> dict[str, str]:
    def reach(addresses: Collection[tuple[str, int]]) -> Mapping[tuple[str, int], str]:
        assert addresses == {("10.0.0.7", 8000)}, "only who is near is knocked at"
        return refused or {}

    return dead_providers(TABLE, PROVIDERS, told, reach)


def health(
    gateway: str = "running",
    serves: bool = True,
    dead: Mapping[str, str] | None = None,
    table: RouteTable = TABLE,
    providers: Mapping[str, Any] = PROVIDERS,
    unproved: Collection[str] = (),
) -> Health:
    return judge(gateway, serves, (), table, providers, dead or {}, unproved)


def test_all_is_well_when_every_name_is_answered_by_its_own() -> None:
    assert health() == Health("ok")


def test_a_dead_provider_is_named_with_what_others_answer_and_what_nobody_does() -> None:
    found = health(dead={"cards": "10.0.0.7:8000: connection refused"})
    [why] = found.why
    assert found.word == "degraded"
    assert why == (
        "provider cards does not answer (10.0.0.7:8000: connection refused): others answer chat, nobody answers embed"
    )


def test_it_is_down_when_nobody_answers_any_name() -> None:
    found = health(dead={"cards": "refused", "cloud": "its latest requests all failed"})
    assert (found.word, found.why[0]) == ("down", "nobody answers any model")


@pytest.mark.parametrize(("gateway", "serves"), [("stopped", False), ("starting", False), ("degraded", False)])
def test_a_gateway_that_serves_nothing_is_down(gateway: str, serves: bool) -> None:
    assert health(gateway, serves) == Health("down", (f"the gateway is {gateway}",))


def test_a_disabled_provider_counts_when_its_names_are_answered_by_others_or_by_nobody() -> None:
    table = RouteTable(
        (Route("chat", "cloud", "c", substitute_for="cards"), Route("code", "cloud", "c")),
        (Unrouted("embed", "cards", "cards is disabled"),),
    )
    off = {"cards": facts("http://10.0.0.7:8000", "disabled"), "cloud": PROVIDERS["cloud"]}
    found = health(table=table, providers=off)
    assert found == Health("degraded", ("provider cards is disabled: others answer chat, nobody answers embed",))
    nothing_of_it = RouteTable((Route("code", "cloud", "c"),))
    assert health(table=nothing_of_it, providers=off).word == "ok"


def test_a_provider_that_serves_without_a_proof_is_said() -> None:
    assert health(unproved=("cards",)) == Health("degraded", ("cards is served unproved",))


def test_a_gateway_without_any_model_is_as_it_should_be() -> None:
    assert health(table=RouteTable(), providers={}).word == "ok"


def test_who_is_near_is_dead_when_nobody_listens_there() -> None:
    found = dead(refused={("10.0.0.7", 8000): "connection refused"})
    assert found == {"cards": "10.0.0.7:8000: connection refused"}


def test_who_is_avoided_or_failed_several_times_lately_is_dead() -> None:
    assert dead(state("cloud", avoided="it limits requests")) == {"cloud": "avoided for a while: it limits requests"}
    assert dead(state("cloud", errors=3, ago=20.0)) == {"cloud": "its latest requests all failed"}
    assert dead(state("cloud", errors=2, ago=20.0)) == {}, "it may have been the requests"
    assert dead(state("cloud", errors=3, ago=301.0)) == {}, "nobody has asked since"
    assert dead(state("elsewhere", errors=9, ago=1.0)) == {}, "nothing is routed to it"
