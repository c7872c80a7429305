"""How a prompt begins: what two requests share is seen by their digests, and nothing else is."""

from __future__ import annotations

import random
from typing import Any

import pytest

from aiops.spec.choosing.prefix import ENDS, FIRST, MOST, Prefix, prefix


def words(count: int, seed: int = 1) -> str:
    chance = random.Random(seed)
    return " ".join("".join(chance.choices("abcdefghij", k=7)) for _ in range(count))


def chat(*said: str, system: str = "Be brief.") -> dict[str, Any]:
    """Of user and assistant in turns."""
    turns = [{"role": ("user", "assistant")[at % 2], "content": text} for at, text in enumerate(said)]
    return {"messages": [{"role": "system", "content": system}, *turns]}


def made(body: dict[str, Any], model: str = "m") -> Prefix:
    found = prefix(model, body)
    assert found is not None
    return found


def shared(one: Prefix, other: Prefix) -> int:
    same = [a == b for a, b in zip(one.parts, other.parts, strict=False)]
    return same.index(False) if False in same else len(same)


def test_the_next_turn_of_a_conversation_begins_as_the_last_one_was() -> None:
    first = made(chat(words(100)))
    second = made(chat(words(100), words(80, 2), "go on"))
    assert shared(first, second) == len(first.parts) > 3
    assert first.home == second.home


def test_prompts_that_differ_share_what_comes_before_the_difference() -> None:
    document = words(1000)
    one, other = made(chat(document + " what is it?")), made(chat(document + " who wrote that?"))
    assert shared(one, other) == len([end for end in ENDS if end <= len(document)])
    assert one.home == other.home, "they begin alike"
    assert made(chat("x" + document)).home != one.home


def test_a_conversation_has_a_home_of_its_own_below_what_the_operator_wrote() -> None:
    assert made(chat("hello", system=words(500))).home != made(chat("hi", system=words(500))).home
    assert made(chat("hello", system="a")).home != made(chat("hello", system="b")).home


def test_another_model_shares_nothing() -> None:
    one, other = made(chat(words(100)), "m"), made(chat(words(100)), "n")
    assert one.home != other.home
    assert shared(one, other) == 0


def test_it_does_not_matter_how_the_same_text_is_written_down() -> None:
    text = words(100)
    plain = made({"messages": [{"role": "user", "content": text}]})
    parts = [{"cache_control": {"type": "ephemeral", "ttl": "1h"}, "type": "text", "text": text}]
    assert made({"messages": [{"role": "user", "content": parts}]}) == plain
    assert made({"input": [{"role": "user", "content": [{"type": "input_text", "text": text}]}]}) == plain
    assert made({"prompt": text}) == plain
    assert made({"input": text, "stream": True}) == plain


def test_who_says_something_matters() -> None:
    one = made({"messages": [{"role": "user", "content": "a" * 300}, {"role": "assistant", "content": "b" * 300}]})
    other = made({"messages": [{"role": "user", "content": "a" * 300}, {"role": "user", "content": "b" * 300}]})
    assert shared(one, other) == 1


def test_a_system_prompt_beside_the_messages_comes_first() -> None:
    anthropic = {"system": [{"type": "text", "text": words(60)}], "messages": [{"role": "user", "content": "hi"}]}
    assert made(anthropic) == made(chat("hi", system=words(60)))


@pytest.mark.parametrize(
    "body", [{}, {"messages": []}, {"messages": None}, {"messages": [None, 3.5]}, {"file": b"x"}, {"prompt": ""}]
)
def test_what_has_no_prompt_has_no_prefix_and_breaks_nothing(body: dict[str, Any]) -> None:
    found = prefix("m", body)
    assert found is None or not found.parts


def test_a_prompt_of_tokens_has_one_too() -> None:
    one, other = made({"prompt": [*range(2000)]}), made({"prompt": [*range(1500), 7]})
    assert 0 < shared(one, other) < len(one.parts)


def test_text_that_is_no_unicode_is_text_all_the_same() -> None:
    assert made(chat("\ud800" * FIRST)).parts


def test_a_prompt_without_end_costs_no_more_than_a_long_one() -> None:
    endless = made(chat("x" * (4 * MOST)))
    assert len(endless.parts) <= len(ENDS)
    assert endless == made(chat("x" * (8 * MOST)))
    assert made({"prompt": "x" * MOST + "a" * MOST}) == made({"prompt": "x" * MOST + "b" * MOST})
