"""What a proof of an import sees: each kind of difference, with the line, and whether it was meant."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import httpx
import pytest

from aiops.actions.importing.answers import NO_ANSWER, Answered, Reply, reply
from aiops.actions.importing.compare import differences, facts
from aiops.actions.importing.double import Arrived, doubles
from aiops.actions.importing.questions import Question, questions
from aiops.actions.importing.redirect import Asked, redirect
from aiops.importing.report import Entry, Fate
from aiops.spec.yaml.yaml12 import parse

QUESTION = Question(1001, "m", "chat", "/v1/chat/completions", {})
ALL_FAIL = replace(QUESTION, endpoint="chat while all fail", fails_all=True)
SAME = Arrived("http://gpu:8000", "/v1/chat/completions", "k", {"x-a": "1", "host": "h"}, {"model": "m", "top_k": 1})
OTHER = replace(SAME, at="http://other:8000")
OF = Asked("m", (7,), "chat", ("openai/m",))
SEVERAL = replace(OF, lines=(7, 9), models=("openai/m", "openai/n"))
ANSWER = Reply(200, {"choices[0].message.content": "hi"}, "application/json")


def side(*arrived: Arrived, **answer: Any) -> Answered:
    return Answered(arrived or (SAME,), (replace(ANSWER, **answer),))


def many(*arrived: Arrived) -> Answered:
    return Answered(arrived, (ANSWER,) * len(arrived))


@pytest.mark.parametrize(
    ("other", "what"),
    [
        (side(replace(SAME, path="/chat/completions")), "path"),
        (side(OTHER), "server"),
        (side(SAME, SAME), "requests to providers"),
        (side(replace(SAME, body={"model": "m"})), "body `top_k`"),
        (side(replace(SAME, headers={"x-a": "2"})), "header `x-a`"),
        (side(status=500), "status"),
        (side(status=NO_ANSWER), "status"),
        (side(cost="0.1"), "x-litellm-response-cost"),
        (side(kind="text/event-stream"), "content-type"),
        (side(body={}), "answer `choices[0].message.content`"),
        (side(body={**ANSWER.body, "choices[0].message.role": "tool"}), "answer `choices[0].message.role`"),
    ],
)
def test_each_difference_is_seen_with_its_line(other: Answered, what: str) -> None:
    [found] = differences(QUESTION, OF, side(cost="0.2"), replace_cost(other))
    assert (found.what, found.line, found.why) == (what, 7, "")


def replace_cost(side: Answered) -> Answered:
    """With the cost that is expected, unless it says another."""
    return replace(side, replies=tuple(replace(each, cost=each.cost or "0.2") for each in side.replies))


def test_two_failures_of_another_kind_are_different() -> None:
    [found] = differences(QUESTION, OF, side(status=503), side(status=500))
    assert (found.what, found.stock, found.candidate) == ("status", "[503]", "[500]")


def test_the_same_is_no_difference_and_who_asks_does_not_count() -> None:
    other = replace(SAME, headers={"x-a": "1", "host": "elsewhere", "user-agent": "x"})
    assert list(differences(QUESTION, OF, side(), side(other))) == []


def test_a_key_is_never_shown() -> None:
    [found] = differences(QUESTION, OF, side(), side(replace(SAME, key="sk-secret")))
    assert (found.what, found.why) == ("key", "")
    for nobodys in ("", "fake-api-key"):
        [none] = differences(QUESTION, OF, side(replace(SAME, key=nobodys)), side(replace(SAME, key="none")))
        assert "no key" in none.why
    [order] = differences(ALL_FAIL, OF, side(), side(replace(SAME, key="sk-secret")))
    assert "sk-secret" not in f"{found}{order}"


def test_what_is_meant_has_its_reason() -> None:
    was = side(replace(SAME, path="/api/generate"))
    [found] = differences(QUESTION, OF, was, side(replace(SAME, path="/api/chat", body={})))
    assert "template" in found.why


def test_what_the_import_said_it_cannot_do_is_meant_and_nothing_else_is() -> None:
    said = replace(OF, decisions={"top_k": "only its server knows"})
    [found] = differences(QUESTION, said, side(), side(replace(SAME, body={"model": "m"})))
    assert found.why == "only its server knows"
    [other] = differences(QUESTION, said, side(), side(replace(SAME, body={"model": "n", "top_k": 1})))
    assert other.why == ""


def test_seconds_until_a_provider_is_given_up_are_compared() -> None:
    six, ten = (replace(SAME, headers={**SAME.headers, "x-stainless-read-timeout": text}) for text in ("600.0", "10.0"))
    [found] = differences(QUESTION, OF, side(six), side(ten))
    assert (found.what, found.why) == ("seconds until it is given up", "")
    assert list(differences(QUESTION, OF, side(six), side(six))) == []
    same = replace(SAME, headers={**SAME.headers, "x-stainless-read-timeout": "600"})
    assert list(differences(QUESTION, OF, side(same), side(six))) == [], "written otherwise"


def test_a_names_own_time_out_may_count_for_its_streams_where_litellm_took_that_of_all() -> None:
    long, short = (replace(SAME, headers={**SAME.headers, "x-stainless-read-timeout": text}) for text in ("200", "30"))
    stream = replace(QUESTION, endpoint="stream")
    of = replace(OF, facts=frozenset({"timeout"}))
    assert [each.why != "" for each in differences(stream, of, side(long), side(short))] == [True]
    assert [each.why for each in differences(stream, of, side(short), side(long))] == [""], "it may not get longer"
    assert [each.why for each in differences(stream, OF, side(long), side(short))] == [""], "none is written for it"


@pytest.mark.parametrize(
    ("was", "now", "what"),
    [
        ((SAME, SAME, OTHER), (SAME, OTHER), "tries while all fail"),
        ((SAME, OTHER), (OTHER, SAME), "who is asked while all fail"),
        ((SAME, OTHER), (SAME,), "who is asked while all fail"),
    ],
)
def test_who_is_asked_after_whom_is_compared(was: tuple[Arrived, ...], now: tuple[Arrived, ...], what: str) -> None:
    asked = (Answered(each, (Reply(503),)) for each in (was, now))
    assert what in [each.what for each in differences(ALL_FAIL, OF, *asked)]


def failed(*arrived: Arrived) -> Answered:
    return Answered(arrived, (Reply(503),))


def test_among_several_a_deployment_that_nobody_turns_to_is_seen() -> None:
    of = replace(SEVERAL, groups={(each.at, "m"): frozenset(("m",)) for each in (SAME, OTHER)})
    assert list(differences(ALL_FAIL, of, failed(SAME, OTHER), failed(OTHER, SAME))) == []
    [fewer] = differences(ALL_FAIL, of, failed(SAME, OTHER), failed(SAME, SAME))
    assert (fewer.what, fewer.why) == ("who is asked while all fail", "")
    [more] = differences(ALL_FAIL, of, failed(SAME, SAME), failed(SAME, OTHER))
    assert "every deployment" in more.why


def test_which_deployment_of_a_fallback_is_asked_is_chance_and_that_it_is_asked_is_not() -> None:
    first = replace(SAME, body={"model": "first"})
    of = replace(OF, groups={(each.at, "m"): frozenset(("next",)) for each in (SAME, OTHER)})
    assert list(differences(ALL_FAIL, of, failed(first, SAME), failed(first, OTHER, SAME))) == []
    [without] = differences(ALL_FAIL, of, failed(first, SAME), failed(first))
    assert without.stock.endswith("> next")


def test_a_group_of_which_one_gets_all_is_seen() -> None:
    asked = replace(QUESTION, times=12)
    even = many(*(SAME,) * 6, *(OTHER,) * 6)
    assert [each.what for each in differences(asked, SEVERAL, even, many(*(SAME,) * 12))] == ["who shares"]
    assert list(differences(asked, SEVERAL, even, many(*(SAME,) * 9, *(OTHER,) * 3))) == []


def test_one_that_is_asked_seldom_may_be_missed_by_chance() -> None:
    asked, rare = replace(QUESTION, times=12), many(*(SAME,) * 11, OTHER)
    assert list(differences(asked, SEVERAL, rare, many(*(SAME,) * 12))) == []
    often = rare + rare + rare + rare + many(*(OTHER,) * 12)
    assert [each.what for each in differences(asked, SEVERAL, often, many(*(SAME,) * 60))] == ["who shares"]


def test_what_is_known_of_a_model_is_compared() -> None:
    priced = {"input_cost_per_token": 1e-6, "supports_vision": True, "id": "1", "max_tokens": 5}
    told = {**priced, "id": "2", "supports_vision": False}
    [found] = facts(OF, priced, told)
    assert (found.what, found.why) == ("supports_vision", "")
    assert list(facts(OF, {"input_cost_per_token": None}, {"input_cost_per_token": 0.0})) == []


def test_what_litellm_guessed_may_differ_and_what_was_written_may_not() -> None:
    was, now = {"supports_reasoning": True}, {"supports_reasoning": False}
    [guessed] = facts(OF, was, now)
    assert "guesses" in guessed.why
    [written] = facts(replace(OF, facts=frozenset(was)), was, now)
    assert written.why == ""


def test_of_an_answer_what_is_made_up_anew_is_left_out() -> None:
    def answer(**content: Any) -> Reply:
        return reply(httpx.Response(200, json=content, headers={"x-litellm-response-cost": "0.5"}))

    one = answer(id="1", created=1, choices=[{"message": {"content": "hi", "tool_calls": None}}])
    other = answer(id="2", created=2, choices=[{"message": {"content": "hi"}}])
    assert one == other
    assert (one.body, one.cost) == ({"choices[0].message.content": "hi"}, "0.5")
    lines = ['data: {"id": "%s", "choices": [{"delta": {"content": "hi"}}]}', "data: [DONE]", ""]
    text = "\n\n".join(lines)
    streams = [
        reply(httpx.Response(200, text=text % number, headers={"content-type": "text/event-stream"})) for number in "12"
    ]
    assert streams[0] == streams[1]
    assert streams[0].body == {"event.choices[0].delta.content": "hi", "event": "[DONE]"}


def test_of_an_error_its_kind_counts_and_not_its_words() -> None:
    def failed(message: str, kind: str) -> Reply:
        return reply(httpx.Response(400, json={"error": {"message": message, "type": kind}}))

    assert failed("a", "x") == failed("b", "x") != failed("a", "y")


def test_every_address_is_pointed_at_a_double_and_what_has_none_is_left_out() -> None:
    text = b"""model_list:
  - {model_name: a, litellm_params: {model: openai/a, api_base: "https://gpu/v1?x=1", api_key: os.environ/K}}
  - {model_name: b, litellm_params: {model: bedrock/b}}
  - {model_name: c, litellm_params: {model: openai/c}}
litellm_settings: {callbacks: [langfuse]}
"""
    made = redirect(parse("c", text), {}, lambda origin: f"http://double/{origin.partition('://')[2]}", "key")
    data: dict[str, Any] = parse("c", made.content).data
    bases = [each["litellm_params"]["api_base"] for each in data["model_list"]]
    assert bases == ["http://double/gpu/v1?x=1", "http://double/api.openai.com/v1"]
    assert made.left_out == [("b", 3, "nobody else can stand where its provider is")]
    assert "langfuse" not in made.content.decode()
    assert made.environment["K"]


def test_every_mode_is_asked_in_its_own_way_and_the_double_notes_it() -> None:
    modes = ("chat", "embedding", "rerank", "moderation", "image_generation", "audio_speech", "responses")
    asked = [Asked(mode, (1,), mode, ("openai/m",)) for mode in modes]
    with doubles() as servers:
        url = servers.address("http://gpu:8000")
        for question in questions(asked):
            if "timeout" in question.body:
                continue
            answer = httpx.post(url + question.path, json=question.body, trust_env=False)
            [arrived] = servers.journal.take(str(question.number))
            assert (arrived.at, arrived.path) == ("http://gpu:8000", question.path)
            assert (answer.status_code == 200) == (not question.breaks), question.endpoint


def test_a_provider_that_does_not_answer_is_waited_for_until_patience_is_lost() -> None:
    asked = [each for each in questions([OF]) if each.endpoint == "chat after a time-out"]
    [question] = asked
    assert question.body["timeout"] > 0
    with doubles() as servers:
        url = servers.address("http://gpu:8000") + question.path
        with pytest.raises(httpx.ReadTimeout):
            httpx.post(url, json=question.body, timeout=0.2, trust_env=False)
        assert httpx.post(url, json=question.body, trust_env=False).status_code == 200
        assert len(servers.journal.take(str(question.number))) == 2


ALIASES = b"""model_list:
  - {model_name: a, litellm_params: {model: openai/a, api_base: "http://gpu/v1"}}
  - {model_name: a, litellm_params: {model: jina_ai/a, api_base: "http://gpu/v1"}}
  - {model_name: w, litellm_params: {model: whisper-1}}
router_settings: {allowed_fails: 3, cooldown_time: 60, model_group_alias: {quick: a, quiet: {model: a, hidden: true}}}
"""


def test_second_names_are_asked_too_and_what_was_set_aside_is_not() -> None:
    aside = Entry("c", 3, "model_list[1].model_name", Fate.DECISION, "no such type", under="model_list[1]")
    told = Entry("c", 2, "x", Fate.DECISION, "no tags", under="model_list[0].litellm_params.tags")
    made = redirect(parse("c", ALIASES), {}, lambda _: "http://double", "key", [aside, told])
    names = {each.name: each for each in made.names}
    assert (names["a"].lines, names["quick"].lines, names["quiet"].lines) == ((2,), (5,), (5,))
    assert (names["quick"].listed, names["quiet"].listed) == (True, False)
    assert names["a"].decisions == {"tags": "no tags"}
    assert names["w"].models == ("whisper-1",)
    assert made.left_out == [("a", 3, "no such type")]
    router = parse("c", made.content).data["router_settings"]
    assert router["disable_cooldowns"] is True
    assert not {"allowed_fails", "cooldown_time"} & router.keys()
