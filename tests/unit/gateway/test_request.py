"""What can be asked about a request."""

from __future__ import annotations

from typing import Any

import pytest

from aiops.gateway.worker.request import batch_size, facts

PICTURE = {"type": "image_url", "image_url": {"url": "data:image/png;base64," + "A" * 4000}}


@pytest.mark.parametrize(
    ("body", "tokens"),
    [
        ({"messages": [{"role": "user", "content": "x" * 8}, {"role": "assistant", "content": "y" * 4}]}, 3),
        ({"messages": [{"role": "user", "content": [{"type": "text", "text": "x" * 8}, PICTURE]}]}, 2),
        ({"messages": [{"role": "user", "content": "x" * 4}], "system": "s" * 4}, 2),
        ({"prompt": "x" * 5}, 2),
        ({"prompt": [1, 2, 3]}, 3),
        ({"input": ["x" * 4, "y" * 4]}, 2),
        ({"input": [{"role": "user", "content": "x" * 4}], "instructions": "y" * 4}, 2),
        ({"messages": None}, 0),
        ({}, 0),
    ],
)
def test_the_prompt_is_measured_whatever_its_shape(body: dict[str, Any], tokens: int) -> None:
    assert facts("m", body, ()).tokens == tokens


@pytest.mark.parametrize(
    ("body", "size"),
    [
        ({"input": ["a", "b", "c"]}, 3),
        ({"prompt": [[1], [2]]}, 2),
        ({"prompt": [1, 2]}, 1),
        ({"input": "a"}, 1),
        ({}, 1),
    ],
)
def test_a_batch_is_several_prompts_in_one_request(body: dict[str, Any], size: int) -> None:
    assert batch_size(body) == size
    assert facts("m", body, ()).batch_mode is (size > 1)


def test_headers_are_known_by_their_lower_case_names() -> None:
    known = facts("m", {"stream": True}, [(b"X-Quality-Tier", b"High"), (b"x-batch", b"true"), (b"x-team", b"Blue")])
    assert (known.quality_tier, known.batch_mode, known.headers["x-team"]) == ("high", True, "Blue")
    assert known.stream is True
