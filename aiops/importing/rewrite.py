"""Edits that turn keys into comments: what has no effect stays readable, and a secret in it does not."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from yaml.nodes import CollectionNode, MappingNode, Node, ScalarNode

from aiops.errors import AiopsError
from aiops.spec.load.screen import hide_secrets, holds_secret
from aiops.spec.yaml.splice import Splice, end_of
from aiops.spec.yaml.yaml12 import Path
from aiops.spec.yaml.yaml_text import block, inline, key


class Rewrite(Splice):
    """A splice that can also rename a key, replace a value whole, and turn an entry into a comment."""

    def __init__(self, file: str, content: bytes) -> None:
        super().__init__(file, content)
        self._asides: dict[Path, list[tuple[Path, str]]] = {}
        self._beyond_editing = False
        self.comments_lost = False

    @property
    def changed(self) -> bool:
        """Whether anything was asked for."""
        return super().changed or bool(self._asides)

    def rename(self, path: Path, new: str) -> None:
        """Give a key another name; its value and place stay."""
        found = self.doc.node(path)
        if found is None:
            raise self._by_hand(path)
        self.cuts.append((found[0].start_mark.index, found[0].end_mark.index, key(new)))
        self.data = _renamed(self.data, path, new)

    def swap(self, path: Path, new: str, value: Any) -> None:
        """Replace a key and its scalar by another key and a value on one line."""
        found = self.doc.node(path)
        if found is None or not isinstance(found[1], ScalarNode):
            raise self._by_hand(path)
        self.cuts.append((found[0].start_mark.index, end_of(self.text, found[1]), f"{key(new)}: {inline(value)}"))
        self.data = _renamed(self.data, path, new, value)

    def set_aside(self, path: Path, why: str = "") -> None:
        """Turn an entry into a comment, with ``why`` above it. In ``{…}`` and ``[…]`` there is no room: it goes."""
        if self.doc.node(path) is None:
            raise self._by_hand(path)
        self._asides.setdefault(path[:-1], []).append((path, why))

    def finish(self) -> bytes:
        """The new content. A file that cannot be edited (aliases, …) is written anew, without its comments."""
        self._apply_asides()
        with suppress(AiopsError):
            if not self._beyond_editing:
                return self.done()
        self.comments_lost = True
        return block(self.data).encode()

    def _apply_asides(self) -> None:
        for parent, asides in self._asides.items():
            try:
                self._apply(parent, asides)
            except AiopsError:
                self._beyond_editing = True
        gone: dict[Any, Any] = {}
        for path, _ in (aside for asides in self._asides.values() for aside in asides):
            place = gone
            for step in path:
                place = place.setdefault(step, {})
        self._asides = {}
        self.data = _without(self.data, gone)

    def _apply(self, parent: Path, asides: list[tuple[Path, str]]) -> None:
        found = self.doc.node(parent)
        if found is None or not isinstance(found[1], CollectionNode):
            raise self._by_hand(parent)
        owner, node = found
        if getattr(node, "flow_style", False) or self._in_flow(parent):
            before = self.data
            self.remove([path for path, _ in asides])
            self.data = before
            return
        mapping = isinstance(node, MappingNode)
        entries: list[tuple[Any, Node, Node]] = (
            [(k.value, k, v) for k, v in node.value] if mapping else [(i, v, v) for i, v in enumerate(node.value)]
        )
        gone = {path[-1]: why for path, why in asides}
        if not gone.keys() <= {name for name, _, _ in entries}:
            raise self._by_hand(parent)  # it comes from an alias
        for place, (name, first, last) in enumerate(entries):
            if name in gone:
                following = entries[place + 1][1] if place + 1 < len(entries) else None
                self._comment(first, last, following, mapping, (*parent, name), gone[name])
        if len(gone) == len(entries):
            self._leave_empty(owner, node, "{}" if mapping else "[]")

    def _comment(self, first: Node, last: Node, following: Node | None, mapping: bool, path: Path, why: str) -> None:
        start = self.text.rfind("\n", 0, first.start_mark.index) + 1
        end = self._line_end(end_of(self.text, last))
        lead = self.text[start : first.start_mark.index]
        if lead.strip() == "-" and mapping and following is not None:
            # The first key of a list item: the dash goes to the next one.
            pad, body = lead[: lead.index("-")], self.text[first.start_mark.index : end]
            self.cuts.append((start, start, _commented(pad, " " * len(lead) + body, len(lead), why, last)))
            self.cuts.append((first.start_mark.index, following.start_mark.index, ""))
        elif lead.strip() != ("" if mapping else "-"):
            raise self._by_hand(path)
        else:
            column = len(lead) if mapping else lead.index("-")
            text = _commented(" " * column, self.text[start:end], column, why, last, str(path[-1]))
            self.cuts.append((start, end, text))


def _commented(pad: str, text: str, column: int, why: str, node: Node, name: str = "") -> str:
    """The lines as comments: without the two characters in front of them they mean what they meant."""
    hidden = hide_secrets(text)
    for secret in _secret_values(node, name):
        hidden = hidden.replace(secret, "***")
    lines = [f"{pad}# {line}" for line in why.splitlines()]
    for line in hidden.splitlines():
        cut = line[column:] if not line[:column].strip() else line.lstrip()
        lines.append(f"{pad}# {cut.rstrip()}" if line.strip() else "")
    return "\n".join(lines) + "\n"


def _secret_values(node: Node, name: str) -> list[str]:
    """The values below keys that hold secrets by their name."""
    if isinstance(node, ScalarNode):
        return [node.value] if holds_secret(name) and node.value else []
    found: list[str] = []
    for item in node.value:
        if isinstance(node, MappingNode):
            found += _secret_values(item[1], str(item[0].value))
        else:
            found += _secret_values(item, name)
    return found


def _renamed(data: Any, path: Path, new: str, *value: Any) -> Any:
    step, rest = path[0], path[1:]
    if isinstance(step, int):
        return (*data[:step], _renamed(data[step], rest, new, *value), *data[step + 1 :])
    if rest:
        return {**data, step: _renamed(data[step], rest, new, *value)}
    return {
        (new if name == step else name): (value[0] if value and name == step else old) for name, old in data.items()
    }


def _without(data: Any, gone: Mapping[Any, Any]) -> Any:
    """The data without what the tree ``gone`` ends in: one pass, however many there are."""
    if isinstance(data, tuple):
        kept = [(index, item) for index, item in enumerate(data) if gone.get(index) != {}]
        return tuple([_without(item, gone[index]) if index in gone else item for index, item in kept])
    return {
        name: _without(item, gone[name]) if name in gone else item
        for name, item in data.items()
        if gone.get(name) != {}
    }
