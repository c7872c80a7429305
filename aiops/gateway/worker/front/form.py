"""The fields of a form, read by the parser that LiteLLM's own reader stands on, so that both find the same.

Of several of one name the last counts. The content of a file is passed over.
"""

from __future__ import annotations

import codecs
from collections.abc import Mapping
from typing import TYPE_CHECKING
from urllib.parse import unquote_plus

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, QuerystringParser, parse_options_header

if TYPE_CHECKING:
    from python_multipart.multipart import MultipartCallbacks, QuerystringCallbacks

URLENCODED, MULTIPART = "application/x-www-form-urlencoded", "multipart/form-data"
MOST_FIELDS = 2000
"""Starlette takes 1000 fields and 1000 files."""
LARGEST_FIELD = 1024 * 1024
_CHARSETS = frozenset({"utf-8", "ascii", "iso8859-1"})


class Malformed(ValueError):
    """What is wrong with a form, for its sender."""


def fields(kind: str, content_type: bytes, body: bytes) -> Mapping[str, str]:
    """``kind``: one of the two. A file has an empty value. Raises Malformed."""
    found = _Fields()
    try:
        if kind == URLENCODED:
            if body.count(b"&") > MOST_FIELDS:  # those with nothing between them are no fields, and take as long
                raise Malformed(f"The form has more than {MOST_FIELDS} fields.")
            pairs: QuerystringCallbacks = {
                "on_field_start": found.begin,
                "on_field_name": found.name_piece,
                "on_field_data": found.value_piece,
                "on_field_end": found.pair_ends,
            }
            query = QuerystringParser(pairs)
            query.write(body)
            query.finalize()
        else:
            _, options = parse_options_header(content_type)
            found.charset = _charset(options.get(b"charset", b"utf-8"))
            parts: MultipartCallbacks = {
                "on_part_begin": found.begin,
                "on_part_data": found.value_piece,
                "on_part_end": found.part_ends,
                "on_header_field": found.header_name,
                "on_header_value": found.header_value,
                "on_header_end": found.header_ends,
                "on_headers_finished": found.headers_end,
            }
            parser = MultipartParser(options.get(b"boundary", b""), parts)
            parser.write(body)
            parser.finalize()
    except FormParserError as error:
        raise Malformed(f"The body is not a form: {error}.") from None
    return found.all


def _charset(given: bytes) -> str:
    try:
        name = codecs.lookup(given.decode("latin-1")).name
    except (LookupError, ValueError):
        name = ""
    if name not in _CHARSETS:
        raise Malformed("The charset of a form has to be utf-8.")
    return name


class _Fields:
    def __init__(self) -> None:
        self.all: dict[str, str] = {}
        self.charset = "utf-8"
        self._count = 0
        self._is_file = False
        self._name, self._value = bytearray(), bytearray()
        self._header, self._header_value, self._disposition = b"", b"", b""

    def begin(self) -> None:
        self._count += 1
        if self._count > MOST_FIELDS:
            raise Malformed(f"The form has more than {MOST_FIELDS} fields.")
        self._is_file, self._disposition = False, b""
        self._name, self._value = bytearray(), bytearray()

    def name_piece(self, data: bytes, start: int, end: int) -> None:
        self._grow(self._name, data, start, end)

    def value_piece(self, data: bytes, start: int, end: int) -> None:
        if not self._is_file:
            self._grow(self._value, data, start, end)

    def pair_ends(self) -> None:
        self.all[unquote_plus(self._name.decode("latin-1"))] = unquote_plus(self._value.decode("latin-1"))

    def header_name(self, data: bytes, start: int, end: int) -> None:
        self._header += data[start:end]

    def header_value(self, data: bytes, start: int, end: int) -> None:
        self._header_value += data[start:end]

    def header_ends(self) -> None:
        if self._header.lower() == b"content-disposition":
            self._disposition = self._header_value
        self._header, self._header_value = b"", b""

    def headers_end(self) -> None:
        _, options = parse_options_header(self._disposition)
        if b"name" not in options:
            raise Malformed("A part of the form has no name.")
        self._name = bytearray(options[b"name"])
        self._is_file = b"filename" in options

    def part_ends(self) -> None:
        self.all[self._decoded(self._name)] = self._decoded(self._value)

    def _decoded(self, raw: bytearray) -> str:
        try:
            return raw.decode(self.charset)
        except UnicodeDecodeError:
            return raw.decode("latin-1")

    def _grow(self, grown: bytearray, data: bytes, start: int, end: int) -> None:
        if len(grown) + end - start > LARGEST_FIELD:
            raise Malformed(f"A field of the form is larger than {LARGEST_FIELD} bytes.")
        grown += data[start:end]
