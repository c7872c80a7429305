"""Files of variables, ``NAME=value``, one a line, in the three dialects there are. Others write two of them.

Blank lines and lines that begin with # are comments in each; so is what is no assignment at all.
"""

from __future__ import annotations

import re
from enum import Enum

_QUOTED = re.compile(r"""'[^']*'|"(?:\\.|[^"\\])*\"""")
_SYSTEMD_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


class Dialect(Enum):
    """``PLAIN`` is ``secrets/env``: the value is all that follows the first sign, as it is; no quotes, no escapes.

    ``SYSTEMD`` is systemd.exec(5) as far as the variables of provider units need it: quotes, and within double ones
    escapes. ``DOTENV`` is a ``.env`` as shells and docker compose read it: ``export``, quotes, and comments behind a
    value; an empty value is none.
    """

    PLAIN = "plain"
    SYSTEMD = "systemd"
    DOTENV = "dotenv"


def parse(text: str, dialect: Dialect = Dialect.PLAIN) -> dict[str, str]:
    """Name -> value. Of two lines with the same name the last one holds."""
    return dict(pair for line in text.splitlines() if (pair := assigned(line, dialect)) is not None)


def assigned(line: str, dialect: Dialect = Dialect.PLAIN) -> tuple[str, str] | None:
    """The name and the value that one line sets; None when it sets nothing."""
    name, equals, value = line.partition("=")
    if not equals or line.lstrip().startswith("#"):
        return None
    if dialect is Dialect.PLAIN:
        return name.strip(), value
    if dialect is Dialect.SYSTEMD:
        return (name, _unescaped(value.strip())) if _SYSTEMD_NAME.fullmatch(name) else None
    name, value = name.strip().removeprefix("export ").strip(), _uncommented(value.strip())
    return (name, value) if name.isidentifier() and value else None


def _uncommented(value: str) -> str:
    """Without its quotes, and without the comment behind it: what comes after a blank and ``#``."""
    if quoted := _QUOTED.match(value):
        return quoted.group()[1:-1]
    return re.split(r"(?:^|\s)#", value, maxsplit=1)[0].rstrip()


def _unquoted(value: str) -> str:
    return value[1:-1] if len(value) > 1 and value[0] == value[-1] and value[0] in "\"'" else value


def _unescaped(value: str) -> str:
    inner = _unquoted(value)
    return re.sub(r'\\(["\\$`])', r"\1", inner) if inner != value and value[0] == '"' else inner
