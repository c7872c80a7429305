"""Writes YAML that YAML 1.1 and 1.2 readers understand alike: anything ambiguous is quoted."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

_PLAIN = re.compile(r"[A-Za-z_/][A-Za-z0-9_./@+-]*(:[A-Za-z0-9_./@+-]+)*")
_PLAIN_KEY = re.compile(r"[A-Za-z_/][A-Za-z0-9_./@+-]*")
_WORDS = frozenset(("y", "n", "yes", "no", "on", "off", "true", "false", "null"))
_UNPRINTABLE = re.compile("[\x7f-\xa0\u2028\u2029\ufeff\ud800-\udfff\ufffe\uffff]")


@dataclass(frozen=True)
class Style:
    """How the lines are indented: ``step`` columns per mapping, ``dash`` columns from a key to its list's dashes."""

    step: int = 2
    dash: int = 2


_STYLE = Style()


def scalar(value: str | int | float | bool | None, plain: re.Pattern[str] = _PLAIN) -> str:
    """One scalar on one line."""
    if isinstance(value, str):
        return value if plain.fullmatch(value) and value.lower() not in _WORDS else quoted(value)
    if value is None or isinstance(value, bool):
        return json.dumps(value)
    if isinstance(value, float):
        text = str(int(value)) if value.is_integer() and abs(value) < 1e15 else repr(value)
        # 6e-07 is text to a YAML 1.1 reader, LiteLLM's among them: it wants a dot.
        return text.replace("e", ".0e") if "e" in text and "." not in text else text
    return str(value)


def quoted(value: str) -> str:
    """A double-quoted scalar; JSON's escapes are YAML's."""
    text = json.dumps(value, ensure_ascii=False)
    return _UNPRINTABLE.sub(lambda match: f"\\u{ord(match.group()):04x}", text)


def key(name: str) -> str:
    """A mapping key; one with a colon is quoted for the reader's sake."""
    return scalar(name, _PLAIN_KEY)


def inline(value: Any) -> str:
    """A value in flow style, on one line."""
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{key(name)}: {inline(item)}" for name, item in value.items()) + "}"
    if is_list(value):
        return "[" + ", ".join(inline(item) for item in value) + "]"
    return scalar(value)


def block(data: Mapping[str, Any], indent: int = 0, style: Style = _STYLE) -> str:
    """A mapping in block style, each line ended."""
    return "".join([f"{line}\n" for line in _mapping(data, " " * indent, style)])


def item(value: Any, indent: int, style: Style = _STYLE) -> str:
    """One list item in block style, each line ended; ``indent`` is the column of the dash."""
    return "".join([f"{line}\n" for line in _items([value], " " * indent, style)])


def is_list(value: Any) -> bool:
    """Whether it is written as a list."""
    return isinstance(value, Sequence) and not isinstance(value, str)


def _mapping(data: Mapping[str, Any], pad: str, style: Style) -> Iterator[str]:
    for name, value in data.items():
        if isinstance(value, Mapping) and value:
            yield f"{pad}{key(name)}:"
            yield from _mapping(value, pad + " " * style.step, style)
        elif is_list(value) and value:
            yield f"{pad}{key(name)}:"
            yield from _items(value, pad + " " * style.dash, style)
        else:
            yield f"{pad}{key(name)}: {inline(value)}"


def _items(items: Sequence[Any], pad: str, style: Style) -> Iterator[str]:
    for value in items:
        if isinstance(value, Mapping) and value:
            first = True
            for line in _mapping(value, pad + "  ", style):
                yield f"{pad}- {line[len(pad) + 2 :]}" if first else line
                first = False
        else:
            yield f"{pad}- {inline(value)}"
