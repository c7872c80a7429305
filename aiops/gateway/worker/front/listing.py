"""The models that a key may ask for, in the lists of them; where they are served, administrators are told only."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import unquote

import orjson

from aiops.gateway.worker.front.asgi import Application, Message, Receive, Scope, Send
from aiops.state import rules
from aiops.state.shapes import Identity

_ONE = re.compile(r"(?:/v1)?/models/(.+)")
_NAMES = ("model_name", "model_group", "id", "slug")  # of an entry: `id` is its name where it has no other


def one_of(path: str) -> str | None:
    """The model that a path asks about; None when it is about all."""
    found = _ONE.fullmatch(path)
    return unquote(found[1]) if found is not None else None


def is_cut(identity: Identity, path: str) -> bool:
    """Whether this key is not shown all that LiteLLM says there."""
    return any(account.models for account in identity.accounts) or (not identity.admin and path.endswith("/model/info"))


async def send_list(app: Application, scope: Scope, receive: Receive, send: Send, identity: Identity) -> None:
    """LiteLLM's answer without what this key may not ask for."""
    plain = [pair for pair in scope["headers"] if pair[0] != b"accept-encoding"]  # what is compressed cannot be read
    head: Message = {}
    pieces: list[bytes] = []

    async def keep(message: Message) -> None:
        if message["type"] == "http.response.start":
            head.update(message)
            return
        pieces.append(message.get("body", b""))
        if message.get("more_body"):
            return
        body = shortened(b"".join(pieces), identity) if head["status"] == 200 else b"".join(pieces)
        size = str(len(body)).encode()
        head["headers"] = [(name, size if name == b"content-length" else value) for name, value in head["headers"]]
        await send(head)
        await send({"type": "http.response.body", "body": body})

    await app({**scope, "headers": plain}, receive, keep)


def shortened(body: bytes, identity: Identity) -> bytes:
    """A list of models in any of LiteLLM's shapes."""
    said = orjson.loads(body)
    if not isinstance(said, dict):
        return b"[]"
    for key in ("data", "models"):
        entries = said.get(key)
        if isinstance(entries, list):
            said[key] = [_public(entry, identity) for entry in entries if rules.lists(identity, _name(entry))]
    for key in ("first_id", "last_id"):  # in Anthropic's shape
        if key in said:
            listed = said.get("data") or [{}]
            said[key] = listed[0 if key == "first_id" else -1].get("id")
    return orjson.dumps(said)


def _public(entry: Any, identity: Identity) -> Any:
    """Without where a model is served, which is an administrator's to know."""
    params = entry.get("litellm_params") if isinstance(entry, dict) else None
    if identity.admin or not isinstance(params, dict):
        return entry
    return {**entry, "litellm_params": {"model": params.get("model")}}


def _name(entry: Any) -> str:
    if not isinstance(entry, dict):
        return ""
    return next((str(entry[name]) for name in _NAMES if entry.get(name)), "")
