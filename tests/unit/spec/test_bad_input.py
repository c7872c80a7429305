"""Bad input is refused with every problem at once, each with file, line and a hint. tests/cases/bad holds the cases."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from aiops.errors import InvalidState
from aiops.spec.load.load import load
from aiops.spec.sources import FILES

CASES = Path(__file__).resolve().parents[2] / "cases" / "bad"
GOOD = {
    "aiops.yaml": b"gateway: {port: 4000}\n",
    "providers.yaml": b"providers: {p: {type: vllm, base_url: 'http://127.0.0.1:8000', models: [m]}}\n",
}


def problems(sources: dict[str, bytes]) -> list[str]:
    with pytest.raises(InvalidState) as caught:
        load(sources, {})
    assert caught.value.exit_code == 3
    return [str(problem) for problem in caught.value.problems]


@pytest.mark.parametrize("case", sorted(CASES.iterdir()), ids=lambda case: case.name)
def test_every_problem_is_reported_in_these_words(case: Path) -> None:
    sources = {file: (case / file).read_bytes() for file in FILES if (case / file).exists()}
    if os.environ.get("AIOPS_UPDATE_CASES"):  # then read the difference before it is committed
        case.joinpath("expected.txt").write_text("".join(f"{line}\n" for line in problems(sources)))
    assert problems(sources) == (case / "expected.txt").read_text().splitlines()


def test_no_message_repeats_a_secret() -> None:
    secrets = ("not-a-real-key", "notarealkey", "hunter22")
    written = "".join(path.read_text() for path in CASES.glob("*/*.yaml"))
    assert [secret for secret in secrets if secret not in written] == []
    for case in CASES.iterdir():
        expected = (case / "expected.txt").read_text()
        assert [secret for secret in secrets if secret in expected] == []


def test_what_is_not_utf8_is_named_by_byte_and_line_and_the_other_files_are_still_checked() -> None:
    found = problems({"aiops.yaml": b"gateway: {}\n", "providers.yaml": b"# ok\nproviders: {\xff: 1}\n"})
    assert found == [
        "aiops.yaml:1: `gateway.port` is missing",
        "providers.yaml:2: not UTF-8: byte 0xff at offset 17 (save it as UTF-8)",
    ]


@pytest.mark.parametrize("byte", [b"\0", b"\x07", b"\x1b", b"\x7f"])
def test_control_characters_are_refused(byte: bytes) -> None:
    found = problems({**GOOD, "providers.yaml": b"providers: {}\n# " + byte})
    assert found[0].startswith(f"providers.yaml:2: control character U+{byte[0]:04X}")


def test_a_file_of_50_megabytes_is_refused_before_it_is_parsed() -> None:
    started = time.process_time()
    found = problems({**GOOD, "providers.yaml": b"# x\n" * 12_500_000})
    assert found == ["providers.yaml: the file is 48 MiB, more than the 16 MiB that are read"]
    assert time.process_time() - started < 10  # seconds of CPU: it is not parsed


def test_a_yaml_bomb_is_refused_before_it_goes_off() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]" for i in range(1, 12)]
    started = time.process_time()
    found = problems({**GOOD, "model-mappings.yaml": "\n".join(lines).encode()})
    hint = "(aliases inside aliases multiply)"
    assert found == [f"model-mappings.yaml: expands to more than 1,000,000 values {hint}"]
    assert time.process_time() - started < 20  # seconds of CPU; expanded it would be 10^12 values


@pytest.mark.parametrize("opening", [b"[", b"{a: ", b"- "])
def test_nesting_without_end_is_refused_and_does_not_overflow_the_stack(opening: bytes) -> None:
    found = problems({**GOOD, "model-mappings.yaml": opening * 100_000})
    assert found == ["model-mappings.yaml:1: nested deeper than 100 levels"]


def test_a_broken_provider_does_not_make_those_who_refer_to_it_wrong() -> None:
    providers = b"providers:\n  p: {type: vllm, base_url: nowhere, models: [m]}\n"
    mappings = (
        b"exact_matches:\n  fast: {provider: p, backend_model: m, fallback: m}\nfallback_chains:\n  m: [m, fast]\n"
    )
    found = problems({**GOOD, "providers.yaml": providers, "model-mappings.yaml": mappings})
    assert [line.partition(": ")[0] for line in found] == ["model-mappings.yaml:4", "providers.yaml:2"]
    assert "contains itself" in found[0]


def test_patterns_that_are_small_each_may_be_too_large_together() -> None:
    steps = "".join(f"{letter}{{990}}" for letter in "abcd")
    patterns = "patterns:\n" + "".join(f"  - {{pattern: '^{i}{steps}', provider: p}}\n" for i in range(130))
    [found] = problems({**GOOD, "model-mappings.yaml": patterns.encode()})
    assert found.startswith("model-mappings.yaml:1: all patterns together compile to ")
    assert "more than 500,000 (use fewer or smaller `{n}`)" in found


def test_ten_thousand_unknown_names_are_reported_within_seconds() -> None:
    mappings = "exact_matches:\n" + "".join(
        f"  n{i}: {{provider: p, backend_model: m, fallback: g{i}}}\n" for i in range(10_000)
    )
    started = time.process_time()
    assert len(problems({**GOOD, "model-mappings.yaml": mappings.encode()})) == 10_000
    assert time.process_time() - started < 30  # seconds of CPU
