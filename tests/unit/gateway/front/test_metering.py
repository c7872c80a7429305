"""What answers used, read from recorded bytes, however they are cut into pieces."""

from __future__ import annotations

import asyncio
import gzip
import json
import time
import tracemalloc
from pathlib import Path
from typing import Any

import orjson
import pytest

from aiops.gateway.worker.front import asked, passage
from aiops.gateway.worker.front import metering as metering_module
from aiops.gateway.worker.front.estimate import AnswerLengths
from aiops.gateway.worker.front.metering import Metering
from aiops.gateway.worker.prices import Tokens
from aiops.state.counters.meters import Unavailable
from aiops.state.money import nano
from aiops.state.shapes import Budget, Limits
from tests.unit.gateway.front.place import KEY, MASTER, USAGE, Answered, Place, account, chat, hash_of, identity

CACHED = ("read", "creation")
JSON, SSE = b"application/json", b"text/event-stream; charset=utf-8"
CHUNK = b'data: {"id":"c","object":"chat.completion.chunk","model":"alpha","choices":[%s]%s}\n\n'
WORDS = b"".join(CHUNK % (b'{"index":0,"delta":{"content":"word%d "}}' % number, b"") for number in range(4))
END = CHUNK % (b'{"index":0,"delta":{},"finish_reason":"stop"}', b"")
# As LiteLLM 1.106 sends it: one choice, in which nothing is said.
TELLS = CHUNK % (
    b'{"index":0,"delta":{}}',
    b',"usage":{"completion_tokens":3,"prompt_tokens":10,"total_tokens":13,"prompt_tokens_details":{"cached_tokens":4}}',
)
DONE = b"data: [DONE]\n\n"
CHAT = WORDS + END + TELLS + DONE

ANTHROPIC = (
    b'event: message_start\ndata: {"type": "message_start", "message": {"id": "m", "content": [], "usage": '
    b'{"input_tokens": 20, "output_tokens": 1, "cache_read_input_tokens": 5}}}\n\n'
    b'event: content_block_delta\ndata: {"type": "content_block_delta", "delta": {"type": "text_delta", '
    b'"text": "w0 "}}\n\n'
    b'event: message_delta\ndata: {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": '
    b'{"output_tokens": 3}}\n\n'
    b'event: message_stop\ndata: {"type": "message_stop"}\n\n'
)
RESPONSES = (
    b'event: response.output_text.delta\ndata: {"type":"response.output_text.delta","delta":"w0 "}\n\n'
    b'event: response.completed\ndata: {"type":"response.completed","response":{"id":"r","usage":{"input_tokens":7,'
    b'"input_tokens_details":{"cached_tokens":2},"output_tokens":3,"total_tokens":10}}}\n\n'
)
GOOGLE = (
    b'data: {"candidates": [{"content": {"parts": [{"text": "w0 "}]}}]}\n\n'
    b'data: {"candidates": [{"content": {"parts": []}}], "usageMetadata": {"promptTokenCount": 6, '
    b'"candidatesTokenCount": 2, "thoughtsTokenCount": 1, "cachedContentTokenCount": 3}}\n\n'
)


def metered(
    body: bytes, kind: bytes, size: int = 0, *, hides: bool = False, encoding: bytes = b""
) -> tuple[Metering, bytes]:
    """What came of ``body`` in pieces of ``size`` bytes, and what the client is sent."""
    metering = Metering(hides_usage=hides)
    metering.start(200, [(b"content-type", kind), (b"content-encoding", encoding)])
    pieces = [body[at : at + size] for at in range(0, len(body), size)] if size else [body]
    sent = b"".join(metering.feed(piece, more=True) for piece in pieces)
    return metering, sent + metering.feed(b"", more=False)


@pytest.mark.parametrize(
    ("answer", "used"),
    [
        ({"choices": [], "usage": USAGE}, Tokens(10, 5)),
        (
            {"usage": {"prompt_tokens": 9, "completion_tokens": 1, "prompt_tokens_details": {"cached_tokens": 8}}},
            Tokens(9, 1, 8),
        ),
        ({"data": [], "usage": {"prompt_tokens": 4, "total_tokens": 4}}, Tokens(4)),
        (
            {"usage": {"input_tokens": 7, "input_tokens_details": {"cached_tokens": 2}, "output_tokens": 3}},
            Tokens(7, 3, 2),
        ),
        (
            {"usage": {"input_tokens": 7, "output_tokens": 3, **{f"cache_{of}_input_tokens": 1 for of in CACHED}}},
            Tokens(9, 3, 1, 1),
        ),
        ({"usageMetadata": {"promptTokenCount": 6, "candidatesTokenCount": 2}}, Tokens(6, 2)),
        ({"results": [], "meta": {"billed_units": {"total_tokens": 12}}}, Tokens(12)),
    ],
)  # fmt: skip
def test_an_answer_says_what_it_used_in_the_words_of_its_api(answer: Any, used: Tokens) -> None:
    metering, sent = metered(json.dumps(answer).encode(), JSON, 7)
    assert (metering.tokens(99), metering.estimated) == (used, False)
    assert json.loads(sent) == answer


def test_a_compressed_answer_is_read_and_passes_as_it_is() -> None:
    body = gzip.compress(json.dumps({"usage": USAGE, "text": "x" * 2000}).encode())
    metering, sent = metered(body, JSON, 11, encoding=b"gzip")
    assert metering.tokens(99) == Tokens(10, 5)
    assert sent == body


def test_a_compressed_answer_is_not_unpacked_beyond_what_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("aiops.gateway.worker.front.metering.LARGEST", 1000)
    body = gzip.compress(json.dumps({"usage": USAGE, "text": "x" * 20_000_000}).encode())
    tracemalloc.start()
    try:
        found, sent = metered(body, JSON, 1000, encoding=b"gzip")
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert (found.estimated, sent) == (True, body)
    assert peak < 500_000


def test_what_only_says_that_it_is_compressed_passes_as_it_is() -> None:
    found, sent = metered(b'{"usage": {}}', JSON, 5, encoding=b"gzip")
    assert (found.estimated, sent) == (True, b'{"usage": {}}')


@pytest.mark.parametrize("said", [b"nan", b"inf", b"1e300", b"-1", b"free"])
def test_what_is_no_amount_is_no_cost_and_the_request_is_put_right_all_the_same(tmp_path: Path, said: bytes) -> None:
    place = Place(tmp_path, identity(account(limits=Limits(parallel=1))))
    place.app.headers.append((b"x-litellm-response-cost", said))
    place.app.pieces = (b'{"data": []}',)  # nobody says what it used, but LiteLLM
    assert [asyncio.run(place.ask()).status for _ in range(2)] == [200, 200]
    assert [used.cost for used in place.records.ended_] == [nano("0.01"), nano("0.01")]


def test_nobody_can_write_its_usage_into_what_a_model_repeats() -> None:
    body = {"metadata": {"usage": {"input_tokens": 0, "output_tokens": 0}}, "output": '"usage": {"total_tokens": 0}',
            "usage": {"input_tokens": 7, "output_tokens": 3, "total_tokens": 10}}  # fmt: skip
    assert metered(json.dumps(body).encode(), JSON)[0].tokens(0) == Tokens(7, 3)


@pytest.mark.parametrize("size", [0, 1, 3, 64, 200])
@pytest.mark.parametrize(
    ("stream", "used"),
    [
        (CHAT, Tokens(10, 3, 4)),
        (CHAT.replace(b"\n\n", b"\r\n\r\n"), Tokens(10, 3, 4)),
        (ANTHROPIC, Tokens(25, 3, 5)),
        (RESPONSES, Tokens(7, 3, 2)),
        (GOOGLE, Tokens(6, 3, 3)),
    ],
)
def test_a_stream_says_what_it_used_in_its_last_events(stream: bytes, used: Tokens, size: int) -> None:
    metering, sent = metered(stream, SSE, size)
    assert (metering.tokens(99), metering.estimated) == (used, False)
    assert sent == stream


@pytest.mark.parametrize("size", [0, 1, 3, 64, 200])
def test_the_event_that_a_client_did_not_ask_for_is_taken_out_and_nothing_else(size: int) -> None:
    metering, sent = metered(CHAT, SSE, size, hides=True)
    assert sent == WORDS + END + DONE
    assert metering.tokens(99) == Tokens(10, 3, 4)


@pytest.mark.parametrize("size", [0, 1, 3, 64, 200])
@pytest.mark.parametrize("end", [b"\n\n", b"\r\n\r\n"])
@pytest.mark.parametrize("null", [b',"usage":null', b',"usage": null'])
def test_events_that_say_null_of_usage_as_openais_do_are_passed_on(size: int, end: bytes, null: bytes) -> None:
    said = b"".join(CHUNK % (b'{"index":0,"delta":{"content":"word%d "}}' % number, null) for number in range(4))
    stream, kept = (each.replace(b"\n\n", end) for each in (said + END + TELLS + DONE, said + END + DONE))
    metering, sent = metered(stream, SSE, size, hides=True)
    assert sent == kept
    assert metering.tokens(99) == Tokens(10, 3, 4)


@pytest.mark.parametrize(
    ("said", "characters"),
    [
        (rb'{"content":"a\"b\\"}', 6),
        (rb'{"content" :"x","text": "","reasoning_content":"yy"}', 2),
        (rb'{"content":"never ends', 0),
        (rb'{"arguments":"{\"content\":\"z\"}"}', 19),
    ],
)
def test_the_words_of_an_event_are_counted_between_their_quotes(said: bytes, characters: int) -> None:
    metering, _ = metered(b"data: " + said + b"\n\n", SSE)
    assert metering.tokens(0).completion == -(-characters // 4)


def test_who_leaves_pays_for_the_words_that_came_in_one_piece_with_what_the_prompt_used() -> None:
    metering = Metering(hides_usage=True)
    metering.start(200, [(b"content-type", SSE)])
    tells = CHUNK % (b'{"index":0,"delta":{"content":""}}', b',"usage":{"prompt_tokens":10,"completion_tokens":0}')
    metering.feed(WORDS + tells, more=True)
    assert metering.tokens(99) == Tokens(10, 6)  # 24 characters


@pytest.mark.parametrize(
    ("piece", "last"),
    [
        (DONE, True),
        (WORDS + b"data:[DONE]\r\n\r\n", True),
        (b'event: message_stop\ndata: {"type": "message_stop"}\n\n', True),
        (b'data: {"type":"response.completed","response":{}}\n\n', True),
        (b"event: response.failed\ndata: {}\n\n", True),
        (CHUNK % (b'{"delta":{"content":"data: [DONE]"}}', b""), False),
        (b'data: {"type":"response.output_text.delta","delta":"event: response.completed"}\n\n', False),
        (WORDS, False),
        (b"", False),
    ],
)
def test_a_stream_says_that_nothing_more_comes_in_the_words_of_its_api(piece: bytes, last: bool) -> None:
    assert passage.is_last(piece) is last


def test_a_word_that_comes_with_its_usage_is_not_taken_out() -> None:
    last = CHUNK % (b'{"index":0,"delta":{"content":"end"}}', b',"usage":{"completion_tokens":3,"prompt_tokens":1}')
    assert metered(last + DONE, SSE, hides=True)[1] == last + DONE


def test_who_leaves_in_a_stream_of_anthropics_pays_for_more_than_its_first_token() -> None:
    metering = Metering()
    metering.start(200, [(b"content-type", SSE)])
    begin, *_ = ANTHROPIC.split(b"\n\n")
    word = b'event: content_block_delta\ndata: {"type":"content_block_delta","delta":{"type":"text_delta","text":"%s"}}'
    for event in (begin, word % (b"x" * 400)):
        metering.feed(event + b"\n\n", more=True)
    assert metering.tokens(1) == Tokens(25, 100, 5)


@pytest.mark.parametrize(
    ("delta", "characters"),
    [
        (b'"reasoning": "a thought of twenty."', 20),
        (b'"reasoning":"a thought of twenty.","reasoning_content":"a thought of twenty."', 20),
        (b'"reasoning":"a thought of twenty.","reasoning_details":[{"text":"a thought of twenty."}]', 20),
        (b'"reasoning":null,"content":"four"', 4),
    ],
)
def test_thoughts_are_counted_once_by_whatever_name(delta: bytes, characters: int) -> None:
    metering = Metering()
    metering.start(200, [(b"content-type", SSE)])
    metering.feed(b'data: {"choices":[{"delta":{%s}}]}\n\n' % delta, more=True)
    assert metering.tokens(1) == Tokens(1, characters // 4)


@pytest.mark.parametrize("hides", [False, True])
def test_an_event_without_end_is_not_kept(hides: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metering_module, "LONGEST_EVENT", 1000)
    metering = Metering(hides_usage=hides)
    metering.start(200, [(b"content-type", SSE)])
    pieces = [b'data: {"usage":"', *(b"x" * 600 for _ in range(20))]
    passed = [metering.feed(piece, more=True) for piece in pieces]
    assert len(metering._rest) <= 1000
    passed.append(metering.feed(b'"}\n\n', more=False))
    assert b"".join(passed) == b"".join(pieces) + b'"}\n\n'


def test_a_word_is_passed_on_as_soon_as_it_has_come() -> None:
    metering = Metering(hides_usage=True)
    metering.start(200, [(b"content-type", SSE)])
    first = WORDS[: WORDS.index(b"\n\n") + 2]
    assert metering.feed(first, more=True) == first


@pytest.mark.parametrize("size", [0, 1, 50])
def test_a_stream_that_says_nothing_is_reckoned_by_its_words(size: int) -> None:
    metering, _ = metered(WORDS + END + DONE, SSE, size)
    assert metering.estimated
    assert metering.tokens(12) == Tokens(12, 6)  # 24 characters


def test_zeros_are_no_usage() -> None:
    """LiteLLM writes them into each event of a text completion."""
    event = b'data: {"choices":[{"index":0,"text":"w0 w1 w2"}],"usage":{"completion_tokens":0,"prompt_tokens":0}}\n\n'
    metering, sent = metered(event + DONE, SSE, hides=True)
    assert metering.tokens(5) == Tokens(5, 2)
    assert sent == event + DONE


# --- the request that was spliced -------------------------------------------------------------------------------------


def read(body: bytes, path: str = "/v1/chat/completions") -> asked.Asked:
    return asked.read(path, JSON, body)


@pytest.mark.parametrize(
    "body",
    [
        b'{"model":"a","stream":true}',
        b' {"stream": true , "model": "a", "stream_options": {}}',
        b'{"stream":true,"model":"a","stream_options":null}',
        b'{"stream":true,"stream_options":{"include_usage":false,"more":1},"model":"a"}',
        b'{"stream":true,"model":"a","stream\\u005foptions":null}',
        b'{"stream":true,"model":"a","stream\\u005foptions":{"include_usage":false}}',
        b'{"stream":true,"model":"a","stream_options":{"include_usage":true},"stream_options":null}',
        b'{"stream":true,"model":"a","stream_options":{"include_usage":true},"stream\\u005foptions":null}',
        b'{"stream":false,"model":"a","stream":true}',
        b'{"stream":1,"model":"a"}',
        b'{"stream":"true","model":"a"}',
    ],
)
def test_a_stream_is_asked_for_its_usage_when_its_client_did_not(body: bytes) -> None:
    found = read(body)
    assert found.with_usage is not None
    said = json.loads(found.with_usage)
    before = json.loads(body)
    assert said.pop("stream_options")["include_usage"] is True
    before.pop("stream_options", None)
    assert said == before


@pytest.mark.parametrize(
    ("body", "path"),
    [
        (b'{"model":"a"}', "/v1/chat/completions"),
        (b'{"model":"a","stream":true,"stream_options":{"include_usage":true}}', "/v1/chat/completions"),
        (b'{"stream":true,"stream_options":null,"stream_options":{"include_usage":true}}', "/v1/chat/completions"),
        (b'{"model":"a","stream":true,"stream":false}', "/v1/chat/completions"),
        (b'{"model":"a","stream":true}', "/v1/messages"),
        (b'{"model":"a","stream":true}', "/v1/responses"),
    ],
)
def test_whoever_says_it_anyway_is_not_asked(body: bytes, path: str) -> None:
    assert read(body, path).with_usage is None


def test_what_is_said_twice_counts_as_litellm_reads_it() -> None:
    """It reads a body with this reader too, of which the last counts."""
    body = b'{"model":"cheap","max_tokens":900,"n":1,"model":"dear","max_tokens":7,"n":2,"mo\\u0064el":"dearest"}'
    found, said = read(body), orjson.loads(body)
    assert (found.model, found.max_tokens, found.answers) == (said["model"], said["max_tokens"], said["n"])
    assert (found.model, found.max_tokens, found.answers) == ("dearest", 7, 2)
    surrogate = body.replace(b"cheap", b"\\ud83d")  # read by the other reader, which takes it
    assert (read(surrogate).model, read(surrogate).max_tokens) == ("dearest", 7)


# --- what is written down ---------------------------------------------------------------------------------------------


def ask(place: Place, *args: Any, **more: Any) -> Answered:
    return asyncio.run(place.ask(*args, **more))


def test_one_record_says_what_a_request_used_and_what_that_cost(tmp_path: Path) -> None:
    whose = identity(account(budgets=(Budget(most=nano(5)),)), team="t", user="u", tags=("x",))
    place = Place(tmp_path, whose)
    ask(place, body=chat(user="customer 7"), headers={"idempotency-key": "again"})
    (accepted,), (ended,) = place.records.accepted_, place.records.ended_
    assert accepted.id == ended.id
    assert (ended.key, ended.team, ended.user, ended.tags) == ("k1", "t", "u", ("x",))
    assert (ended.end_user, ended.idempotency_key) == ("customer 7", "again")
    assert (ended.provider, ended.served, ended.status, ended.outcome) == ("one", "alpha", 200, "answered")
    assert (ended.prompt_tokens, ended.completion_tokens, ended.cost) == (10, 5, nano("0.02"))
    assert ended.epoch == f"{asyncio.run(place.counters.epoch())} key:0:ever "
    assert (ended.generation, ended.replica, ended.stream, ended.estimated) == (7, "here", False, False)


def test_a_budget_window_crossing_a_reset_has_the_row_and_the_counter_in_the_same_window(tmp_path: Path) -> None:
    """Reserved in the last microsecond of a day, and accepted in the next one."""
    place = Place(tmp_path, identity(account(budgets=(Budget(most=nano(5), duration="1d"),))))
    midnight = (int(time.time()) // 86_400 + 1) * 86_400
    place.now = midnight - 1e-6
    ask(place)
    (ended,) = place.records.ended_
    assert ended.started == midnight * 1_000_000 - 1
    (meter,) = place.reserve.counts(place.look_up.known[hash_of(KEY)], "alpha", ended.started / 1e6).meters
    (level,) = asyncio.run(place.counters.levels([meter]))
    assert (level.used, meter.ends) == (ended.cost, midnight)


def test_it_is_written_down_before_it_is_settled_and_where_it_was_afterwards(tmp_path: Path) -> None:
    """Killed in between, the accountant settles it from the first record; nobody could without."""
    place = Place(tmp_path, identity(account(budgets=(Budget(most=nano(5)),))))
    settle, written = place.counters.settle, []

    async def seen(*given: Any) -> Any:
        written.append((len(place.records.ending_), len(place.records.ended_)))
        return await settle(*given)

    place.counters.settle = seen  # type: ignore[method-assign]
    ask(place)
    assert written == [(1, 0)]
    assert [each.id for each in place.records.ending_] == [each.id for each in place.records.ended_]


def test_what_counters_may_have_and_do_not_answer_for_is_told_them_by_the_ledger(tmp_path: Path) -> None:
    place = Place(tmp_path, identity(account(budgets=(Budget(most=nano(5)),))))

    async def away(*_: Any) -> Any:
        raise Unavailable("nobody is there")

    place.counters.settle = away  # type: ignore[method-assign]
    ask(place)
    assert [each.epoch for each in place.records.ended_] == [f"?{asyncio.run(place.counters.epoch())} key:0:ever "]


def test_a_request_that_fails_uses_nothing_and_is_written_down(tmp_path: Path) -> None:
    place = Place(tmp_path, identity(account(limits=Limits(tpm=100), budgets=(Budget(most=nano(5)),))))
    place.app.status = 500
    ask(place)
    (ended,) = place.records.ended_
    assert (ended.status, ended.outcome, ended.prompt_tokens, ended.cost) == (500, "failed", 0, 0)
    place.app.status = 200
    headers = ask(place).headers
    assert headers["x-litellm-key-spend"] == "0.0"
    assert headers["x-ratelimit-remaining-tokens"] == "85"


def test_an_application_that_breaks_is_a_failure_that_is_written_down(tmp_path: Path) -> None:
    place = Place(tmp_path, identity(account(limits=Limits(parallel=1))))

    async def breaks() -> None:
        raise RuntimeError("a bug")

    place.app.before_piece = lambda number: breaks()
    for _ in range(2):
        with pytest.raises(RuntimeError):
            ask(place)
    assert [ended.outcome for ended in place.records.ended_] == ["failed", "failed"]


def test_a_client_that_leaves_in_a_stream_is_reckoned_by_what_it_had(tmp_path: Path) -> None:
    place = Place(tmp_path, identity(account(limits=Limits(parallel=1, tpm=1000), budgets=(Budget(most=nano(5)),))))
    place.app.streams(*(event + b"\n\n" for event in WORDS.split(b"\n\n")[:-1]), TELLS, DONE)

    async def leaves() -> None:
        has_two = asyncio.Event()

        async def no_more() -> None:
            has_two.set()
            await asyncio.Event().wait()

        place.app.before_piece = lambda number: no_more() if number == 2 else None
        task = asyncio.create_task(place.ask(body=chat(stream=True)))
        await asyncio.wait_for(has_two.wait(), 20)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        place.app.before_piece = lambda number: None
        assert (await place.ask()).status == 200

    asyncio.run(leaves())
    left, _ = place.records.ended_
    assert (left.outcome, left.stream, left.estimated) == ("left", True, True)
    assert (left.prompt_tokens, left.completion_tokens) == (10, 3)  # two words of six letters
    assert left.cost == nano("0.016")
    assert left.first is not None


def test_a_stream_is_over_with_its_last_word_and_its_slot_is_free(tmp_path: Path) -> None:
    place = Place(tmp_path, identity(account(limits=Limits(parallel=1))))
    place.app.streams(WORDS, END, TELLS, DONE)
    seen: list[int] = []

    async def again() -> None:
        seen.append(len(place.records.ended_))

    place.app.before_piece = lambda number: again()
    found = ask(place, body=chat(stream=True))
    assert found.body == WORDS + END + DONE
    assert seen == [0, 0, 0, 0]
    assert found.ended == [0, 0, 1, 1]  # whoever has read [DONE] may ask again
    assert b'"include_usage":true' in place.app.seen[0][1]
    (ended,) = place.records.ended_
    assert (ended.outcome, ended.completion_tokens, ended.cached_tokens) == ("answered", 3, 4)


def test_a_stream_that_asked_for_its_usage_gets_it(tmp_path: Path) -> None:
    place = Place(tmp_path, identity())
    place.app.streams(CHAT)
    options = {"stream_options": {"include_usage": True}}
    assert ask(place, body=chat(stream=True, **options)).body == CHAT


def test_the_answers_of_a_model_teach_how_long_they_are() -> None:
    lengths = AnswerLengths()
    assert lengths.usual("a") == 1024
    lengths.note("a", 1000)
    assert lengths.usual("a") == 2000
    for _ in range(100):
        lengths.note("a", 10)
    assert lengths.usual("a") == 256


@pytest.mark.parametrize("key", [KEY, MASTER])
def test_each_request_is_written_down_once_whosoever_it_is(tmp_path: Path, key: str) -> None:
    place = Place(tmp_path, identity())
    for _ in range(3):
        ask(place, key=key)
    assert len({ended.id for ended in place.records.ended_}) == len(place.records.ended_) == 3


def test_a_body_too_deep_to_be_asked_for_its_usage_is_refused_before_anything_is_held_for_it(tmp_path: Path) -> None:
    """LiteLLM could read it: what cannot be written again is another measure."""
    place = Place(tmp_path, identity(account(limits=Limits(parallel=1))))
    nested = b"[" * 1010 + b"]" * 1010
    body = json.dumps(chat(stream=True, stream_options={})).encode()[:-1] + b', "metadata": ' + nested + b"}"
    for _ in range(2):
        found = asyncio.run(place.ask(body=body))
        assert (found.status, found.error["message"]) == (400, "The body is nested too deeply.")
    assert place.reserve.live == 0
    assert not place.records.accepted_
    assert asyncio.run(place.ask()).status == 200
