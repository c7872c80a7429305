"""What clients and providers say that would make a request free, or the ledger stop."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import urlencode

import pytest
from litellm.proxy.common_utils.http_parsing_utils import get_form_data
from starlette.requests import Request

from aiops.gateway.worker.front import asked, used
from aiops.gateway.worker.front.account import plain_text
from aiops.gateway.worker.front.asgi import is_private
from aiops.gateway.worker.front.estimate import OPEN_ENDED, UNHEARD_OF, AnswerLengths, at_most, estimate
from aiops.gateway.worker.front.invalid import Invalid
from aiops.gateway.worker.front.passage import is_last
from aiops.gateway.worker.prices import Deployment, Tokens

CHAT = "/v1/chat/completions"


@pytest.mark.parametrize("number", [99999999999999999999999, 1e300, float("inf"), -(10**12)])
def test_a_number_that_no_answer_has_is_as_good_as_none(number: float) -> None:
    assert used.tokens({"usage": {"prompt_tokens": number, "completion_tokens": 5, "total_tokens": 1}}) is None


@pytest.mark.parametrize(
    "piece",
    [
        b"data: [DONE]\n\n",
        b'data: {"choices":[]}\n\ndata: [DONE]\n\n',
        b'event: message_stop\ndata: {"type": "message_stop"}\n\n',
        b'data: {"type":"response.completed","response":{}}\n\n',
    ],
)
def test_the_end_of_a_stream_is_known(piece: bytes) -> None:
    assert is_last(piece)


@pytest.mark.parametrize(
    "piece",
    [
        b'data: {"choices":[{"delta":{"content":"[DONE]"}}]}\n\n',
        b'data: {"choices":[{"delta":{"content":"data: [DONE]"}}]}\n\n',
        b'data: {"type":"content_block_delta","delta":{"text":"\\"message_stop\\""}}\n\n',
        b'data: {"type":"response.output_text.delta","delta":"\\nevent: response.completed\\n"}\n\n',
    ],
)
def test_a_model_that_says_the_word_has_not_ended(piece: bytes) -> None:
    assert not is_last(piece)


@pytest.mark.parametrize("hidden", ["stream", "max_tokens", "n", "model", "n_predict", "candidateCount", "extra_body"])
def test_what_is_counted_cannot_be_said_a_second_time_behind_its_back(hidden: str) -> None:
    wanted = asked.read(CHAT, b"application/json", f'{{"model":"a","extra_body":{{"{hidden}":1}}}}'.encode())
    assert wanted.not_theirs == (f"extra_body.{hidden}",)


PRICES = sorted(
    {
        *("input_cost_per_token", "output_cost_per_token", "input_cost_per_second", "output_cost_per_image"),
        *(
            "cost_per_second",
            "output_cost_per_second_4k",
            "cache_read_input_token_cost",
            "input_cost_per_query",
            "tiered_pricing",
        ),
        *("cache_creation_input_token_cost_above_1hr", "input_cost_per_token_above_128k_tokens"),
    }
)


@pytest.mark.parametrize("name", PRICES)
def test_no_price_is_a_clients_to_say(name: str) -> None:
    assert asked.read(CHAT, b"application/json", f'{{"model":"a","{name}":0}}'.encode()).not_theirs == (name,)


def test_a_price_is_what_litellm_takes_for_one() -> None:
    pricing = pytest.importorskip("litellm.types.utils").CustomPricingLiteLLMParams.model_fields
    said = {name: 0 for name in pricing if "cost" in name}
    wanted = asked.read(CHAT, b"application/json", json.dumps({"model": "a", **said}).encode())
    assert wanted.not_theirs == tuple(sorted(said))
    assert not asked.read(CHAT, b"application/json", b'{"model":"a","user":"cost_per","seed":1}').not_theirs


def test_what_the_operator_sets_is_not_a_clients() -> None:
    body = b'{"model":"a","custom_llm_provider":"ollama","api_base":"http://x","extra_body":{"top_k":3}}'
    assert asked.read(CHAT, b"application/json", body).not_theirs == ("api_base", "custom_llm_provider")


@pytest.mark.parametrize(
    ("body", "most", "completion"),
    [
        ('{"model":"a"}', None, OPEN_ENDED),
        ('{"model":"a"}', 16000, 16000),
        ('{"model":"a","max_tokens":10}', 16000, 10),
        ('{"model":"a","max_tokens":99999999}', 16000, 16000),
        ('{"model":"a","max_tokens":10,"n":3}', None, 30),
    ],
)
def test_money_is_reserved_for_the_longest_answer_that_may_come(body: str, most: int | None, completion: int) -> None:
    lengths = AnswerLengths()
    lengths.note("a", 5)  # answers were short so far
    there = [Deployment("1", "a", "p", "a", None, most)]
    wanted = asked.read(CHAT, b"application/json", body.encode())
    found = at_most(wanted, there, estimate(wanted, there, lengths))
    assert found == Tokens(0, completion)


@pytest.mark.parametrize(
    ("body", "completion"), [('{"model":"a"}', 16000), ('{"model":"a","max_tokens":99999}', 99999)]
)
def test_of_several_deployments_one_of_which_nobody_knows_how_much_it_says_may_answer(
    body: str, completion: int
) -> None:
    there = [Deployment(str(most), "a", "p", "a", None, most) for most in (16000, None, 8000)]
    wanted = asked.read(CHAT, b"application/json", body.encode())
    assert at_most(wanted, there, estimate(wanted, there, AnswerLengths())) == Tokens(0, completion)


@pytest.mark.parametrize(
    ("said", "completion"),
    [
        ('"max_completion_tokens":1,"max_tokens":900', 900),
        ('"max_tokens":1,"max_completion_tokens":900', 900),
        ('"max_tokens":1,"max_output_tokens":900', 900),
        ('"max_tokens":1,"n_predict":900', 900),
        ('"max_tokens":1,"num_predict":900', 900),
        ('"max_tokens":1,"options":{"num_predict":900}', 900),
        ('"max_tokens":1,"maxOutputTokens":900', 900),
        ('"max_tokens":1,"generationConfig":{"maxOutputTokens":900,"candidateCount":2}', 1800),
        ('"max_tokens":1,"max_new_tokens":900', 900),
        ('"max_tokens":1,"max_tokens_to_sample":900', 900),
        ('"max_tokens":1,"extra_body":{"n_predict":900}', 900),
        ('"max_tokens":1,"extra_body":{"options":{"num_predict":900}}', 900),
        ('"max_tokens":1,"extra_body":{"extra_body":{"max_tokens":900}}', 900),
        ('"max_tokens":1,"n_predict":"900"', 900),
        ('"max_tokens":1,"n_predict":899.5', 900),
        ('"max_tokens":1,"n_predict":null', 1),
        ('"max_tokens":1,"n_predict":-1', OPEN_ENDED),
        ('"max_tokens":9000,"n_predict":-1', 9000),
        ('"max_tokens":1,"n_predict":1e300', OPEN_ENDED),
        ('"max_tokens":1,"n_predict":Infinity', OPEN_ENDED),
        ('"max_tokens":10,"n":2.0', 20),
        ('"max_tokens":10,"n":1,"best_of":3', 30),
        ('"max_tokens":10,"candidateCount":3', 30),
        ('"max_tokens":10,"n":2,"extra_body":{"n":4}', 40),
        ('"max_tokens":10,"n":-3', 10),
        ('"max_tokens":10,"n":1e300', 2**31 - 1),
    ],
)
def test_money_is_reserved_for_the_largest_of_all_that_some_server_heeds(said: str, completion: int) -> None:
    wanted = asked.read(CHAT, b"application/json", f'{{"model":"a",{said}}}'.encode())
    assert at_most(wanted, [], estimate(wanted, [], AnswerLengths())) == Tokens(0, completion)


def test_an_endless_answer_is_as_long_as_its_model_can_and_as_answers_usually_are() -> None:
    wanted = asked.read(CHAT, b"application/json", b'{"model":"a","max_tokens":1,"n_predict":-1}')
    there = [Deployment("1", "a", "p", "a", None, 16000)]
    usual = estimate(wanted, there, AnswerLengths())
    assert (usual, at_most(wanted, there, usual)) == (Tokens(0, UNHEARD_OF), Tokens(0, 16000))


def test_money_is_reserved_for_a_prompt_of_which_each_character_is_a_token() -> None:
    wanted = asked.read(CHAT, b"application/json", '{"model":"a","max_tokens":1,"prompt":"你好世界"}'.encode())
    assert at_most(wanted, [], estimate(wanted, [], AnswerLengths())) == Tokens(4, 1)


@pytest.mark.parametrize(
    ("body", "name"),
    [
        (b'{"model":"a,b"}', "model"),
        (b'{"model":"a","background":true}', "background"),
        (b'{"model":"a","router_settings_override":{"fallbacks":[{"a":["b"]}]}}', "router_settings_override"),
    ],
)
def test_no_other_model_and_no_later_answer_behind_the_counters_back(body: bytes, name: str) -> None:
    assert asked.read(CHAT, b"application/json", body).not_theirs == (name,)


def test_what_one_reader_of_json_takes_the_usage_can_be_asked_in() -> None:
    body = b'{"model":"a","user":"\\ud83d","n":18446744073709551616,"stream":true,"stream_options":{}}'
    found = asked.read(CHAT, b"application/json", body).with_usage
    assert found is not None
    said = json.loads(found)
    assert said["stream_options"] == {"include_usage": True}


def test_what_a_client_chose_can_be_stored() -> None:
    assert plain_text("abc\ud83d\0").encode() == "abc?\ufffd".encode()


def multipart(*fields: tuple[str, str]) -> bytes:
    parts = (f'--b\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n' for name, value in fields)
    return ("".join(parts) + "--b--\r\n").encode()


def form_of(*fields: tuple[str, str], path: str = "/v1/images/edits", encoded: bool = False) -> asked.Asked:
    if encoded:
        return asked.read(path, b"application/x-www-form-urlencoded", urlencode(fields).encode())
    return asked.read(path, b"multipart/form-data; boundary=b", multipart(*fields))


@pytest.mark.parametrize("encoded", [False, True])
@pytest.mark.parametrize(
    "name",
    [
        *("fallbacks", "context_window_fallbacks", "api_base", "user_config", "model_list", "num_retries"),
        *("input_cost_per_token", "litellm_params", "extra_body", "stream_options"),
        *("api_base[]", "fallbacks[]", "fallbacks[0]", "model[]", "n[]", "max_tokens[]"),
    ],
)
def test_what_a_key_may_not_say_it_may_not_say_in_a_form(name: str, encoded: bool) -> None:
    assert form_of(("model", "a"), (name, "1"), ("image[]", "x"), encoded=encoded).not_theirs == (name,)


@pytest.mark.parametrize("encoded", [False, True])
def test_a_form_is_held_to_what_its_fields_say(encoded: bool) -> None:
    said = (("model", "a"), ("n", "1"), ("n", "3"), ("max_tokens", "900"), ("prompt", "12345678"), ("user", "u+ü"))
    found = form_of(*said, encoded=encoded)
    assert (found.model, found.answers, found.max_tokens, found.prompt, found.end_user) == ("a", 3, 900, 2, "u+ü")
    assert found.not_theirs == ()
    assert form_of(("model", "a,b"), encoded=encoded).not_theirs == ("model",)
    assert form_of(("model", "a"), ("background", "true"), encoded=encoded).not_theirs == ("background",)
    assert form_of(("model", "a"), ("stream", "true"), path=CHAT, encoded=encoded).not_theirs == ("stream",)


@pytest.mark.parametrize(
    "part",
    [
        b"Content-Disposition: form-data; name=api_base\r\n\r\nhttp://x",
        b'content-disposition:form-data;x="name=\\"y\\"";NAME="api_base"\r\nX: y\r\n\r\nhttp://x',
        b'X-1: 1\r\nContent-Disposition: form-data; name="api_base"; filename="f"\r\n\r\nhttp://x',
        b'Content-Disposition: form-data; name="model"\r\n\r\nname="user"\r\n\r\n\r\n'
        b'--b\r\nContent-Disposition: form-data; name="api_base"\r\n\r\n\r\n',
    ],
)
def test_a_form_is_read_as_litellm_reads_it(part: bytes) -> None:
    body = b"--b\r\n" + part + b"\r\n--b--\r\n"
    kind = b'Multipart/Form-Data ; charset=UTF8; boundary="b"'
    request = Request({"type": "http", "headers": [(b"content-type", kind)]}, one_message(body))
    assert "api_base" in asyncio.run(get_form_data(request))
    assert asked.read("/v1/images/edits", kind, body).not_theirs == ("api_base",)


def one_message(body: bytes) -> Callable[[], Awaitable[dict[str, object]]]:
    async def receive() -> dict[str, object]:
        return {"type": "http.request", "body": body}

    return receive


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        (b"boundary=x", b"name=model\r\n" * 100_000),
        (b"boundary=b", b'--b\r\nContent-Disposition: form-data; name="model"' + b"\r\nname=model" * 100_000),
        (b"boundary=b", multipart(*[("model", "a")] * 100_000)),
        (b"boundary=b", multipart(("model", "name=model\r\n" * 100_000))),
        (b"boundary=b; charset=punycode", multipart(("model", "a" * 100_000))),
        (b"", multipart(("model", "a"))),
    ],
)
def test_a_form_of_lines_without_end_is_read_in_a_moment(kind: bytes, body: bytes) -> None:
    started = time.process_time()
    with pytest.raises(asked.Unreadable):
        asked.read("/v1/audio/transcriptions", b"multipart/form-data; " + kind, body)
    assert time.process_time() - started < 20  # it was hours


def test_an_encoded_form_of_nothing_without_end_is_refused() -> None:
    with pytest.raises(asked.Unreadable, match="more than"):
        asked.read(CHAT, b"application/x-www-form-urlencoded", b"model=a" + b"&" * 100_000)


def test_another_name_of_a_model_is_that_model() -> None:
    body = b'{"model":"llama3:latest","fallbacks":["b:latest"]}'
    wanted = asked.read(CHAT, b"application/json", body, same={"llama3:latest": "llama3"})
    assert wanted.models == ("llama3", "b:latest")


@pytest.mark.parametrize(
    ("server", "private"), [(("/run/4711.http", None), True), (("127.0.0.1", 4000), False), (None, False)]
)
def test_only_the_unix_socket_is_private_whoever_is_gone(server: object, private: bool) -> None:
    assert is_private({"type": "http", "client": None, "server": server}) is private


@pytest.mark.parametrize(
    "name", ["Model", "MODEL", "N", "Max_Tokens", "max_to\u212aens", "\u017ftream", "Stream_Options"]
)
def test_a_field_in_a_case_that_some_servers_read_all_the_same_is_nobodys_to_say(name: str) -> None:
    body = json.dumps({"model": "a", name: 1}).encode()
    assert asked.read(CHAT, b"application/json", body).not_theirs == (name,)


def test_long_names_of_fields_are_not_remembered() -> None:
    before = asked._is_known_as_operators.cache_info().currsize
    for number in range(3):
        body = json.dumps({"model": "a", f"{number}" * 1000: 1, "input_cost_per_" + f"{number}" * 1000: 1}).encode()
        assert len(asked.read(CHAT, b"application/json", body).not_theirs) == 1
    assert asked._is_known_as_operators.cache_info().currsize <= before + 1


@pytest.mark.parametrize(
    ("path", "body"),
    [
        (CHAT, {"model": "a" * 1001}),
        (CHAT, {"model": "a", "fallbacks": ["b" * 1001]}),
        (f"/engines/{'a' * 1001}/chat/completions", {}),
    ],
)
def test_a_name_that_is_too_long_for_one_is_remembered_nowhere(path: str, body: Any) -> None:
    with pytest.raises(Invalid):
        asked.read(path, b"application/json", json.dumps(body).encode())
    assert asked.read(CHAT, b"application/json", json.dumps({"model": "a" * 1000}).encode()).model == "a" * 1000
