"""Which lane a request takes, and how it goes from one to the other."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

import pytest

from aiops.gateway.worker import probing
from aiops.gateway.worker.call import State
from aiops.gateway.worker.front import let_in
from aiops.gateway.worker.lanes.read_by_litellm import FIELDS, PREFIXES
from aiops.gateway.worker.limits import Limits, meters
from aiops.spec.choosing.rules import QueueFacts
from aiops.state.counters.shared import Shared
from tests.unit.gateway.front.place import identity
from tests.unit.gateway.lanes.lane import Lane, chat, lane, said
from tests.unit.gateway.lanes.server import server, whole

WELL, ILL = whole(said()), whole(b"", 500)


def run(what: Coroutine[Any, Any, None]) -> None:
    asyncio.run(what)


@pytest.mark.parametrize(
    ("body", "path", "headers"),
    [
        *((chat(**{field: 1}), "/v1/chat/completions", {}) for field in ("timeout", "cache", "guardrails", "tags")),
        *((chat(**{field: 1}), "/v1/chat/completions", {}) for field in ("litellm_x", "mock_response", "_x")),
        (chat(metadata={"a": "b"}), "/v1/chat/completions", {}),
        (chat(fallbacks=["beta"]), "/v1/chat/completions", {}),
        (chat("alpha,beta"), "/v1/chat/completions", {}),
        (chat("nobody"), "/v1/chat/completions", {}),
        (chat(), "/v1/chat/completions", {"x-litellm-timeout": "5"}),
        (chat(), "/openai/deployments/alpha/chat/completions", {}),
        ({"model": "alpha", "input": "x"}, "/v1/moderations", {}),
        ({"model": "alpha", "input": "x"}, "/v1/responses", {}),
        ({"model": "alpha", "input": "x", "store": False, "previous_response_id": "r"}, "/v1/responses", {}),
        (chat(), "/messages", {}),
    ],
)
def test_what_litellm_reads_or_serves_is_litellms(body: Any, path: str, headers: dict[str, str]) -> None:
    async def act() -> None:
        async with server(WELL) as one, lane(one.url) as place:
            await place.ask(body, path, headers=headers)
            assert not one.asked
            assert len(place.litellm.calls) == 1
            assert place.call.planned is None

    run(act())


@pytest.mark.parametrize(
    ("body", "path"),
    [
        (chat(user="me", unknown_field=1), "/v1/chat/completions"),
        (chat(), "/chat/completions"),
        ({"model": "alpha", "prompt": "x"}, "/v1/completions"),
        ({"model": "alpha", "input": "x"}, "/v1/embeddings"),
        ({"model": "alpha", "query": "x", "documents": ["y"]}, "/v1/rerank"),
        ({"model": "alpha", "input": "x", "store": False, "metadata": {"a": "b"}}, "/v1/responses"),
        (chat(max_tokens=1, metadata={"user_id": "u"}), "/v1/messages"),
    ],
)
def test_what_its_provider_understands_goes_there(body: Any, path: str) -> None:
    async def act() -> None:
        async with server(WELL) as one, lane(one.url) as place:
            answer = await place.ask(body, path)
            assert answer.status == 200
            assert one.asked[0].line == f"POST /v1/{path.removeprefix('/v1/').strip('/')} HTTP/1.1"
            assert not place.litellm.calls

    run(act())


def test_clients_of_anthropics_that_ask_for_its_newest_are_passed_on() -> None:
    async def act() -> None:
        async with server(WELL) as one, lane(one.url, of={"d1": {"wire": "anthropic"}}) as place:
            await place.ask(chat(max_tokens=1), "/v1/messages", query=b"beta=true", headers={"anthropic-beta": "x"})
            assert one.asked[0].line == "POST /v1/messages?beta=true HTTP/1.1"
            assert one.asked[0].headers["anthropic-beta"] == "x"
            await place.ask(chat(), query=b"api-version=1")
            assert len(one.asked) == len(place.litellm.calls) == 1

    run(act())


@pytest.mark.parametrize(
    ("kind", "path", "body"),
    [
        ("application/x-www-form-urlencoded", "/v1/chat/completions", b"model=alpha&prompt=x"),
        (
            "multipart/form-data; boundary=x",
            "/v1/completions",
            b'--x\r\nContent-Disposition: form-data; name="model"\r\n\r\nalpha\r\n--x--\r\n',
        ),
    ],
)
def test_a_form_that_has_to_become_json_is_litellms(kind: str, path: str, body: bytes) -> None:
    async def act() -> None:
        async with server(WELL) as one, lane(one.url) as place:
            await place.ask(body, path, content_type=kind)
            assert place.litellm.calls and not one.asked

    run(act())


def test_a_form_with_sound_goes_there_as_it_is_with_the_providers_name() -> None:
    async def act() -> None:
        form = b'--x\r\nContent-Disposition: form-data; name="model"\r\n\r\nalpha\r\n--x--\r\n'
        async with server(whole({"text": "said"})) as one, lane(one.url) as place:
            kind = "multipart/form-data; boundary=x"
            answer = await place.ask(form, "/v1/audio/transcriptions", content_type=kind)
            assert answer.json == {"text": "said"}
            assert one.asked[0].body == form.replace(b"alpha", b"alpha-there")
            assert one.asked[0].headers["content-type"] == kind

    run(act())


def test_json_under_another_name_is_sent_as_json() -> None:
    async def act() -> None:
        async with server(WELL) as one, lane(one.url) as place:
            await place.ask(content_type="text/plain")
            assert one.asked[0].headers["content-type"] == "application/json"

    run(act())


def test_every_field_that_litellm_takes_for_itself_is_in_the_list() -> None:
    from litellm.types.utils import all_litellm_params

    from aiops.gateway.worker.front.asked import _PRICES

    unknown = {name for name in all_litellm_params if not name.startswith(PREFIXES) and not _PRICES.fullmatch(name)}
    assert unknown - FIELDS == {"tiered_pricing"} - FIELDS


def test_a_chat_that_litellm_would_put_right_is_litellms() -> None:
    async def act() -> None:
        async with server(WELL) as one, lane(one.url) as place:
            await place.ask(
                chat(messages=[{"role": "user", "content": [{"type": "image_url", "image_url": "http://h/x"}]}])
            )
            assert not one.asked and len(place.litellm.calls) == 1

    run(act())


def test_every_field_of_openais_is_passed_on() -> None:
    from litellm.constants import OPENAI_CHAT_COMPLETION_PARAMS

    of_the_client = {
        *("request_timeout", "timeout", "max_retries", "api_base", "base_url", "api_version", "api_key"),
        *("deployment_id", "organization", "default_headers", "extra_headers"),
    }
    assert set(OPENAI_CHAT_COMPLETION_PARAMS) & FIELDS == of_the_client


def test_a_request_crosses_when_the_next_one_needs_litellm() -> None:
    async def act() -> None:
        async with (
            server(ILL) as one,
            server(WELL) as two,
            server(WELL) as three,
            lane(one.url, two.url, three.url, of={"d2": None}) as place,
        ):
            answer = await place.ask(chat("pool"))
            ((call, body),) = place.litellm.calls
            assert call.planned == ["d2", "d3"]
            assert body.startswith(b'{"model": "pool"')
            assert call is place.call and call.attempts == 1
            assert answer.status == 200
            assert not two.asked and not three.asked
            data: dict[str, Any] = {"model": "pool"}
            assert await place.dispatch.route(call, data)
            assert data == {"model": "d2", "fallbacks": ["d3"]}

    run(act())


def test_a_request_that_begins_with_litellm_stays_there_and_nobody_loses_a_turn() -> None:
    async def act() -> None:
        async with server(WELL) as one, server(WELL) as two, lane(one.url, two.url, of={"d1": None}) as place:
            await place.ask(chat("pool"))
            assert place.call.planned == ["d1", "d2"]
            assert place.call.rule == b"exact pool"
            await place.ask(chat("alpha"))
            assert place.call.planned is None, "plain names LiteLLM knows by itself"
            assert not one.asked and not two.asked

    run(act())


def test_who_was_tried_before_the_crossing_is_counted_in_the_answer() -> None:
    async def act() -> None:
        async with server(ILL) as one, server(WELL) as two, lane(one.url, two.url, of={"d2": None}) as place:

            async def app(scope: Any, receive: Any, send: Any) -> None:
                place.board.begin(place.now(), "d2", "p2")
                head = [(b"content-type", b"application/json"), (b"x-litellm-attempted-fallbacks", b"0")]
                await send({"type": "http.response.start", "status": 200, "headers": head})
                await send({"type": "http.response.body", "body": b"{}"})

            place.extension._app = app
            answer = await place.ask(chat("pool"))
            assert answer.headers["x-litellm-attempted-fallbacks"] == "1"
            assert answer.headers["x-aiops-lane"] == "litellm"
            assert answer.headers["x-aiops-provider"] == "p2"
            assert place.ended is State.ANSWERING

    run(act())


def test_when_litellm_fails_too_the_first_reason_is_said() -> None:
    async def act() -> None:
        say = whole({"error": {"message": "mine", "type": "t"}}, 503)
        async with server(say) as one, server(WELL) as two, lane(one.url, two.url, of={"d2": None}) as place:
            place.litellm.status = 500
            answer = await place.ask(chat("pool"))
            assert (answer.status, answer.error["message"]) == (503, "mine")
            assert answer.body.count(b"LiteLLM") == 0

    run(act())


def test_when_choosing_fails_litellm_chooses(monkeypatch: pytest.MonkeyPatch) -> None:
    async def act() -> None:
        async with server(WELL) as one, lane(one.url) as place:

            async def order(*_: Any) -> list[str]:
                raise ZeroDivisionError

            monkeypatch.setattr(place.dispatch, "order", order)
            assert (await place.ask(chat("pool"))).status == 200
            assert place.litellm.calls and place.board.routing_errors == 1

    run(act())


def test_a_table_that_says_litellm_is_obeyed() -> None:
    async def act() -> None:
        async with server(WELL) as one, lane(one.url, mode="litellm") as place:
            await place.ask()
            assert not one.asked and place.litellm.calls

    run(act())


# --- aiops' own proofs, limits and queues ---------------------------------------------------------------------------


@pytest.mark.parametrize("model", ["pool", "alpha"])
def test_a_probe_that_makes_the_first_one_fail_proves_the_next(model: str) -> None:
    async def act() -> None:
        plain = {"alpha": {"fallbacks": ("beta",)}}
        async with server(WELL) as one, server(WELL) as two, lane(one.url, two.url, plain=plain) as place:
            probing.current.set(probing.Probe(probing.FAIL))
            answer = await place.ask(chat(model))
            assert (answer.status, answer.headers["x-aiops-provider"]) == (200, "p2")
            assert not one.asked

    run(act())


def test_a_probe_that_wants_no_provider_is_litellms() -> None:
    async def act() -> None:
        async with server(WELL) as one, lane(one.url) as place:
            probing.current.set(probing.Probe(probing.MOCK))
            await place.ask()
            assert not one.asked and place.litellm.calls

    run(act())


async def limited(place: Lane, tmp_path: Any) -> None:
    limits = Limits({"d1": meters("alpha", 1, None)}, Shared(tmp_path / "counters"), "1.1", print)
    place.lanes._direct._attempts._limits = limits


def test_a_full_limit_of_a_model_leads_to_the_next_one_and_else_says_when(tmp_path: Any) -> None:
    async def act() -> None:
        async with server(WELL) as one, server(WELL) as two, lane(one.url, two.url) as place:
            await limited(place, tmp_path)
            let_in.current.set(let_in.LetIn(identity(), "/v1/chat/completions", ("alpha",), 5))
            assert (await place.ask(chat("pool"))).headers["x-aiops-provider"] == "p1"
            assert place.call.held is not None
            await place.call.held.settle(3)
            assert (await place.ask(chat("pool"))).headers["x-aiops-provider"] == "p2"
            answer = await place.ask(chat("alpha"))
            assert answer.status == 429
            wait = answer.headers["retry-after"]
            limit = "this model is limited to 1 request in 60 seconds"
            assert answer.error["message"] == f"{limit}; ask again in {wait} s"
            assert answer.error["type"] == "rate_limit_error"
            assert len(one.asked) == 1
            assert not place.board.errors

    run(act())


def test_a_proof_is_no_traffic(tmp_path: Any) -> None:
    async def act() -> None:
        async with server(WELL) as one, lane(one.url) as place:
            await limited(place, tmp_path)
            probing.proof.set(True)
            assert [(await place.ask()).status for _ in range(3)] == [200] * 3

    run(act())


def test_a_request_waits_for_a_slot_and_is_turned_away_when_there_is_none() -> None:
    async def act() -> None:
        go_on = asyncio.Event()

        async def slowly(asked: Any, writer: Any) -> None:
            await go_on.wait()
            await WELL(asked, writer)

        async with server(slowly) as one, lane(one.url, queue=QueueFacts(1, 5.0)) as place:
            first = asyncio.create_task(place.lanes_only(chat()))
            while not one.asked:
                await asyncio.sleep(0.005)
            second = asyncio.create_task(place.lanes_only(chat()))
            while not place.dispatch.queue.waiting("p1"):
                await asyncio.sleep(0.005)
            third = await place.lanes_only(chat())
            assert third.status == 429
            assert third.headers["x-aiops-queue-estimate"] == third.headers["retry-after"]
            assert "all slots of `p1` are taken" in third.error["message"]
            assert len(one.asked) == 1
            go_on.set()
            assert (await first).headers["x-aiops-queue-seconds"] == "0.000"
            assert float((await second).headers["x-aiops-queue-seconds"]) > 0
            assert place.in_flight() == 0

    run(act())
