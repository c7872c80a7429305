"""What a proof of an import sees: each kind of difference, with the line, and whether it was meant."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import httpx
import pytest

from aiops.actions.importing.compare import Answered, differences, facts
from aiops.actions.importing.double import Arrived, doubles
from aiops.actions.importing.questions import Question, questions
from aiops.actions.importing.redirect import Asked, redirect
from aiops.spec.yaml.yaml12 import parse

QUESTION = Question(1001, "m", "chat", "/v1/chat/completions", {})
SAME = Arrived("http://gpu:8000", "/v1/chat/completions", "k", {"x-a": "1", "host": "h"}, {"model": "m", "top_k": 1})


def side(*arrived: Arrived, status: int = 200, cost: str | None = None) -> Answered:
    return Answered(arrived or (SAME,), (status,), cost)


@pytest.mark.parametrize(
    ("other", "what"),
    [
        (side(replace(SAME, path="/chat/completions")), "path"),
        (side(replace(SAME, at="http://other:8000")), "requests to providers"),
        (side(replace(SAME, body={"model": "m"})), "body `top_k`"),
        (side(replace(SAME, headers={"x-a": "2"})), "header `x-a`"),
        (side(SAME, SAME), "requests to providers"),
        (side(status=500), "status"),
        (side(cost="0.1"), "x-litellm-response-cost"),
    ],
)
def test_each_difference_is_seen_with_its_line(other: Answered, what: str) -> None:
    if what == "requests to providers" and len(other.arrived) == 1:
        other = Answered((*other.arrived, *other.arrived), (200,))
    found = list(differences(QUESTION, 7, side(), other))
    assert what in [each.what for each in found]
    assert all(each.line == 7 for each in found)


def test_the_same_is_no_difference_and_who_asks_does_not_count() -> None:
    other = replace(SAME, headers={"x-a": "1", "host": "elsewhere", "user-agent": "x"})
    assert list(differences(QUESTION, 7, side(), side(other))) == []


def test_a_key_is_never_shown() -> None:
    [found] = differences(QUESTION, 7, side(), side(replace(SAME, key="sk-secret")))
    assert (found.what, found.why) == ("key", "")
    [none] = differences(QUESTION, 7, side(replace(SAME, key="")), side(replace(SAME, key="none")))
    assert "no key" in none.why
    assert "sk-secret" not in str(found)


def test_what_is_meant_has_its_reason() -> None:
    was = side(replace(SAME, path="/api/generate"))
    [found] = differences(QUESTION, 7, was, side(replace(SAME, path="/api/chat", body={})))
    assert "template" in found.why


def test_a_group_of_which_one_gets_all_is_seen() -> None:
    many = replace(QUESTION, times=12)
    other = replace(SAME, at="http://other:8000")
    shared = Answered((SAME,) * 6 + (other,) * 6, (200,) * 12)
    assert [each.what for each in differences(many, 7, shared, Answered((SAME,) * 12, (200,) * 12))] == ["who shares"]
    assert list(differences(many, 7, shared, Answered((SAME,) * 9 + (other,) * 3, (200,) * 12))) == []


def test_prices_are_compared_where_the_original_had_them() -> None:
    assert [each.what for each in facts("m", 3, {"input_cost_per_token": 1e-6}, {})] == ["input_cost_per_token"]
    assert list(facts("m", 3, {"input_cost_per_token": None}, {"input_cost_per_token": 0.0})) == []


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
    assert made.left_out == [("b", 3)]
    assert "langfuse" not in made.content.decode()
    assert made.environment["K"]


def test_every_mode_is_asked_in_its_own_way_and_the_double_notes_it() -> None:
    modes = ("chat", "embedding", "rerank", "moderation", "image_generation", "audio_speech", "responses")
    asked = [Asked(mode, (1,), mode, ("openai/m",)) for mode in modes]
    with doubles() as servers:
        url = servers.address("http://gpu:8000")
        for question in questions(asked):
            answer = httpx.post(url + question.path, json=question.body, trust_env=False)
            [arrived] = servers.journal.take(str(question.number))
            assert (arrived.at, arrived.path) == ("http://gpu:8000", question.path)
            assert (answer.status_code == 200) == ("after" not in question.endpoint), question.endpoint
