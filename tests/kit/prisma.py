"""Tables of LiteLLM's ``schema.prisma`` as its migrations make them: models, and the DDL of those that are asked for.

Only what that schema uses: scalar fields, lists, defaults, ``@id``, ``@@id``, ``@unique``. Indices and relations are
left out; nothing here depends on them.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

_MODEL = re.compile(r"^model (\w+) \{[^\n]*\n(.*?)^\}", re.MULTILINE | re.DOTALL)
_FIELD = re.compile(r"\s*(\w+)\s+(\w+)(\[\])?(\?)?(.*)")
_DEFAULT = re.compile(r"@default\s?\(((?:\"(?:\\.|[^\"])*\"|[^()\"]|\([^()]*\))*)\)")
_TYPES = {
    "String": "TEXT",
    "Boolean": "BOOLEAN",
    "Int": "INTEGER",
    "BigInt": "BIGINT",
    "Float": "DOUBLE PRECISION",
    "DateTime": "TIMESTAMP(3)",
    "Json": "JSONB",
}


@dataclass(frozen=True)
class Column:
    name: str
    type: str
    default: str | None
    nullable: bool
    identity: bool


@dataclass(frozen=True)
class Model:
    name: str
    columns: tuple[Column, ...]
    key: tuple[str, ...]

    def ddl(self, without: Collection[str] = ()) -> str:
        """``without``: columns that an older version did not have yet."""
        lines = [_line(each) for each in self.columns if each.name not in without]
        if self.key:
            lines.append(f"PRIMARY KEY ({', '.join(map(_quoted, self.key))})")
        return f"CREATE TABLE {_quoted(self.name)} ({', '.join(lines)})"


def litellm_schema() -> str:
    """Of the LiteLLM that is installed, without importing it."""
    found = find_spec("litellm")
    assert found is not None and found.origin is not None
    return (Path(found.origin).parent / "proxy" / "schema.prisma").read_text()


def models(schema: str) -> Mapping[str, Model]:
    return {name: Model(name, tuple(_columns(body)), _key(body)) for name, body in _MODEL.findall(schema)}


def _columns(body: str) -> Iterator[Column]:
    for line in body.splitlines():
        field = _FIELD.match(line.split("//")[0])
        if field is None or line.strip().startswith("@@"):
            continue
        name, kind, many, optional, rest = field.groups()
        if kind not in _TYPES:
            continue  # a relation
        default = _DEFAULT.search(rest)
        serial = default is not None and default[1].strip() == "autoincrement()"
        yield Column(
            name,
            ("SERIAL" if serial else _TYPES[kind]) + ("[]" if many else ""),
            None if default is None or serial else _literal(default[1].strip(), kind, bool(many)),
            bool(optional) or bool(many),  # Prisma makes columns of lists without NOT NULL
            bool(re.search(r"@id\b", rest)),
        )


def _literal(written: str, kind: str, many: bool) -> str | None:
    if many:
        inside = written.strip("[]")
        values = ", ".join(f"'{each.strip().strip(chr(34))}'" for each in inside.split(",") if each.strip())
        return f"ARRAY[{values}]::{_TYPES[kind]}[]"
    if written == "now()":
        return "CURRENT_TIMESTAMP"
    if written.startswith("uuid("):
        return None  # the client makes them
    if written.startswith('"'):
        return "'" + written[1:-1].replace('\\"', '"').replace("'", "''") + "'"
    return written


def _key(body: str) -> tuple[str, ...]:
    several = re.search(r"^\s*@@id\(\[([^\]]*)\]", body, re.MULTILINE)
    if several:
        return tuple(each.strip() for each in several[1].split(","))
    return tuple(each.name for each in _columns(body) if each.identity)


def _line(column: Column) -> str:
    default = f" DEFAULT {column.default}" if column.default is not None else ""
    return f"{_quoted(column.name)} {column.type}{'' if column.nullable else ' NOT NULL'}{default}"


def _quoted(name: str) -> str:
    return f'"{name}"'
