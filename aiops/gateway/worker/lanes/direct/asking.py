"""Who can be asked directly, and how: all that is known of a deployment before a request comes."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

import orjson

from aiops.gateway.worker.front.asgi import Headers
from aiops.spec.lanes.table import Direct
from aiops.spec.shapes.provider_types import PLACEHOLDER_KEY
from aiops.spec.shapes.reference import REFERENCE

JSON = (b"content-type", b"application/json")
_FORMS = (b"multipart/form-data", b"application/x-www-form-urlencoded")
VERSION = b"anthropic-version"
_VERSION = b"2023-06-01"
_SHORTEST_KEY = 8
_PASSED_ON = frozenset({VERSION, b"anthropic-beta"})
"""Headers of a client that Anthropic's API is asked with: which of its features are meant."""


@dataclass(frozen=True)
class Asking:
    """One deployment. ``urls``: by path. ``headers``: all but what kind of body it is. ``defaults``, ``forced``: as
    they are written into a body."""

    direct: Direct
    urls: Mapping[str, str]
    headers: Headers
    defaults: Mapping[str, bytes]
    forced: Mapping[str, bytes]
    says_kind: bool
    """Whether the operator says what kind of body it is."""
    is_plain: bool
    """Whether nothing of a body changes but its model."""
    hidden: Mapping[str, str]
    """What no client is to read, and what it reads in its place: providers say in their errors what they like."""

    def shown(self, message: str) -> str:
        """What a provider says, for a client."""
        for each, instead in self.hidden.items():
            if each in message:
                message = message.replace(each, instead)
        return message

    def url(self, path: str, query: bytes) -> str:
        """``query``: the client's."""
        url = self.urls[path]
        return url if not query else f"{url}{'&' if '?' in url else '?'}{query.decode('latin-1')}"

    def headers_for(self, given: Headers, kind: bytes) -> Headers:
        """``given``: those of the client; ``kind``: what it calls its body. All but forms is JSON, and called so:
        servers do not read it from a client that called it text, or nothing."""
        said = [] if self.says_kind else [(JSON[0], kind) if kind.lower().startswith(_FORMS) else JSON]
        head = [*said, *self.headers]
        if self.direct.wire == "anthropic":
            head += [pair for pair in given if pair[0] in _PASSED_ON]
            if not any(name == VERSION for name, _ in head):
                head.append((VERSION, _VERSION))
        return head


def asking(direct: Direct, environment: Mapping[str, str] = os.environ) -> Asking:
    """``environment``: holds keys. One that is missing is sent as none: the provider says so."""
    headers = [
        (name.lower().encode("latin-1"), _value(value, environment).encode("latin-1", "replace"))
        for name, value in direct.headers.items()
    ]
    key = environment.get(direct.key, "") if direct.key is not None else PLACEHOLDER_KEY
    name = b"x-api-key" if direct.wire == "anthropic" else b"authorization"
    if key and name not in dict(headers):
        shown = key if direct.wire == "anthropic" else f"Bearer {key}"
        headers.append((name, shown.encode("latin-1", "replace")))
    return Asking(
        direct=direct,
        urls={path: f"{direct.url}/{path}" for path in direct.paths},
        headers=headers,
        defaults={name: _field(name, value) for name, value in direct.defaults.items()},
        forced={name: _field(name, value) for name, value in direct.forced.items()},
        says_kind=any(name == JSON[0] for name, _ in headers),
        hidden=_hidden(direct, key if direct.key is not None else "", environment),
        is_plain=not (direct.defaults or direct.forced or direct.drop or direct.rename),
    )


def _hidden(direct: Direct, key: str, environment: Mapping[str, str]) -> Mapping[str, str]:
    referred = [_value(value, environment) for value in direct.headers.values() if REFERENCE.fullmatch(value)]
    keys = {each: "***" for each in (key, *referred) if len(each) >= _SHORTEST_KEY}
    address = urlsplit(direct.url).netloc
    return {**keys, **({address: direct.provider} if address else {})}


def _field(name: str, value: object) -> bytes:
    return orjson.dumps(name) + b":" + orjson.dumps(value)


def _value(written: str, environment: Mapping[str, str]) -> str:
    found = REFERENCE.fullmatch(written)
    return written if found is None else environment.get(found[1], "")
