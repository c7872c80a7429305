"""The file of variables, as an operator writes it."""

from __future__ import annotations

from aiops.spec.env_file import parse


def test_a_value_is_everything_behind_the_first_sign_as_it_is() -> None:
    assert parse('A=1\n\n# B=2\n  # C=3\n D =x=y"z" \nnothing\nE=\n') == {"A": "1", "D": 'x=y"z" ', "E": ""}
