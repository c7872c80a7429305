"""A provider that does not answer: who is asked in its place, how often, and what is said when nobody does."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Coroutine
from typing import Any

import pytest

from aiops.gateway.worker.call import State
from aiops.spec.lanes.table import Retries
from tests.unit.gateway.lanes.lane import chat, chunk, lane, said
from tests.unit.gateway.lanes.server import Say, event, hang_up, nothing, pieces, raw, server, whole

ROLE, FIRST, SECOND = event(chunk(role="assistant", content="")), event(chunk(content="a")), event(chunk(content="b"))
DONE = b"data: [DONE]\n\n"
OTHER = pieces(event(chunk("beta-there", content="other")), DONE)
ERROR = {"error": {"message": "too much", "type": "requests", "param": None, "code": "rate_limit_exceeded"}}


def run(what: Coroutine[Any, Any, None]) -> None:
    asyncio.run(what)


def answering(stream: bool) -> Say:
    return OTHER if stream else whole(said("beta-there", "other"))


EVERYWHERE: dict[str, tuple[Say, str]] = {
    "429": (whole(ERROR, 429), "HTTP 429"),
    "500": (whole(b"oh no", 500, content_type="text/plain"), "HTTP 500"),
    "503": (whole({"detail": "loading"}, 503), "HTTP 503"),
    "401": (whole({"error": "who are you"}, 401), "HTTP 401"),
    "redirect": (raw(b"HTTP/1.1 302 x\r\nlocation: http://elsewhere/\r\ncontent-length: 0\r\n\r\n"), "HTTP 302"),
    "hangs up": (hang_up, "no connection"),
    "says nothing": (nothing, "timed out"),
    "html": (whole(b"<html>sign in</html>", content_type="text/html"), "no answer"),
    "no http": (raw(b"SSH-2.0-OpenSSH_9.2\r\n"), "no answer"),
    "error in a 200": (whole({"error": {"message": "no", "code": 503}}), "HTTP 503"),
}
WHOLE = {
    "half a json": (whole(b'{"id":'), "no answer"),
    "a list": (whole([1]), "no answer"),
    "too short": (
        raw(b"HTTP/1.1 200 x\r\ncontent-type: application/json\r\ncontent-length: 99\r\n\r\n{}"),
        "broke off",
    ),
    "silent in the middle": (
        raw(b"HTTP/1.1 200 x\r\ncontent-type: application/json\r\ncontent-length: 99\r\n\r\n{", close=False),
        "timed out",
    ),
}
STREAMS = {
    "breaks before a word": (pieces(ROLE, cut=True), "broke off"),
    "ends before a word": (pieces(ROLE), "broke off"),
    "nothing at all": (pieces(), "broke off"),
    "silent before a word": (pieces(ROLE, 5.0), "timed out"),
    "error before a word": (pieces(ROLE, event(ERROR)), "HTTP 500"),
    "no stream": (whole({"object": "list"}), "no answer"),
    "breaks in the first event": (pieces(FIRST[:20], cut=True), "broke off"),
}


@pytest.mark.parametrize("model", ["alpha", "pool"])
@pytest.mark.parametrize(
    ("name", "stream"),
    [*((name, stream) for name in EVERYWHERE for stream in (False, True)), *((name, False) for name in WHOLE)]
    + [(name, True) for name in STREAMS],
)
def test_another_answers_in_its_place_and_is_named(name: str, stream: bool, model: str) -> None:
    async def act() -> None:
        say, failure = (EVERYWHERE | (STREAMS if stream else WHOLE))[name]
        plain = {"alpha": {"fallbacks": ("beta",)}}
        async with (
            server(say) as one,
            server(answering(stream)) as two,
            lane(one.url, two.url, plain=plain) as place,
        ):
            answer = await place.ask(chat(model, stream=stream))
            assert answer.status == 200, answer.body
            assert answer.headers["x-aiops-provider"] == "p2"
            assert answer.headers["x-litellm-attempted-fallbacks"] == "1"
            assert answer.body.count(b"other") == 1
            assert answer.body.count(b'"role":"assistant"') == (0 if stream else 1), "who failed said nothing"
            asked = b'"model":"pool"' if model == "pool" else b'"model":"beta"'
            assert answer.body.count(asked) == 1 and b"there" not in answer.body
            assert len(one.asked) == len(two.asked) == 1
            assert (place.call.fell_from, place.call.failure) == ("p1", failure)

    run(act())


def test_nobody_listens_there() -> None:
    async def act() -> None:
        with socket.socket() as closed:
            closed.bind(("127.0.0.1", 0))
            url = f"http://127.0.0.1:{closed.getsockname()[1]}"
            async with server(whole(said())) as two, lane(url, two.url) as place:
                assert (await place.ask(chat("pool"))).headers["x-aiops-provider"] == "p2"
                answer = await place.ask(chat("alpha"))
                assert answer.status == 500
                assert str(closed.getsockname()[1]) not in answer.body.decode()
                assert place.board.errors == {"p1": 2}

    run(act())


def test_when_nobody_answers_the_first_reason_is_said_in_the_shape_of_the_api() -> None:
    async def act() -> None:
        slow = whole(ERROR, 429, retry_after="17", x_ratelimit_remaining_requests="0")
        async with server(slow) as one, server(whole(b"", 500)) as two, lane(one.url, two.url) as place:
            answer = await place.ask(chat("pool"))
            assert (answer.status, answer.error) == (429, ERROR["error"])
            assert answer.headers["retry-after"] == "17"
            assert answer.headers["x-ratelimit-remaining-requests"] == "0"
            assert answer.headers["x-aiops-provider"] == "p2", "the last one that was asked"
            body = {"model": "pool", "max_tokens": 1, "messages": [{"role": "user", "content": "x"}]}
            answer = await place.ask(body, "/v1/messages")
            assert answer.json == {"type": "error", "error": {"type": "rate_limit_error", "message": "too much"}}

    run(act())


@pytest.mark.parametrize(
    ("say", "wanted"),
    [
        (whole({"error": {"message": "m", "type": "t", "param": "p", "code": 404}}, 404), ("m", "t", "p", "404")),
        (whole({"detail": [{"loc": ["x"]}]}, 422), ('[{"loc":["x"]}]', "invalid_request_error", None, "422")),
        (whole({"object": "error", "message": "m", "type": "t"}, 400), ("m", "t", None, "400")),
        (whole(b"<html>", 502), ("the provider `p1` answered with HTTP 502", "api_error", None, "502")),
        (whole({"error": {"type": "overloaded", "message": "m"}}, 529), ("m", "overloaded", None, "529")),
    ],
)  # fmt: skip
def test_what_the_provider_says_of_its_error_is_handed_on(say: Say, wanted: tuple[str, ...]) -> None:
    async def act() -> None:
        async with server(say) as one, lane(one.url) as place:
            answer = await place.ask()
            error = answer.error
            assert (error["message"], error["type"], error["param"], error["code"]) == wanted

    run(act())


@pytest.mark.parametrize(("cut", "failure"), [(True, "broke off"), (False, "timed out")])
def test_a_stream_that_breaks_in_the_middle_says_so_and_nobody_else_is_asked(cut: bool, failure: str) -> None:
    async def act() -> None:
        say = pieces(ROLE, FIRST, SECOND[:30], *(() if cut else (5.0,)), cut=cut)
        async with server(say) as one, server(OTHER) as two, lane(one.url, two.url) as place:
            answer = await place.ask(chat("pool", stream=True))
            assert answer.status == 200
            *_, last, empty = answer.body.split(b"\n\n")
            assert last.startswith(b'data: {"error":{"message":"the provider `p1`') and not empty
            assert not two.asked
            assert (place.ended, place.call.failure) == (State.FAILED, failure)
            assert place.board.errors == {"p1": 1}

    run(act())


@pytest.mark.parametrize("error", [event(ERROR), b"event: error\n" + event({"type": "error", "error": {}})])
def test_an_error_in_the_middle_of_a_stream_is_passed_on_and_counts(error: bytes) -> None:
    async def act() -> None:
        text = event(chunk(content='event: error {"error":'))
        async with server(pieces(ROLE, FIRST, text, SECOND + error)) as one, lane(one.url) as place:
            answer = await place.ask(chat(stream=True))
            assert answer.body == (ROLE + FIRST + text + SECOND + error).replace(b"alpha-there", b"alpha")
            assert (place.ended, place.call.failure) == (State.FAILED, "broke off")
        async with server(pieces(ROLE, FIRST, text, DONE)) as one, lane(one.url) as place:
            await place.ask(chat(stream=True))
            assert place.ended is State.ANSWERING

    run(act())


@pytest.mark.parametrize(
    ("say", "retries", "times"),
    [
        (hang_up, Retries(no_connection=1), 2),
        (whole(b"", 503), Retries(unavailable=2), 3),
        (whole(b"", 500), Retries(unavailable=2, no_connection=2), 1),
        (whole(b"", 500), Retries(server_error=1), 2),
        (whole(b"", 429, retry_after="0"), Retries(rate_limited=1), 2),
        (raw(b"HTTP/1.1 429 x\r\nretry-after: \xb2\r\ncontent-length: 0\r\n\r\n"), Retries(rate_limited=1), 2),
        (whole(b"", 429, retry_after="9" * 5000), Retries(rate_limited=1), 2),
        (nothing, Retries(timed_out=1), 2),
        (whole(b"", 400), Retries(server_error=1, rate_limited=1), 1),
    ],
)
def test_the_same_one_is_asked_again_as_often_as_is_written_for_its_failure(
    say: Say, retries: Retries, times: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("aiops.gateway.worker.lanes.direct.direct.FIRST_PAUSE", 0.01)

    async def act() -> None:
        plain = {"alpha": {"retries": retries}}
        async with server(say) as one, lane(one.url, plain=plain, of={"d1": {"retries": retries}}) as place:
            for model in ("alpha", "pool"):
                one.asked.clear()
                assert (await place.ask(chat(model))).status >= 400
                assert len(one.asked) == times
                assert place.call.attempts == times and place.call.fallbacks == 0

    run(act())


def test_who_answers_at_the_second_try_says_how_often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("aiops.gateway.worker.lanes.direct.direct.FIRST_PAUSE", 0.01)

    async def act() -> None:
        plain = {"alpha": {"retries": Retries(unavailable=1)}}
        async with server(whole(b"", 503), whole(said())) as one, lane(one.url, plain=plain) as place:
            answer = await place.ask()
            assert answer.status == 200
            assert answer.headers["x-litellm-attempted-retries"] == "1"

    run(act())


def test_names_fall_back_to_each_others_fallbacks_and_a_circle_is_cut() -> None:
    async def act() -> None:
        plain = {"alpha": {"fallbacks": ("beta",)}, "beta": {"fallbacks": ("alpha", "gamma")}}
        bad = whole(b"", 500)
        async with (
            server(bad) as one,
            server(bad) as two,
            server(whole(said("gamma-there"))) as three,
            lane(one.url, two.url, three.url, plain=plain) as place,
        ):
            answer = await place.ask()
            assert answer.json["model"] == "gamma"
            assert answer.headers["x-litellm-attempted-fallbacks"] == "2"
            assert [len(each.asked) for each in (one, two, three)] == [1, 1, 1]

    run(act())


@pytest.mark.parametrize(
    ("error", "way"),
    [
        ({"message": "This model's maximum context length is 8192 tokens.", "code": "x"}, "context_window"),
        ({"message": "no", "code": "context_length_exceeded"}, "context_window"),
        ({"message": "no", "code": "content_policy_violation"}, "content_policy"),
    ],
)
def test_two_kinds_of_failure_have_fallbacks_of_their_own(error: dict[str, str], way: str) -> None:
    async def act() -> None:
        say = whole({"error": error}, 400)
        more = {way: {"alpha": ("gamma",)}, "plain": {"alpha": {"fallbacks": ("beta",)}}}
        async with (
            server(say, whole(b"", 400)) as one,
            server(whole(said("beta-there"))) as two,
            server(whole(said("gamma-there"))) as three,
            lane(one.url, two.url, three.url, **more) as place,
        ):
            assert (await place.ask()).json["model"] == "gamma"
            assert (await place.ask()).json["model"] == "beta"
            assert len(two.asked) == 1

    run(act())


def test_two_that_name_each_other_for_a_prompt_that_is_too_long_are_each_asked_once() -> None:
    async def act() -> None:
        say = whole({"error": {"message": "no", "code": "context_length_exceeded"}}, 400)
        more = {"context_window": {"alpha": ("beta",), "beta": ("alpha",)}}
        async with server(say) as one, server(say) as two, lane(one.url, two.url, **more) as place:
            async with asyncio.timeout(5):
                assert (await place.ask()).status == 400
            assert (len(one.asked), len(two.asked)) == (1, 1)

    run(act())


def test_what_a_caller_gets_wrong_is_no_failure_of_the_provider() -> None:
    async def act() -> None:
        async with server(whole({"error": {"message": "no"}}, 400)) as one, lane(one.url) as place:
            assert (await place.ask()).status == 400
            assert not place.board.errors

    run(act())


@pytest.mark.parametrize("status", [401, 200])
def test_what_a_provider_says_of_its_key_and_its_address_no_client_reads(
    status: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("THEIR_KEY", "secret-of-the-provider")
    monkeypatch.setenv("THEIR_HEADER", "another-secret")
    more = {"key": "THEIR_KEY", "headers": {"x-team": "os.environ/THEIR_HEADER"}}

    async def act() -> None:
        async with server(nothing) as one:
            text = f"no secret-of-the-provider, another-secret at {one.url}/v1"
            one.says = [whole({"error": {"message": text}}, status)]
            async with lane(one.url, of={"d1": more}) as place:
                found = (await place.ask()).json["error"]["message"]
                assert one.asked[0].headers["authorization"] == "Bearer secret-of-the-provider"
                assert found == "no ***, *** at http://p1/v1"

    run(act())
