"""The file of variables, as an operator writes it."""

from __future__ import annotations

import pytest

from aiops.spec.env_file import Dialect, parse


def test_a_value_is_everything_behind_the_first_sign_as_it_is() -> None:
    assert parse('A=1\n\n# B=2\n  # C=3\n D =x=y"z" \nnothing\nE=\n') == {"A": "1", "D": 'x=y"z" ', "E": ""}


@pytest.mark.parametrize(
    ("line", "plain", "systemd", "dotenv"),
    [
        ('A="x y"', '"x y"', "x y", "x y"),
        ("A='x y'", "'x y'", "x y", "x y"),
        (r'A="x \"y\" \$z"', r'"x \"y\" \$z"', 'x "y" $z', r"x \"y\" \$z"),
        (r"A='x \$z'", r"'x \$z'", r"x \$z", r"x \$z"),
        ("A= x ", " x ", "x", "x"),
        ("A=", "", "", None),
        ('A="', '"', '"', '"'),
        ("A=b=c", "b=c", "b=c", "b=c"),
        (" A=x", "x", None, "x"),
        ("export A=x", None, None, "x"),
        ("# A=x", None, None, None),
        ("A", None, None, None),
    ],
)
def test_each_dialect_reads_a_line_in_its_own_way(
    line: str, plain: str | None, systemd: str | None, dotenv: str | None
) -> None:
    read = {dialect: parse(line, dialect).get("A") for dialect in Dialect}
    assert read == {Dialect.PLAIN: plain, Dialect.SYSTEMD: systemd, Dialect.DOTENV: dotenv}
