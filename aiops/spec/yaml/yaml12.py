"""Reads YAML quickly and with the meaning of the YAML 1.2 core schema, keeping line numbers.

PyYAML's C parser gives nodes with marks; the values are resolved here, because PyYAML's own resolver speaks
YAML 1.1, where `on` is a boolean and `010` is eight (https://yaml.org/spec/1.2.2/#103-core-schema).
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

import yaml
from yaml.cyaml import CParser  # type: ignore[attr-defined]
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from aiops.errors import Problem

MAX_BYTES = 16 * 1024 * 1024
MAX_NODES = 1_000_000
MAX_DEPTH = 100

Path = tuple[str | int, ...]

_TAG = "tag:yaml.org,2002:"
_KNOWN_TAGS = {_TAG + kind for kind in ("str", "int", "float", "bool", "null", "map", "seq")}
_CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x84\x86-\x9f\ud800-\udfff\ufffe\uffff]")
_INT = re.compile(r"[-+]?[0-9]+")
_BASED = re.compile(r"0o[0-7]+|0x[0-9a-fA-F]+")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_WORDS: dict[str, Any] = {"": None, "~": None}
for _word, _value in (("null", None), ("true", True), ("false", False)):
    _WORDS |= {_word: _value, _word.capitalize(): _value, _word.upper(): _value}
for _word in (".inf", ".Inf", ".INF"):
    _WORDS |= {_word: float("inf"), "+" + _word: float("inf"), "-" + _word: float("-inf")}
_WORDS |= dict.fromkeys((".nan", ".NaN", ".NAN"), float("nan"))
_NUMERIC = frozenset("0123456789+-.")


class _Nodes(CParser):
    """The C parser with tag resolution switched off: the meaning of a plain scalar is decided below."""

    def __init__(self, text: str) -> None:
        CParser.__init__(self, text)
        self.depth = 0

    def resolve(self, kind: type[Node], value: str | None, implicit: object) -> str:
        return ""

    def descend_resolver(self, parent: Node | None, _: object) -> None:
        # The C composer recurses without a limit of its own: a hundred thousand brackets overflow the stack.
        self.depth += 1
        if self.depth > MAX_DEPTH and parent is not None:
            raise _Refused(parent.start_mark.line + 1, f"nested deeper than {MAX_DEPTH} levels")

    def ascend_resolver(self) -> None:
        self.depth -= 1


class _Refused(Exception):
    def __init__(self, line: int, message: str, hint: str = "", column: int = 0) -> None:
        super().__init__(message)
        self.line, self.message, self.hint, self.column = line, message, hint, column


@dataclass(frozen=True)
class Document:
    """One parsed file: plain data (mappings are dicts, sequences tuples), its nodes, and what is wrong with it."""

    file: str
    text: str = ""
    data: Any = None
    root: Node | None = None
    problems: tuple[Problem, ...] = ()
    _index: dict[int, dict[str, tuple[Node, Node]]] = field(default_factory=dict, compare=False, repr=False)

    def node(self, path: Path) -> tuple[Node, Node] | None:
        """(key or item node, value node) at ``path``; None when nothing is written there."""
        if self.root is None:
            return None
        key: Node = self.root
        value: Node = self.root
        for step in path:
            if isinstance(value, MappingNode):
                found = self._entries(value).get(str(step))
                if found is None:
                    return None
                key, value = found
            elif isinstance(value, SequenceNode) and isinstance(step, int) and step < len(value.value):
                key = value = value.value[step]
            else:
                return None
        return key, value

    def line(self, path: Path) -> int:
        """1-based line of the key (or list item) at ``path``, or of the nearest thing around it that is written."""
        for end in range(len(path), 0, -1):
            found = self.node(path[:end])
            if found is not None:
                return int(found[0].start_mark.line) + 1
        return int(self.root.start_mark.line) + 1 if self.root is not None else 0

    def _entries(self, node: MappingNode) -> dict[str, tuple[Node, Node]]:
        """The keys of a mapping, merged ones included; indexed once, for files with thousands of problems."""
        if id(node) in self._index:
            return self._index[id(node)]
        entries = self._index[id(node)] = {}  # before looking into merges: one may contain itself
        for key, value in reversed(node.value):
            if isinstance(key, ScalarNode):
                entries[key.value] = (key, value)
        for key, value in node.value:
            if isinstance(key, ScalarNode) and key.value == "<<" and not key.style:
                for source in value.value if isinstance(value, SequenceNode) else [value]:
                    if isinstance(source, MappingNode):
                        for name, entry in self._entries(source).items():
                            entries.setdefault(name, entry)
        return entries


def parse(file: str, content: bytes, expected: str = "a mapping") -> Document:
    """Given the bytes of one file, return its data and every problem of form. Never raises.

    ``expected`` says in a few words what belongs in the file, for the message about an empty one.
    """

    def failed(line: int, message: str, hint: str = "", column: int = 0) -> Document:
        return Document(file, problems=(Problem(file, line, message, hint, column=column),))

    if len(content) > MAX_BYTES:
        mib = len(content) / 1024 / 1024
        return failed(0, f"the file is {mib:.0f} MiB, more than the {MAX_BYTES // 1024 // 1024} MiB that are read")
    try:
        text = content.decode("utf-8").removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        return failed(line, f"not UTF-8: byte 0x{content[error.start]:02x} at offset {error.start}", "save it as UTF-8")
    bad = _CONTROL.search(text)
    if bad:
        line = text.count("\n", 0, bad.start()) + 1
        return failed(line, f"control character U+{ord(bad.group()):04X}", "remove it; in a quoted value write \\x..")
    try:
        root = _compose(text)
        if root is None or (isinstance(root, ScalarNode) and not root.value and not root.style):
            return failed(0, "the file is empty", f"expected {expected}")
        if not isinstance(root, MappingNode):
            return failed(root.start_mark.line + 1, f"the file holds {_kind(root)}", f"expected {expected}")
        builder = _Builder(file)
        data = builder.build(root, (), 0)
    except _Refused as error:
        return failed(error.line, error.message, error.hint, error.column)
    if not data:
        return failed(0, "the file is empty", f"expected {expected}")
    return Document(file, text, data, root, tuple(builder.problems))


def scalar(value: str) -> Any:
    """What a plain (unquoted) scalar means in the core schema: None, bool, int, float or the text itself."""
    if value in _WORDS:
        return _WORDS[value]
    if value[0] not in _NUMERIC or len(value) > 400:
        return value
    if _INT.fullmatch(value):
        return int(value)
    if _BASED.fullmatch(value):
        return int(value, 0)
    if _FLOAT.fullmatch(value):
        return float(value)
    return value


def _compose(text: str) -> Node | None:
    """The node of the only document in ``text``. Raises _Refused with plain words for a syntax error."""
    parser = _Nodes(text)
    try:
        return parser.get_single_node()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = mark.line + 1 if mark else 0
        problem = (error.problem or error.context or "cannot be read").strip()
        if "single document" in f"{error.context} {problem}":
            raise _Refused(
                line, "the file holds several YAML documents", "keep one, without `---` in between"
            ) from None
        lines = text.split("\n")
        for number in (line, line - 1):
            if 0 < number <= len(lines) and re.match(r"[ ]*\t", lines[number - 1]):
                raise _Refused(number, "a tab is used to indent", "YAML indents with spaces only") from None
        column = mark.column + 1 if mark else 0
        raise _Refused(line, f"YAML syntax: {problem}", _syntax_hint(lines, line), column) from None
    except yaml.YAMLError as error:
        raise _Refused(0, f"YAML syntax: {error}") from None
    finally:
        parser.dispose()


def _syntax_hint(lines: list[str], line: int) -> str:
    text = lines[line - 1].strip() if 0 < line <= len(lines) else ""
    if ": " in text.partition(": ")[2] and text[:1] not in "{[\"'":
        return "a value that contains `: ` needs quotes"
    return ""


class _Builder:
    """Turns nodes into plain data, counting what aliases expand to."""

    def __init__(self, file: str) -> None:
        self.file = file
        self.problems: list[Problem] = []
        self.count = 0
        self.open: set[int] = set()

    def build(self, node: Node, path: Path, depth: int) -> Any:
        self.count += 1
        if self.count > MAX_NODES:
            raise _Refused(0, f"expands to more than {MAX_NODES:,} values", "aliases inside aliases multiply")
        if node.tag and node.tag not in _KNOWN_TAGS and node.tag != "!":
            self._problem(node, f"the tag `{_short(node.tag)}` is not supported", "write a plain value")
        if isinstance(node, ScalarNode):
            if node.style or node.tag in ("!", _TAG + "str"):
                return node.value
            return scalar(node.value)
        if id(node) in self.open:
            self._problem(node, "an alias contains itself")
            return None
        if depth >= MAX_DEPTH:
            raise _Refused(node.start_mark.line + 1, f"nested deeper than {MAX_DEPTH} levels")
        self.open.add(id(node))
        try:
            if isinstance(node, SequenceNode):
                return tuple([self.build(item, (*path, i), depth + 1) for i, item in enumerate(node.value)])
            return self._mapping(node, path, depth)
        finally:
            self.open.discard(id(node))

    def _mapping(self, node: Node, path: Path, depth: int) -> dict[str, Any]:
        data: dict[str, Any] = {}
        lines: dict[str, int] = {}
        merged: list[Node] = []
        for key, value in node.value:
            if not isinstance(key, ScalarNode):
                self._problem(key, f"{_kind(key)} cannot be a key", "put the key in quotes")
                continue
            name = key.value
            if name == "<<" and not key.style:
                merged.extend(value.value if isinstance(value, SequenceNode) else [value])
                continue
            if not key.style and not isinstance(scalar(name), str):
                self._problem(key, f"the key `{name}` is not text", f'put it in quotes: "{name}"')
            if name in lines:
                self._problem(key, f"`{dotted((*path, name))}` is written twice", f"the first is on line {lines[name]}")
                continue
            lines[name] = key.start_mark.line + 1
            data[name] = self.build(value, (*path, name), depth + 1)
        for source in merged:
            if not isinstance(source, MappingNode):
                self._problem(source, "`<<` needs a mapping to merge")
                continue
            for name, value in self.build(source, path, depth + 1).items():
                data.setdefault(name, value)
        return data

    def _problem(self, node: Node, message: str, hint: str = "") -> None:
        self.problems.append(Problem(self.file, node.start_mark.line + 1, message, hint))


def dotted(path: Path) -> str:
    """``providers.local.models[0].name`` for a path."""
    text = ""
    for step in path:
        text += f"[{step}]" if isinstance(step, int) else f".{step}" if text else step
    return text


def _kind(node: Node) -> str:
    if isinstance(node, SequenceNode):
        return "a list"
    return "a mapping" if isinstance(node, MappingNode) else "a single value"


def _short(tag: str) -> str:
    return tag.replace(_TAG, "!!")
