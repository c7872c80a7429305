"""What the rules see of a request."""

from __future__ import annotations

import pytest

from aiops.spec.choosing.conditions import Facts
from aiops.spec.choosing.request_facts import complexity, facts_of


@pytest.mark.parametrize(("tokens", "level"), [(0, "low"), (50, "low"), (51, "medium"), (100, "medium"), (101, "high")])
def test_complexity_goes_by_the_length_of_the_prompt(tokens: int, level: str) -> None:
    assert complexity(tokens) == level


def seen(batch_size: int = 1, **headers: str) -> Facts:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return facts_of("m", headers=named, tokens=0, length=0, stream=False, batch_size=batch_size)


def test_several_inputs_or_a_header_make_a_batch() -> None:
    assert not seen().batch_mode
    assert seen(batch_size=2).batch_mode
    assert seen(x_batch="TRUE").batch_mode
    assert not seen(x_batch="no").batch_mode


def test_the_quality_that_is_asked_for_is_a_header() -> None:
    assert seen().quality_tier == "standard"
    assert seen(x_quality_tier=" High ").quality_tier == "high"
