"""What a provider is sent: the client's bytes, with the model as it calls it. Nothing changes that does not have to.

The name is put right by splicing: whatever stands around it, numbers and unknown fields included, arrives as it was
sent.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

import orjson
from python_multipart.multipart import parse_options_header

from aiops.gateway.worker.front import form
from aiops.gateway.worker.front.asked import COUNTED, Asked
from aiops.gateway.worker.lanes.direct.asking import Asking
from aiops.gateway.worker.lanes.direct.keys import keys_at_the_top

_KEY = b'"model"'
# Of a key, never of a text: quotes inside of a text are escaped, and no text is followed by a colon.
# Possessive, here and below: a picture is a text of megabytes, and each way back would be remembered.
_MODEL = re.compile(rb'"model"\s*:\s*"([^"\\]*+(?:\\.[^"\\]*+)*+)"')
_DEVELOPER = re.compile(rb'("role"\s*:\s*)"developer"')
_ESCAPED = re.compile(rb"\\u00[4-7]")  # a letter that needs no escape
# Behind a boundary: the headers of a part, which end with an empty line.
_IS_MODEL = re.compile(
    rb'(?i)[ \t]*+\r\n(?:[^\r\n]++\r\n)*?content-disposition:[^\r\n]*[; \t]name="?model"?(?=[\r\n; \t])'
)


def body(asked: Asked, asking: Asking, model: str, kind: bytes) -> bytes:
    """``model``: what the provider calls it. ``kind``: the type of what the client sent."""
    if kind != b"application/json" and kind.split(b";", 1)[0].strip().lower().decode("latin-1") == form.MULTIPART:
        return _in_a_form(asked.body, kind, model)
    sent = asked.body if asked.with_usage is None else asked.with_usage
    said = asked.said
    if not _is_read_one_way(asked):
        return _without_developers(_written(_edited(asked, asking, model)), said)
    if not asking.is_plain:
        direct = asking.direct
        if _restructured(said, asking):
            return _without_developers(_written(_edited(asked, asking, model)), said)
        more = [text for name, text in asking.defaults.items() if name not in said]
        more += [text for name, text in asking.forced.items() if name not in said]
        if "stream_options" in direct.drop:
            sent = asked.body
        if more:
            start = sent.index(b"{") + 1
            sent = sent[:start] + b",".join(more) + (b"," if said else b"") + sent[start:]
    named = sent if said.get("model") == model else _with_model(sent, said, model)
    return _without_developers(named, said) if b'"developer"' in named else named


def _is_read_one_way(asked: Asked) -> bool:
    """Whether every server finds in it what was found here, of what is looked at here: no field stands there twice, and
    none is spelled with an escape. Of two of one name some go by the first."""
    sent, said = asked.body, asked.said
    if not _ESCAPED.search(sent) and all(sent.count(b'"%s"' % name.encode()) == 1 for name in said.keys() & COUNTED):
        return True
    keys = [key[1] for key in keys_at_the_top(sent)]
    return len(keys) == len(said) and not any(b"\\" in key for key in keys)


def _restructured(said: Mapping[str, Any], asking: Asking) -> bool:
    """Whether something has to be taken out of it."""
    direct = asking.direct
    return not (
        direct.drop.isdisjoint(said)
        and direct.rename.keys().isdisjoint(said)
        and all(said[name] == value for name, value in direct.forced.items() if name in said)
    )


def _edited(asked: Asked, asking: Asking, model: str) -> dict[str, Any]:
    direct = asking.direct
    said = dict(asked.said)
    if asked.with_usage is not None:
        given = said.get("stream_options")
        said["stream_options"] = {**(given if isinstance(given, dict) else {}), "include_usage": True}
    renamed = {direct.rename.get(name, name): value for name, value in said.items() if name not in direct.drop}
    for name in direct.drop:
        renamed.pop(name, None)
    return {**direct.defaults, **renamed, **direct.forced, "model": model}


def _written(said: dict[str, Any]) -> bytes:
    try:
        return orjson.dumps(said)
    except TypeError:  # numbers that it does not write
        return json.dumps(said).encode()


def _without_developers(sent: bytes, said: Mapping[str, Any]) -> bytes:
    """A role that OpenAI's reasoning models alone know. Templates of others refuse it, or leave out what it says; they
    are sent `system` in its place, as LiteLLM does it."""
    messages = said.get("messages")
    if not isinstance(messages, list):
        return sent
    many = sum(isinstance(each, dict) and each.get("role") == "developer" for each in messages)
    if not many:
        return sent
    spliced, found = _DEVELOPER.subn(rb'\1"system"', sent)
    if found == many:
        return spliced
    # It is written with an escape, or stands elsewhere too.
    edited = json.loads(sent.decode("utf-8", "surrogatepass"))
    for each in edited["messages"]:
        if each.get("role") == "developer":
            each["role"] = "system"
    return _written(edited)


def _with_model(sent: bytes, said: Mapping[str, Any], model: str) -> bytes:
    name = orjson.dumps(model)
    if sent.count(_KEY) == 1:
        first = _MODEL.match(sent, sent.index(_KEY))
        found = [first] if first is not None else []
    else:
        top = frozenset(key.start() for key in keys_at_the_top(sent))
        found = [each for each in _MODEL.finditer(sent) if each.start() in top]
    if not found or "model" not in said:  # spelled with an escape
        return _written({**said, "model": model})
    pieces, before = [], 0
    for each in found:
        pieces += [sent[before : each.start(1) - 1], name]
        before = each.end(1) + 1
    return b"".join((*pieces, sent[before:]))


def _in_a_form(sent: bytes, kind: bytes, model: str) -> bytes:
    """Of several fields of that name the last counts here, and the first elsewhere: all of them are put right. Looked
    for between boundaries alone: what is in a file is its own, and as long as its client likes."""
    boundary = b"--" + parse_options_header(kind)[1].get(b"boundary", b"")
    pieces, before = [], 0
    at = 0 if sent.startswith(boundary) else _next(sent, boundary, 0)
    while at >= 0:
        end = _next(sent, boundary, at + len(boundary))
        if (found := _IS_MODEL.match(sent, at + len(boundary))) is not None:
            start = sent.find(b"\r\n\r\n", found.end()) + 4
            if 4 <= start <= end - 2:
                pieces += [sent[before:start], model.encode()]
                before = end - 2
        at = end
    return b"".join((*pieces, sent[before:]))


def _next(sent: bytes, boundary: bytes, behind: int) -> int:
    """Where the next line begins that is one; -1: none."""
    found = sent.find(b"\r\n" + boundary, behind)
    return found + 2 if found >= 0 else -1
