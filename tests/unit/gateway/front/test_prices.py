"""What a token costs, from entries as LiteLLM's map really has them."""

from __future__ import annotations

from typing import Any

import pytest

from aiops.gateway.worker.prices import Price, Prices, Tokens


def price_of(entry: dict[str, Any]) -> Price | None:
    model = {"model_name": "m", "litellm_params": {"model": "openai/m"}, "model_info": {"id": "1", "provider": "p"}}
    deployment = Prices([model], frozenset(), {"m": entry}).deployment("1")
    assert deployment is not None
    return deployment.price


@pytest.mark.parametrize(
    "entry",
    [
        {"input_cost_per_token": 1e-6, "output_cost_per_token": 2e-6},
        {
            "input_cost_per_token": 1e-6,
            "output_cost_per_token": 2e-6,
            # What LiteLLM registers for a deployment has each key that it knows.
            "input_cost_per_token_above_128k_tokens": None,
            "output_cost_per_token_above_128k_tokens": None,
            "cache_read_input_token_cost": None,
        },
    ],
)
def test_what_an_entry_leaves_open_is_as_if_it_were_not_there(entry: dict[str, Any]) -> None:
    price = price_of(entry)
    assert price is not None
    assert price.cost(Tokens(prompt=1_000_000, completion=1_000_000)) == 3_000_000_000


def test_of_two_thresholds_the_one_that_is_known_holds() -> None:
    price = price_of(
        {
            "input_cost_per_token": 1e-6,
            "output_cost_per_token": 2e-6,
            "input_cost_per_token_above_128k_tokens": None,
            "input_cost_per_token_above_200k_tokens": 2e-6,
        }
    )
    assert price is not None
    assert price.cost(Tokens(prompt=200_000)) == 200_000_000
    assert price.cost(Tokens(prompt=200_001)) == 400_002_000


@pytest.mark.parametrize("written", [None, "0.1", True])
def test_a_price_that_is_no_number_is_not_known(written: object) -> None:
    assert price_of({"input_cost_per_token": written, "output_cost_per_token": 1e-6}) is None
