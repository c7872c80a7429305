"""What is wrong is shown as it is written, with a caret below it and without secrets."""

from __future__ import annotations

from pathlib import Path

import pytest

from aiops.errors import InvalidState, Problem
from aiops.spec.load.excerpt import LONGEST, with_excerpt
from aiops.spec.load.load import load
from aiops.spec.sources import FILES

CASES = Path(__file__).resolve().parents[2] / "cases" / "bad"


def excerpt(line: str, message: str = "it is wrong", column: int = 0, before: str = "") -> str:
    text = f"{before}\n{line}\n"
    return with_excerpt(Problem("providers.yaml", 2, message, column=column), text).excerpt


def test_the_caret_is_below_what_the_message_names() -> None:
    assert excerpt("    modles: [a, b]", "unknown key `providers.x.modles`").splitlines() == [
        "2 |     modles: [a, b]",
        "        ^^^^^^",
    ]


def test_without_a_name_in_it_all_that_is_written_is_meant() -> None:
    assert excerpt("  a: b").splitlines() == ["2 |   a: b", "      ^^^^"]


def test_a_syntax_error_has_its_own_column() -> None:
    assert excerpt("  a: b: c", column=7).splitlines()[1] == "          ^"


def test_a_problem_without_a_line_and_an_empty_line_show_nothing() -> None:
    assert with_excerpt(Problem("f", 0, "it is missing"), "a: b\n").excerpt == ""
    assert excerpt("   ") == ""


def test_a_long_line_is_cut_around_what_is_wrong() -> None:
    line, caret = excerpt(f"x: [{'word, ' * 50}`, wrong, {'word, ' * 50}]", "`wrong` is").splitlines()
    assert len(line) <= LONGEST + 10
    assert line[caret.index("^") : caret.rindex("^") + 1] == "wrong"


@pytest.mark.parametrize(
    "line",
    [
        "  api_key: hunter22",
        "  api_key hunter22",
        "  - {name: x, API-KEY: hunter22, b: c}",
        "  base_url: http://me:hunter22@h:1",
        "  note: Bearer hunter22hunter22hunter22",
        "  note: hunter22hunter22hunter22",
        "  password: 'hunter22",
    ],
)
def test_secrets_are_not_shown(line: str) -> None:
    shown = excerpt(line)
    assert "hunter22" not in shown
    assert "***" in shown


def test_the_lines_of_a_secret_are_not_shown_at_all() -> None:
    assert excerpt("    hunter22", before="  api_key: |") == ""


def test_control_characters_do_not_reach_the_terminal() -> None:
    assert excerpt("  a: \x1b[31mred").splitlines()[0] == "2 |   a: ?[31mred"


def test_of_all_bad_cases_the_lines_are_shown_and_no_secret() -> None:
    secrets = ("not-a-real-key", "notarealkey", "hunter22")
    shown = 0
    for case in sorted(CASES.iterdir()):
        with pytest.raises(InvalidState) as caught:
            load({file: (case / file).read_bytes() for file in FILES if (case / file).exists()}, {})
        told = caught.value.shown
        assert [secret for secret in secrets if secret in told] == [], case.name
        for problem in caught.value.problems:
            assert f"  {problem}" in told
            shown += problem.excerpt != ""
    assert shown > 100


def test_the_carets_of_a_real_mistake_are_where_it_is() -> None:
    sources = {
        "aiops.yaml": b"gateway: {port: 4000}\n",
        "providers.yaml": b"providers:\n  p: {type: vlm, models: [m]}\n",
    }
    with pytest.raises(InvalidState) as caught:
        load(sources, {})
    assert "    2 |   p: {type: vlm, models: [m]}\n" + " " * 20 + "^^^\n" in caught.value.shown + "\n"
    assert "^" not in caught.value.message, "programs get the problems, not the picture"
