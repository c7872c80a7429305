"""Changes a YAML text where it has to change and nowhere else, then proves that it means what was asked.

The node marks of the parser say where to cut. See docs/decisions/0002-yaml-edits-by-splicing.md.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from yaml.nodes import CollectionNode, MappingNode, Node, ScalarNode, SequenceNode

from aiops.errors import InvalidState, Precondition
from aiops.spec.yaml.at_path import with_value, without
from aiops.spec.yaml.yaml12 import Document, Path, dotted, parse
from aiops.spec.yaml.yaml_style import style_of
from aiops.spec.yaml.yaml_text import block, inline, item, key, quoted

Cut = tuple[int, int, str]
"""(from, to, replacement) in characters of the text."""


class Splice:
    """Collects changes to one file against one parse of it; ``done`` applies, proves and returns the new bytes.

    Raises InvalidState when the file cannot be parsed, Precondition when a change cannot be proved.
    """

    def __init__(self, file: str, content: bytes) -> None:
        self.file = file
        self.content = self.original = content
        if content.strip():
            self.doc = parse(file, content)
            if self.doc.problems:
                raise InvalidState(self.doc.problems, "nothing was changed; mend the file first")
        else:
            self.doc = Document(file, data={})
        self.text = self.doc.text
        self.data: Any = self.doc.data
        self.newline = "\r\n" if "\r\n" in self.text else "\n"
        self.style = style_of(self.doc.root)
        self.cuts: list[Cut] = []
        self.inserts: dict[Path, dict[str, Any]] = {}
        self.lost_comments = 0

    @property
    def changed(self) -> bool:
        """Whether anything was asked for, here or before ``again``."""
        return bool(self.cuts or self.inserts or self.content != self.original)

    def again(self) -> Splice:
        """The same file with the changes so far made, for changes inside of what was changed already."""
        following = Splice(self.file, self.done())
        following.original, following.lost_comments = self.original, self.lost_comments
        return following

    # -- reading

    def get(self, path: Path, default: Any = None) -> Any:
        """The value at ``path`` as it will be after the changes so far."""
        value = self.data
        for step in path:
            try:
                value = value[step]
            except (KeyError, IndexError, TypeError):
                return default
        return value

    def mapping(self, *path: str) -> Mapping[str, Any]:
        """The mapping at ``path``; empty when there is none, or something else: that is for `load` to report."""
        value = self.get(path)
        return value if isinstance(value, Mapping) else {}

    # -- changing

    def put(self, path: Path, value: Any) -> None:
        """Set the value of a key: replaced when it is written already, else added, with the mappings around it."""
        found = self.doc.node(path)
        if found is not None:
            if not isinstance(found[1], ScalarNode) or isinstance(value, tuple | list):
                raise self._by_hand(path)
            self._replace(found[1], value)
            self.data = with_value(self.data, path, value)
            return
        # Inserted at the end of the innermost mapping that is written; several go there together.
        depth = next(end for end in range(len(path) - 1, -1, -1) if end == 0 or self.doc.node(path[:end]) is not None)
        if not isinstance(self.get(path[:depth]), Mapping | None):
            raise self._by_hand(path[:depth])
        self.inserts[path[:depth]] = with_value(self.inserts.get(path[:depth]), path[depth:], value)
        self.data = with_value(self.data, path, value)

    def append(self, path: Path, value: Any) -> None:
        """Add an item at the end of a list; the list is made when it is not there."""
        found = self.doc.node(path)
        items = self.get(path)
        if found is None or items is None:
            if found is None:
                self.put(path, (value,))
                return
            items = ()
        node = found[1]
        if isinstance(node, SequenceNode) and node.value and not node.flow_style:
            dash = self._dash(node.value[-1])
            self._add_lines(node, item(value, dash, self.style), dash)
        elif isinstance(node, SequenceNode) and node.value:
            self._add_inline(node, inline(value))
        elif isinstance(node, SequenceNode | ScalarNode) and not (
            isinstance(node, ScalarNode) and node.value.strip("~")
        ):
            column = found[0].start_mark.column
            if self._in_flow(path):
                self._swap(node, inline([value]))
            else:
                self._open(node, item(value, column + self.style.dash, self.style))
        else:
            raise self._by_hand(path)
        self.data = with_value(self.data, path, (*items, value))

    def remove(self, paths: Sequence[Path]) -> None:
        """Remove keys or list items. A collection that loses everything stays, empty."""
        groups: dict[Path, list[Path]] = {}
        for path in paths:
            groups.setdefault(path[:-1], []).append(path)
        for parent, children in groups.items():
            found = self.doc.node(parent)
            if found is None or not isinstance(found[1], CollectionNode):
                raise self._by_hand(parent)
            self._remove_from(found[0], found[1], children)
        for path in sorted(paths, key=lambda path: [(isinstance(step, str), step) for step in path], reverse=True):
            self.data = without(self.data, path)

    def done(self) -> bytes:
        """The new content. Raises AiopsError when it would not mean exactly what was asked."""
        if not self.changed:
            return self.content
        for parent, entries in self.inserts.items():
            self._insert(parent, entries)
        text = self.text
        pieces: list[str] = []
        at = 0
        for start, end, new in sorted(self.cuts, key=lambda cut: cut[:2]):
            if start < at:
                raise self._by_hand(())
            pieces += (text[at:start], new.replace("\n", self.newline))
            at = end
        text = "".join((*pieces, text[at:]))
        mark = b"\xef\xbb\xbf" if self.content.startswith(b"\xef\xbb\xbf") else b""
        content = mark + text.encode()
        again = parse(self.file, content)
        if again.problems or again.data != self.data:
            raise self._by_hand(())
        return content

    # -- inserting

    def _insert(self, parent: Path, entries: Mapping[str, Any]) -> None:
        found = self.doc.node(parent) if self.doc.root is not None else None
        if found is None:
            ending = "" if not self.text or self.text.endswith("\n") else "\n"
            self.cuts.append((len(self.text), len(self.text), ending + block(entries, 0, self.style)))
            return
        owner, node = found
        if isinstance(node, MappingNode) and node.value and not node.flow_style:
            self._add_lines(node, self._entries(node, entries), node.value[-1][0].start_mark.column)
        elif isinstance(node, MappingNode) and node.value:
            self._add_inline(node, inline(entries)[1:-1])
        elif self._in_flow(parent):
            self._swap(node, inline(entries))
        else:
            self._open(node, block(entries, owner.start_mark.column + self.style.step, self.style))

    def _entries(self, node: MappingNode, entries: Mapping[str, Any]) -> str:
        """The lines of new entries, in the style of the last one: inline or not, separated by blank lines or not."""
        column, sibling = node.value[-1][0].start_mark.column, node.value[-1][1]
        flow = isinstance(sibling, MappingNode) and sibling.flow_style and sibling.value
        text = ""
        for name, value in entries.items():
            if flow and isinstance(value, Mapping):
                lines = f"{' ' * column}{key(name)}: {inline(value)}\n"
            else:
                lines = block({name: value}, column, self.style)
            text += ("\n" if self._spaced(node) else "") + lines
        return text

    def _add_lines(self, node: Node, lines: str, column: int) -> None:
        """Put whole lines after the last content of a block collection and the comments that belong to it."""
        at = self._line_end(end_of(self.text, node))
        while True:
            following = re.compile(r"( *)#[^\n]*(\n|$)").match(self.text, at)
            if not following or len(following[1]) <= column or following.end() == at:
                break
            at = following.end()
        if at and self.text[at - 1] != "\n":
            lines = "\n" + lines.removesuffix("\n")
        self.cuts.append((at, at, lines))

    def _add_inline(self, node: Node, text: str) -> None:
        """Put an entry before the closing bracket of a flow collection."""
        last = node.value[-1]
        at = end_of(self.text, last[1] if isinstance(last, tuple) else last)
        self.cuts.append((at, at, f", {text}"))

    def _open(self, node: Node, lines: str) -> None:
        """Replace an empty value (nothing, `{}`, `[]`, null) by lines below its key; a comment stays beside the key."""
        start, end = node.start_mark.index, node.end_mark.index
        if start == end:
            start = end = len(self.text[:start].rstrip())
        before = len(self.text[:start].rstrip(" "))
        at = self._line_end(end)
        if at and self.text[at - 1] != "\n":
            self.cuts += [(before, end, ""), (at, at, "\n" + lines.removesuffix("\n"))]
        else:
            self.cuts += [(before, end, ""), (at, at, lines)]

    def _swap(self, node: Node, text: str) -> None:
        start, end = node.start_mark.index, node.end_mark.index
        self.cuts.append((start, end, text if start != end else f" {text}"))

    def _replace(self, node: ScalarNode, value: Any) -> None:
        if node.style in ("|", ">"):
            raise Precondition(
                f"{self.file}:{node.start_mark.line + 1}: a block of text cannot be replaced", "edit it by hand"
            )
        start, end = node.start_mark.index, node.end_mark.index
        text = quoted(value) if node.style in ('"', "'") and isinstance(value, str) else inline(value)
        if start == end:
            start = end = len(self.text[:start].rstrip(" "))
            text = f" {text}"
        self.cuts.append((start, end, text))

    # -- removing

    def _remove_from(self, owner: Node, node: CollectionNode, children: Sequence[Path]) -> None:
        names = {child[-1] for child in children}
        mapping = isinstance(node, MappingNode)
        entries = [(k.value, k, v) for k, v in node.value] if mapping else [(i, v, v) for i, v in enumerate(node.value)]
        gone = [(first, last) for name, first, last in entries if name in names]
        if len(gone) != len(names):
            raise self._by_hand(children[0])
        empty = "{}" if mapping else "[]"
        if node.flow_style and "\n" in self.text[node.start_mark.index : node.end_mark.index]:
            for first, last in gone:
                self._take(*self._with_comma(first.start_mark.index, end_of(self.text, last)), last)
        elif node.flow_style:
            kept = [self.text[k.start_mark.index : end_of(self.text, v)] for name, k, v in entries if name not in names]
            self.cuts.append((node.start_mark.index, node.end_mark.index, empty[0] + ", ".join(kept) + empty[1]))
        else:
            for first, last in gone:
                self._take(*self._with_lines(first, last, mapping, children[0]), last)
            if len(gone) == len(entries):
                self._leave_empty(owner, node, empty)

    def _take(self, start: int, end: int, node: Node) -> None:
        text = self.text[start:end]
        for leaf in _leaves(node):
            # A `#` inside a text is no comment.
            text = text.replace(self.text[leaf.start_mark.index : leaf.end_mark.index], "\n")
        self.lost_comments += len(re.findall(r"(?m)(?:^|[ \t])#", text))
        self.cuts.append((start, end, ""))

    def _with_comma(self, start: int, end: int) -> tuple[int, int]:
        """An entry of a flow collection over several lines, with the comma after it, and its line if it has one."""
        comma = re.compile(r"\s*,[ \t]*").match(self.text, end)
        end = comma.end() if comma else end
        line = self.text.rfind("\n", 0, start) + 1
        if not self.text[line:start].strip() and self.text[end : end + 2].startswith(("\n", "\r\n")):
            return line, self._line_end(end)
        return start, end

    def _with_lines(self, first: Node, last: Node, mapping: bool, path: Path) -> tuple[int, int]:
        """The lines of a block entry, and the blank lines after it unless they still separate something."""
        start = self.text.rfind("\n", 0, first.start_mark.index) + 1
        if self.text[start : first.start_mark.index].strip() != ("" if mapping else "-"):
            raise self._by_hand(path)
        end = self._line_end(end_of(self.text, last))
        if re.search(r"(^|\n)[ \t\r]*\n$", self.text[max(0, start - 200) : start]):
            blank = re.compile(r"([ \t\r]*\n)+").match(self.text, end)
            end = blank.end() if blank else end
        return start, end

    def _leave_empty(self, owner: Node, node: Node, empty: str) -> None:
        """Write `{}` or `[]` beside the key of a block collection that lost everything."""
        if node is self.doc.root:
            self.cuts.append((len(self.text), len(self.text), empty + "\n"))
        elif owner is node:
            raise Precondition(
                f"{self.file}:{node.start_mark.line + 1}: nothing would be left here", "make this change by hand"
            )
        else:
            at = self.text.index(":", owner.end_mark.index) + 1
            self.cuts.append((at, at, " " + empty))

    # -- where things are

    def _line_end(self, at: int) -> int:
        end = self.text.find("\n", at)
        return len(self.text) if end < 0 else end + 1

    def _dash(self, node: Node) -> int:
        """Column of the dash before a list item."""
        start = self.text.rfind("\n", 0, node.start_mark.index) + 1
        lead = self.text[start : node.start_mark.index]
        if lead.strip() != "-":
            raise self._by_hand(())
        return lead.index("-")

    def _in_flow(self, path: Path) -> bool:
        around = [self.doc.node(path[:end]) for end in range(len(path))]
        return any(found is not None and bool(getattr(found[1], "flow_style", False)) for found in around)

    def _spaced(self, node: MappingNode) -> bool:
        """Whether the entries are separated by blank lines."""
        if len(node.value) < 2:
            return False
        start = end_of(self.text, node.value[-2][1])
        between = self.text[start : node.value[-1][0].start_mark.index]
        return bool(re.search(r"\n[ \t\r]*\n", between))

    def _by_hand(self, path: Path) -> Precondition:
        where = f"{self.file}:{self.doc.line(path)}: `{dotted(path)}`" if path else self.file
        return Precondition(f"{where} is written in a way that cannot be edited safely", "make this change by hand")


def end_of(text: str, node: Node) -> int:
    """Where the content of a node ends. A block collection's own mark lies beyond the comments that follow it."""
    while isinstance(node, CollectionNode) and not node.flow_style and node.value:
        last = node.value[-1]
        node = last[1] if isinstance(last, tuple) else last
    end: int = node.end_mark.index
    if isinstance(node, ScalarNode) and (node.style in ("|", ">") or node.start_mark.index == end):
        return len(text[:end].rstrip())
    return end


def _leaves(node: Node) -> Iterator[Node]:
    """The scalars below a node that a `#` may hide in."""
    if isinstance(node, CollectionNode):
        for inner in node.value:
            yield from _leaves(inner[1] if isinstance(inner, tuple) else inner)
    elif "#" in node.value:
        yield node
