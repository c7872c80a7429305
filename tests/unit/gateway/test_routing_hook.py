"""LiteLLM's hooks: what they do when routing itself fails, and what they leave alone."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from aiops.gateway.worker.board import Board
from aiops.gateway.worker.call import Call, current
from aiops.gateway.worker.dispatch import Dispatch
from aiops.gateway.worker.front import let_in
from aiops.gateway.worker.slots import Slots
from aiops.spec.choosing.rules import Group, Member, PatternRule, ProviderFacts, RoutingTable, Strategy
from aiops.state.shapes import Account, Identity

routing = pytest.importorskip("aiops.gateway.worker.routing", reason="needs LiteLLM")

GROUP = Group("pool", "exact", Strategy.DIRECT, (Member("d-a", "a", "m"),))
PASSING = Group("^q", "pattern", Strategy.DIRECT, (Member("d-any", "a", None),))
TABLE = RoutingTable(
    names={"pool": GROUP}, patterns=(PatternRule("^q", PASSING),), providers={"a": ProviderFacts(1, True)}
)


class Litellm:
    def knows(self, name: str) -> bool:
        return name == "plain"

    def provider(self, name: str) -> str | None:
        return None


class Broken(Dispatch):
    async def route(self, call: Call, data: dict[str, Any]) -> bool:
        raise RuntimeError("a bug")


class Desk:
    def __init__(self, kind: type[Dispatch] = Dispatch) -> None:
        self.board = Board(TABLE, Slots(1, 1))
        self.hook = routing.RoutingHook()
        self.hook.dispatch = kind(self.board, Litellm())
        self.call = Call()

    def before(self, model: object, **more: Any) -> dict[str, Any] | None:
        return self._run(self.hook.async_pre_call_hook(None, None, {"model": model, **more}, "acompletion"))

    def asks(self, deployment: str, model: str, **more: Any) -> dict[str, Any] | None:
        kwargs = {"model": model, "model_info": {"id": deployment, "provider": "a"}, **more}
        return self._run(self.hook.async_pre_call_deployment_hook(kwargs, None))

    def _run(self, coroutine: Any) -> dict[str, Any] | None:
        token = current.set(self.call)
        try:
            found = asyncio.run(coroutine)
            assert found is None or isinstance(found, dict)
            return found
        finally:
            current.reset(token)


@pytest.fixture
def desk() -> Iterator[Desk]:
    yield Desk()


def test_a_routed_name_is_replaced(desk: Desk) -> None:
    routed = desk.before("pool")
    assert routed is not None
    assert routed["model"] == "d-a"
    assert desk.hook.routed == 1


@pytest.mark.parametrize("model", ["plain", None, 7, ""])
def test_what_litellm_can_do_alone_is_left_as_it_is(desk: Desk, model: object) -> None:
    assert desk.before(model) is None


def test_a_bug_in_routing_leaves_the_request_to_litellm_and_is_counted(caplog: pytest.LogCaptureFixture) -> None:
    desk = Desk(Broken)
    assert desk.before("pool") is None
    assert desk.board.routing_errors == 1
    assert "a bug" in caplog.text


def test_a_hidden_name_is_unknown_to_clients_and_not_to_aiops(desk: Desk) -> None:
    with pytest.raises(Exception, match="Invalid model name"):
        desk.before("aiops:a")
    desk.call.private = True
    assert desk.before("aiops:a") is None


def test_the_requested_name_is_passed_on_once_however_often_litellm_wraps_the_call(desk: Desk) -> None:
    desk.before("qwen-unlisted")
    asked = desk.asks("d-any", "hosted_vllm/any-model")
    assert asked is not None
    assert asked["model"] == "hosted_vllm/qwen-unlisted"
    assert desk.asks("d-any", "qwen-unlisted") is None
    assert desk.board.in_flight("a") == 1


def test_a_deployment_with_a_model_of_its_own_keeps_it(desk: Desk) -> None:
    desk.before("pool")
    assert desk.asks("d-a", "openai/m") is None
    assert desk.board.in_flight("a") == 1


def test_a_mocked_request_never_reached_a_provider(desk: Desk) -> None:
    desk.before("pool")
    desk.asks("d-a", "openai/m", mock_response="ok")
    assert desk.board.in_flight("a") == 0


def test_several_models_at_once_are_not_mistaken_for_fallbacks(desk: Desk) -> None:
    context: list[Call | None] = []

    async def ask() -> None:
        await desk.hook.async_pre_call_hook(None, None, {"model": "plain,pool"}, "acompletion")
        context.append(current.get())

    desk._run(ask())
    assert context == [None]


def test_hidden_names_are_left_out_of_lists(desk: Desk) -> None:
    kept = asyncio.run(desk.hook.async_filter_listed_models(None, ["pool", "aiops:a", "plain"]))
    assert list(kept) == ["pool", "plain"]


def test_a_name_that_only_litellm_found_in_the_body_is_looked_at_once_more(desk: Desk) -> None:
    """No difference between two readers of a body leads to a model that the key may not ask for."""
    account = Account(kind="key", id="k", models=("plain",))
    whose = Identity(id="k", hash="h", name="sk-...abcd", alias=None, accounts=(account,))
    token = let_in.current.set(let_in.LetIn(whose, "/v1/chat/completions", ("plain",)))
    try:
        assert desk.before("plain") is None
        with pytest.raises(routing.ProxyException) as refused:
            desk.before("pool")
        assert (str(refused.value.code), refused.value.type) == ("403", "key_model_access_denied")
    finally:
        let_in.current.reset(token)
    assert desk.before("pool") is not None


class Router:
    """LiteLLM's, of which a deployment has 20 s, and 10 s for the next piece of a stream."""

    timeout, stream_timeout = 600.0, None

    def get_deployment(self, model_id: str) -> Any:
        params = (
            SimpleNamespace(timeout=20, stream_timeout="10") if model_id == "d-a" else SimpleNamespace(timeout=None)
        )
        return SimpleNamespace(litellm_params=params)


@pytest.mark.parametrize(
    ("said", "deployment", "stream", "impatient"),
    [
        ({}, "d-a", False, False),
        ({"timeout": 0.01}, "d-a", False, True),
        ({"request_timeout": 19}, "d-a", False, True),
        ({"timeout": 20}, "d-a", False, False),
        ({"timeout": 20, "stream_timeout": 5}, "d-a", True, True),
        ({"timeout": 15}, "d-a", True, False),
        ({"timeout": "abc"}, "d-a", False, True),
        ({"timeout": 30}, "d-other", False, True),
        ({"timeout": 600}, "d-other", False, False),
    ],
)
def test_whose_client_waits_less_than_the_operator_lets_a_provider_take_is_known(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, said: dict[str, Any], deployment: str, stream: bool, impatient: bool
) -> None:
    monkeypatch.setattr(routing.proxy_server, "llm_router", Router())
    desk.before("pool", **said)
    desk.asks(deployment, "openai/m", stream=stream)
    assert desk.call.impatient is impatient
