"""What no API of its kind takes, and LiteLLM answers with a bare 500: refused with a 400 that names the field.

Only what is certainly wrong. Whatever some provider might take is the provider's to judge, and a field that is missing
is LiteLLM's, which says so well.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from aiops.gateway.worker import patience

Fields = Iterator[tuple[str, str]]
"""``(field, what it has to be)``, of each that is wrong."""
_SECONDS = "a number of seconds, more than 0"
_LITELLMS = frozenset({*patience.FIELDS, "extra_headers", "extra_body", "additional_drop_params"})
_TIMEOUTS = frozenset({b"x-litellm-timeout", b"x-litellm-stream-timeout"})


class Invalid(ValueError):
    """What is wrong with a body, for its sender. ``param``: the field, as OpenAI's errors name it."""

    def __init__(self, message: str, param: str | None = None) -> None:
        super().__init__(message)
        self.param = param


def check(path: str, said: Mapping[str, Any]) -> None:
    """Raises Invalid: all that is wrong, and which field is first."""
    found = list(_found(path, said))
    if found:
        raise Invalid(" ".join(f"`{field}` has to be {what}." for field, what in found), found[0][0])


def check_headers(headers: Iterable[tuple[bytes, bytes]]) -> None:
    """Those that LiteLLM takes for fields of the body. Raises Invalid."""
    for name, value in headers:
        if name.lower() in _TIMEOUTS and patience.seconds(value.decode("latin-1")) is None:
            field = name.decode("latin-1").lower()
            raise Invalid(f"`{field}` has to be {_SECONDS}.", field)


def _found(path: str, said: Mapping[str, Any]) -> Fields:
    if not _LITELLMS.isdisjoint(said):
        yield from _everywhere(said)
    for ending, fields in _BY_PATH.items():
        if path.endswith(ending):
            yield from fields(said)
            return


def _everywhere(said: Mapping[str, Any]) -> Fields:
    """What LiteLLM goes by itself, whatever is asked for."""
    for name in patience.FIELDS:
        given = said.get(name)
        if given is not None and (isinstance(given, str) or patience.seconds(given) is None):
            yield name, _SECONDS
    headers = said.get("extra_headers")
    if headers is not None and not (isinstance(headers, dict) and all(isinstance(v, str) for v in headers.values())):
        yield "extra_headers", "an object whose values are strings"
    if said.get("extra_body") is not None and not isinstance(said["extra_body"], dict):
        yield "extra_body", "an object"
    dropped = said.get("additional_drop_params")
    if dropped is not None and not (isinstance(dropped, list) and all(isinstance(each, str) for each in dropped)):
        yield "additional_drop_params", "a list of strings"


def _chat(said: Mapping[str, Any]) -> Fields:
    messages = said.get("messages")
    if messages is not None and not _are_objects(messages):
        yield "messages", "a list of objects"
    elif messages:
        for number, message in enumerate(messages):
            if isinstance(message.get("content"), int | float):
                yield f"messages[{number}].content", "a string or a list of parts"
    yield from _tools(said)
    yield from _response_format(said)


def _text(said: Mapping[str, Any]) -> Fields:
    if "prompt" in said and not _is_prompt(said["prompt"]):
        yield "prompt", "a string, or a list of strings or of tokens"
    yield from _stream(said)
    yield from _tools(said, str)
    yield from _response_format(said)
    yield from _metadata(said)


def _anthropic(said: Mapping[str, Any]) -> Fields:
    if "messages" in said:
        messages = said["messages"]
        if not messages or not _are_objects(messages) or not all("role" in message for message in messages):
            yield "messages", "a list of objects with a `role`, and not empty"
    yield from _stream(said)
    yield from _tools(said, str)
    yield from _response_format(said)
    if isinstance(said.get("tool_choice"), str | int | float):
        yield "tool_choice", "an object"


def _responses(said: Mapping[str, Any]) -> Fields:
    if isinstance(said.get("input"), int | float):
        yield "input", "a string or a list"
    yield from _tools(said)


def _embeddings(said: Mapping[str, Any]) -> Fields:
    yield from _tools(said)
    yield from _metadata(said)


_BY_PATH: Mapping[str, Callable[[Mapping[str, Any]], Fields]] = {
    "/chat/completions": _chat,
    "/completions": _text,
    "/messages": _anthropic,
    "/responses": _responses,
    "/embeddings": _embeddings,
}


def _tools(said: Mapping[str, Any], *neither: type) -> Fields:
    if isinstance(said.get("tools"), (int, float, *neither)):
        yield "tools", "a list"


def _response_format(said: Mapping[str, Any]) -> Fields:
    given = said.get("response_format")
    if given is not None and not isinstance(given, dict):
        yield "response_format", "an object"


def _stream(said: Mapping[str, Any]) -> Fields:
    given = said.get("stream")
    if given is not None and not isinstance(given, bool):
        yield "stream", "true or false"


def _metadata(said: Mapping[str, Any]) -> Fields:
    given = said.get("metadata")
    if given is not None and not isinstance(given, dict):
        yield "metadata", "an object"


def _are_objects(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(each, dict) for each in value)


def _is_prompt(value: object) -> bool:
    if isinstance(value, str):
        return True
    return isinstance(value, list) and bool(value) and all(isinstance(each, str | int | list) for each in value)
