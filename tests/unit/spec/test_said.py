"""What servers say of their load is read from the pages that they have, and from no others."""

from __future__ import annotations

import pytest

from aiops.spec.choosing.said import NEAR_FULL, Kind, Said, metrics, slots_of

# As vLLM 0.11 (vllm/v1/metrics/loggers.py) has them written: two engines, and what else is on the page.
VLLM = """\
# HELP vllm:num_requests_running Number of requests in model execution batches.
# TYPE vllm:num_requests_running gauge
vllm:num_requests_running{engine="0",model_name="org/chat"} 3.0
vllm:num_requests_running{engine="1",model_name="org/chat"} 2.0
# HELP vllm:num_requests_waiting Number of requests waiting to be processed.
# TYPE vllm:num_requests_waiting gauge
vllm:num_requests_waiting{engine="0",model_name="org/chat"} 0.0
vllm:num_requests_waiting{engine="1",model_name="org/chat"} 4.0
# HELP vllm:kv_cache_usage_perc KV-cache usage. 1 means 100 percent usage.
# TYPE vllm:kv_cache_usage_perc gauge
vllm:kv_cache_usage_perc{engine="0",model_name="org/chat"} 0.12
vllm:kv_cache_usage_perc{engine="1",model_name="org/chat"} 0.97
# HELP vllm:request_success_total Count of successfully processed requests.
# TYPE vllm:request_success_total counter
vllm:request_success_total{engine="0",finished_reason="stop",model_name="org/chat"} 12.0
"""
LLAMA_CPP = """\
# HELP llamacpp:requests_processing Number of requests processing
# TYPE llamacpp:requests_processing gauge
llamacpp:requests_processing 2
# HELP llamacpp:requests_deferred Number of requests deferred
# TYPE llamacpp:requests_deferred gauge
llamacpp:requests_deferred 5
"""


def test_vllm_says_what_runs_and_waits_in_all_its_engines_and_how_full_the_fullest_cache_is() -> None:
    assert metrics("vllm", VLLM) == Said(5, 4, 0.97)


def test_an_older_vllm_has_another_name_for_its_cache() -> None:
    assert metrics("vllm", VLLM.replace("kv_cache", "gpu_cache")) == Said(5, 4, 0.97)


def test_llama_cpp_says_what_it_works_on_and_what_it_put_off() -> None:
    assert metrics("llama_cpp", LLAMA_CPP) == Said(2, 5)


def test_slots_say_how_many_are_taken() -> None:
    assert slots_of(b'[{"id": 0, "is_processing": true}, {"id": 1, "is_processing": false}]') == Said(1)


@pytest.mark.parametrize(("kind", "page"), [("vllm", LLAMA_CPP), ("llama_cpp", VLLM), ("vllm", "<html>"), ("vllm", "")])
def test_another_page_says_nothing(kind: Kind, page: str) -> None:
    assert metrics(kind, page) is None


@pytest.mark.parametrize("page", [b'{"error": 1}', b"[1]", b"null"])
def test_something_else_than_slots_says_nothing(page: bytes) -> None:
    assert slots_of(page) is None


@pytest.mark.parametrize("value", ["NaN", "Inf", "many", ""])
def test_what_is_no_number_of_requests_is_refused(value: str) -> None:
    with pytest.raises((ValueError, OverflowError)):
        metrics("vllm", VLLM.replace("4.0", value))


def test_it_is_full_when_requests_wait_or_its_cache_is_nearly_used_up() -> None:
    assert [Said(9).is_full, Said(9, 0, 0.5).is_full, Said(1, 1).is_full, Said(1, 0, NEAR_FULL).is_full] == [
        False,
        False,
        True,
        True,
    ]


def test_of_a_long_page_only_the_lines_that_count_are_read() -> None:
    """Reading a thousand others takes longer than a request; here they could not be read at all."""
    assert metrics("vllm", VLLM + 'vllm:time_to_first_token_seconds_bucket{engine="0\n' * 1000) == Said(5, 4, 0.97)
