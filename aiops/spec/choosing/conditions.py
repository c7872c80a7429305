"""Conditions: the small expression language of ``condition:``. Parsed, never evaluated as Python.

    or     = and {"or" and}
    and    = not {"and" not}
    not    = "not" not | test
    test   = value [("==" | "!=" | "<" | "<=" | ">" | ">=") value]
    value  = name | number | 'text' | "text" | true | false | "(" or ")"

Words are written in any case. A name is one of ``Facts``, or ``header.NAME``; a header that was not sent is "".
Every type is known before a request comes, so that a condition that parses cannot fail later.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields

from aiops.spec.suggest import did_you_mean

MAX_LENGTH = 1000
MAX_DEPTH = 20

Value = str | float | bool
Get = Callable[["Facts"], Value]


@dataclass
class Facts:
    """What a condition can ask about one request.

    ``tokens``: estimated, of the prompt. ``length``: characters of the prompt. ``batch_size``: how many inputs or
    prompts one request carries. ``request_count``: requests for this name that are being answered now, this one
    included. ``saturation``: how full the provider of the member that is judged is, 1.0 when all its slots are taken;
    ``local_saturated``: whether every local member is at the threshold (0.8) or above. ``headers``: lower-case names.
    """

    model: str = ""
    tokens: int = 0
    length: int = 0
    stream: bool = False
    batch_size: int = 1
    batch_mode: bool = False
    request_count: int = 1
    complexity: str = "low"
    quality_tier: str = "standard"
    saturation: float = 0.0
    local_saturated: bool = False
    headers: Mapping[str, str] = field(default_factory=dict)


_SORTS = {"str": "text", "int": "a number", "float": "a number", "bool": "true or false"}
NAMES: Mapping[str, str] = {
    item.name: _SORTS[str(item.type)] for item in fields(Facts) if str(item.type) in _SORTS
}  # annotations are text here
_WORDS_OF = {"complexity": ("low", "medium", "high")}
"""Names that are one of a few words: another word would never be equal."""

_TOKEN = re.compile(
    r"""\s*(?:
      (?P<number>\d+(?:\.\d+)?)(?![\w.])
    | (?P<text>'[^']*'|"[^"]*")
    | (?P<name>[A-Za-z_]\w*(?:\.[\w!#$%&*+^`|~-]+)*)
    | (?P<sign>==|!=|<=|>=|<|>|\(|\))
    )""",
    re.VERBOSE | re.ASCII,
)
_COMPARE: Mapping[str, Callable[..., bool]] = {
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
_HEADER_HINT = "for example header.x-priority"
_INSTEAD = {"=": "==", "&&": "and", "||": "or", "!": "not", "&": "and", "|": "or", "===": "=="}


class ConditionError(ValueError):
    """What is wrong with a condition. ``column`` counts from 1; ``hint`` says what to write instead."""

    def __init__(self, message: str, column: int, hint: str = "") -> None:
        super().__init__(message)
        self.message, self.column, self.hint = message, column, hint


@dataclass(frozen=True)
class Condition:
    """A condition that is known to make sense. ``names``: what it asks for, headers as ``header.NAME``."""

    text: str
    names: frozenset[str]
    _test: Get = field(compare=False, repr=False)

    def holds(self, facts: Facts) -> bool:
        """Whether it is true for one request."""
        return bool(self._test(facts))


def parse(text: str) -> Condition:
    """Read a condition. Raises ConditionError for what is not one, or would compare what cannot be compared."""
    if len(text) > MAX_LENGTH:
        raise ConditionError(f"it has {len(text)} characters, more than {MAX_LENGTH}", 1)
    parser = _Parser(text)
    test = parser.whole()
    return Condition(text, frozenset(parser.names), test.get)


@dataclass(frozen=True)
class _Token:
    kind: str  # number, text, name, sign, end
    text: str
    column: int

    @property
    def word(self) -> str:
        """A keyword or sign in lower case; text in quotes is never one."""
        return self.text.lower() if self.kind in ("name", "sign") else ""


@dataclass(frozen=True)
class _Part:
    """A piece of an expression. ``constant``: it is written down and asks for nothing."""

    get: Get
    sort: str
    column: int
    name: str = ""
    constant: Value | None = None


class _Parser:
    def __init__(self, text: str) -> None:
        self.tokens = list(_tokens(text))
        self.at = self.depth = 0
        self.names: set[str] = set()

    @property
    def next(self) -> _Token:
        return self.tokens[self.at]

    def take(self, *words: str) -> _Token | None:
        token = self.next
        if token.word not in words:
            return None
        self.at += 1
        return token

    def whole(self) -> _Part:
        if self.next.kind == "end":
            raise ConditionError("it is empty", 1, "for example `tokens > 1000`")
        part = _truth(self.either())
        if self.next.kind != "end":
            raise ConditionError(f"`{self.next.text}` is not expected here", self.next.column, "join with and, or")
        return part

    def either(self) -> _Part:
        part = self.both()
        while self.take("or"):
            part = _joined(operator.or_, part, self.both())
        return part

    def both(self) -> _Part:
        part = self.negated()
        while self.take("and"):
            part = _joined(operator.and_, part, self.negated())
        return part

    def negated(self) -> _Part:
        token = self.take("not")
        if token is None:
            return self.test()
        self.deeper(token)
        inner = _truth(self.negated()).get
        self.depth -= 1
        return _boolean(lambda facts: not inner(facts), token.column)

    def test(self) -> _Part:
        left = self.value()
        sign = self.take(*_COMPARE)
        if sign is None:
            return left
        right = self.value()
        if self.next.word in _COMPARE:
            raise ConditionError("comparisons cannot be chained", self.next.column, "join two with `and`")
        return _comparison(left, sign, right)

    def value(self) -> _Part:
        token = self.next
        if token.kind == "end" or token.word in ("and", "or", "not", ")", *_COMPARE):
            what = "the end" if token.kind == "end" else f"`{token.text}`"
            raise ConditionError(f"a name or value is missing before {what}", token.column)
        self.at += 1
        if token.word == "(":
            self.deeper(token)
            part = self.either()
            if not self.take(")"):
                raise ConditionError("a `(` is not closed", token.column)
            self.depth -= 1
            return part
        if token.kind == "number":
            return _constant(float(token.text), "a number", token.column)
        if token.kind == "text":
            return _constant(token.text[1:-1], "text", token.column)
        if token.word in ("true", "false"):
            return _constant(token.word == "true", "true or false", token.column)
        return self.named(token)

    def named(self, token: _Token) -> _Part:
        first, dot, header = token.text.partition(".")
        if dot and first.lower() == "header":
            key = header.lower()
            self.names.add(f"header.{key}")
            return _Part(lambda facts: facts.headers.get(key, ""), "text", token.column, f"header.{key}")
        name = token.text
        if name not in NAMES:
            known = f"names: {', '.join(sorted(NAMES))}, header.NAME"
            hint = did_you_mean(name, NAMES, known) if first != "headers" else f"write `header.{header}`"
            raise ConditionError(f"unknown name `{name}`", token.column, hint)
        self.names.add(name)
        return _Part(operator.attrgetter(name), NAMES[name], token.column, name)

    def deeper(self, token: _Token) -> None:
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise ConditionError(f"nested deeper than {MAX_DEPTH} levels", token.column)


def _tokens(text: str) -> list[_Token]:
    found, at = [], 0
    end = len(text.rstrip())
    while at < end:
        match = _TOKEN.match(text, at)
        if match is None:
            rest = text[at:].lstrip()
            column = len(text) - len(rest) + 1
            if rest[0] in "'\"":
                raise ConditionError("a quote is not closed", column)
            header = re.search(r"(?i)\bheader\S*$", text[:at])
            if header is not None and rest == text[at:]:
                whole = header.group() + re.split(r"[\s=!<>()]", rest)[0]
                raise ConditionError(f"`{whole}` is not the name of a header", header.start() + 1, _HEADER_HINT)
            wrong = re.match(r"[=&|!]+|\d[\w.]*|.", rest, re.ASCII)
            sign = wrong.group() if wrong else rest[0]
            hint = f"write `{_INSTEAD[sign]}`" if sign in _INSTEAD else ""
            raise ConditionError(f"`{sign}` is not understood", column, hint)
        kind = match.lastgroup or ""
        found.append(_Token(kind, match.group(kind), match.start(kind) + 1))
        at = match.end()
    return [*found, _Token("end", "", len(text) + 1)]


def _is_number(part: _Part) -> bool:
    return isinstance(part.constant, str) and part.constant.isdigit()


def _constant(value: Value, sort: str, column: int) -> _Part:
    return _Part(lambda facts: value, sort, column, constant=value)


def _boolean(get: Get, column: int) -> _Part:
    return _Part(get, "true or false", column)


def _joined(join: Callable[[Value, Value], Value], left: _Part, right: _Part) -> _Part:
    one, two = _truth(left).get, _truth(right).get
    return _boolean(lambda facts: join(one(facts), two(facts)), left.column)


def _truth(part: _Part) -> _Part:
    if part.sort != "true or false":
        what = f"`{part.name}`" if part.name else "this"
        raise ConditionError(f"{what} is {part.sort}, not true or false", part.column, "compare it with something")
    return part


def _comparison(left: _Part, sign: _Token, right: _Part) -> _Part:
    if left.sort != right.sort:
        named, other = (left, right) if left.name or not right.name else (right, left)
        what = f"`{named.name}` is {named.sort} and" if named.name else named.sort
        hint = "put it in quotes" if named.sort == "text" else "remove the quotes" if _is_number(other) else ""
        raise ConditionError(f"{what} cannot be compared with {other.sort}", right.column, hint)
    if left.sort != "a number" and sign.text not in ("==", "!="):
        raise ConditionError(f"`{sign.text}` compares numbers only", sign.column, "text is compared with == and !=")
    for part, other in ((left, right), (right, left)):
        words = _WORDS_OF.get(part.name)
        if words and isinstance(other.constant, str) and other.constant not in words:
            hint = did_you_mean(other.constant, words, f"one of {', '.join(words)}")
            raise ConditionError(f"`{part.name}` is never '{other.constant}'", other.column, hint)
    compare, one, two = _COMPARE[sign.text], left.get, right.get
    return _boolean(lambda facts: compare(one(facts), two(facts)), left.column)
