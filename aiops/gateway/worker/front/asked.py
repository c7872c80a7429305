"""What a request asks for, read from its body once; LiteLLM is given the same bytes again.

Read as LiteLLM reads it. Where the two could differ all the same, LiteLLM's hook asks once more for the name that it
found (``let_in.LetIn.models``), so nobody is answered by a model that was not looked at.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from types import MappingProxyType
from typing import Any
from urllib.parse import parse_qsl, unquote

import orjson

from aiops.gateway.worker import request
from aiops.gateway.worker.front import form, how_much
from aiops.gateway.worker.front.invalid import Invalid, check
from aiops.spec.choosing.request_facts import CHARACTERS_PER_TOKEN

_FORMS = (form.URLENCODED, form.MULTIPART)
_IN_PATH = re.compile(
    r"/(?:engines|openai/deployments)/(.+?)/(?:chat/completions|completions|embeddings|images/generations|images/edits)"
    r"|(?:/v1beta)?/models/(.+):(?:generateContent|streamGenerateContent|countTokens)"
)
_TRUE = frozenset({"true", "1", "yes", "on", "t", "y"})
_COUNTING = re.compile(r".*(?:/count_tokens|:countTokens|/responses/input_tokens)")
_STREAMS_WITH_OPTIONS = re.compile(r"(?:/v1)?/(?:chat/)?completions|/(?:engines|openai/deployments)/.+/completions")
_FALLBACKS = ("fallbacks", "context_window_fallbacks", "content_policy_fallbacks")
_FALL_BACK = frozenset(_FALLBACKS)
COUNTED = frozenset(
    {
        *(*how_much.LENGTHS, *how_much.ANSWERS, "stream", "stream_options", "extra_body"),
        *("model", "models", "fallbacks", "messages", "prompt", "input"),
    }
)
"""What is looked at here, so that it has to be what whoever answers goes by."""
_OPERATORS = frozenset(
    {
        *("api_base", "api_key", "api_version", "base_url", "custom_llm_provider", "model_list", "specific_deployment"),
        *("router_settings_override", "user_config", "_router_weights"),
        *("tiered_pricing", "litellm_params", "num_retries", "max_retries"),
    }
)
_IN_ANY_CASE = frozenset(name.casefold() for name in COUNTED)
LONGEST_NAME = 1000  # characters of a model's, which many remember
_LONGEST_REMEMBERED = 100  # characters: clients call their fields what they like
_PRICES = re.compile(r"(?:\w+_)?cost_per_\w+|\w+_token_cost(?:_\w+)?")  # each of which LiteLLM would reckon by
_ONLY_IN_JSON = frozenset({*_FALLBACKS, "models", "extra_body", "stream_options"})


@dataclass(frozen=True, kw_only=True)
class Asked:
    """``models``: every name that this request could lead to, the one that it asks for first. ``prompt``: its tokens,
    estimated; ``max_tokens``: of one answer, by whichever name the client says it, unless it ``is_endless``: a server
    may heed none. ``answers``: how many of them.
    ``body``: as it came. ``with_usage``: what LiteLLM is given in its place, to tell the usage of a stream whose client
    did not ask for that.
    ``said``: the body, read; of a form its fields.
    ``counts_only``: tokens are counted and nothing is answered. ``background``: its answer is fetched later.
    ``not_theirs``: what only the operator may say.
    """

    models: tuple[str, ...] = ()
    prompt: int = 0
    max_tokens: int | None = None
    is_endless: bool = False
    answers: int = 1
    stream: bool = False
    counts_only: bool = False
    background: bool = False
    not_theirs: tuple[str, ...] = ()
    end_user: str | None = None
    body: bytes = field(default=b"", repr=False)
    with_usage: bytes | None = field(default=None, repr=False)
    said: Mapping[str, Any] = field(default_factory=dict, repr=False)

    @property
    def model(self) -> str:
        return self.models[0] if self.models else ""


class Unreadable(ValueError):
    """What is wrong with a body, for its sender."""


def read(
    path: str, content_type: bytes, body: bytes, query: bytes = b"", same: Mapping[str, str] = MappingProxyType({})
) -> Asked:
    """``same``: other names of served models, in whose place those are meant.

    Raises Unreadable for a body of which nobody can say what it asks for, and Invalid for one that nobody takes."""
    try:
        return _read(path, content_type, body, query, same)
    except RecursionError:
        raise Invalid("The body is nested too deeply.") from None


def _read(path: str, content_type: bytes, body: bytes, query: bytes, same: Mapping[str, str]) -> Asked:
    if len(path) > LONGEST_NAME:
        raise Invalid(f"The path is longer than {LONGEST_NAME} characters.")
    kind = content_type.split(b";", 1)[0].strip().lower().decode("latin-1")
    is_form = kind in _FORMS
    said = _form(kind, content_type, body) if is_form else _json(body)
    if not is_form:
        check(path, said)
    models = tuple(dict.fromkeys(same.get(name, name) for name in _models(path, said, query)))
    if any(len(name) > LONGEST_NAME for name in models):
        raise Invalid(f"`model` has to be a name of {LONGEST_NAME} characters at most.", "model")
    stream = _is_true(said.get("stream")) or ":streamGenerateContent" in path
    hides_usage = stream and not is_form and _may_have_options(path) and not _wants_usage(said)
    return Asked(
        models=models,
        prompt=prompt_tokens(said),
        max_tokens=how_much.max_tokens(said),
        is_endless=how_much.is_endless(said),
        answers=how_much.answers(said) * request.batch_size({"prompt": said.get("prompt")}),
        stream=stream,
        counts_only=_is_counting(path),
        background=_is_true(said.get("background")),
        not_theirs=(*_not_theirs(said), *(_not_in_a_form(path, said) if is_form else ())),
        end_user=_text(said.get("user")),
        body=body,
        with_usage=_with_usage(body, said) if hides_usage else None,
        said=said,
    )


def _with_usage(body: bytes, said: Mapping[str, Any]) -> bytes:
    """The body, asking for the event that tells the usage."""
    if "stream_options" in said:  # however it is spelled: of two the last would count
        given = said["stream_options"]
        options = {**given, "include_usage": True} if isinstance(given, dict) else {"include_usage": True}
        return json.dumps({**said, "stream_options": options}).encode()  # what orjson did not read it does not write
    start = body.index(b"{") + 1
    return body[:start] + b'"stream_options":{"include_usage":true},' + body[start:]


def prompt_tokens(said: Mapping[str, Any]) -> int:
    """Characters by four, as everywhere in aiops."""
    return -(-request.characters(said) // CHARACTERS_PER_TOKEN)


def _models(path: str, said: Mapping[str, Any], query: bytes) -> Iterator[str]:
    in_path = _in_path(path)
    if in_path is not None:
        yield in_path
    name = said.get("model")
    if isinstance(name, str):
        yield from (part.strip() for part in name.split(",")) if "," in name else (name,)
    if in_path is None and name is None and query:
        yield from (value for key, value in parse_qsl(query.decode("latin-1")) if key == "model")
    if not _FALL_BACK.isdisjoint(said):
        for kind in _FALLBACKS:
            yield from _named(said.get(kind))


@lru_cache(1024)  # clients ask at the same few paths, with the same few fields
def _in_path(path: str) -> str | None:
    found = _IN_PATH.fullmatch(path)
    return None if found is None else unquote(found[1] or found[2])


def _named(given: object) -> Iterator[str]:
    """The models in fallbacks of a client's own: names, ``{model: …}``, or ``{name: [others]}``."""
    for each in given if isinstance(given, list) else ():
        if isinstance(each, str):
            yield each
        elif isinstance(each, dict):
            for key, value in each.items():
                if key == "model" and isinstance(value, str):
                    yield value
                yield from _named(value)


def _json(body: bytes) -> Mapping[str, Any]:
    if not body.strip():
        return {}
    try:
        said = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        try:  # as LiteLLM does with what orjson is too strict for
            said = json.loads(body.decode("utf-8", "surrogatepass"))
        except ValueError:
            raise Unreadable(f"The body is not JSON: {error}.") from None
    if not isinstance(said, dict):
        raise Invalid("The body is not a JSON object.")
    return said


def _not_theirs(said: Mapping[str, Any]) -> Iterator[str]:
    """LiteLLM goes by these: who is asked, at which address and price, how often; and what it puts into the request
    that it makes, in the place of what was looked at here."""
    yield from sorted(name for name in said if _is_operators(name))
    if _is_true(said.get("background")):  # its answer is fetched later, when nobody counts
        yield "background"
    name = said.get("model")
    if isinstance(name, str) and "," in name:  # LiteLLM asks several at once, each at its own price
        yield "model"
    hidden = said.get("extra_body")
    if isinstance(hidden, dict):
        yield from (f"extra_body.{name}" for name in sorted(hidden.keys() & COUNTED))


def _is_operators(name: str) -> bool:
    """Or is spelled so that some servers take it for what is counted here: Go's read any case."""
    return _is_known_as_operators(name) if len(name) <= _LONGEST_REMEMBERED else _is_either(name)


def _is_either(name: str) -> bool:
    if name in _OPERATORS or _PRICES.fullmatch(name) is not None:
        return True
    return name not in COUNTED and name.casefold() in _IN_ANY_CASE


_is_known_as_operators = lru_cache(1024)(_is_either)


def _form(kind: str, content_type: bytes, body: bytes) -> Mapping[str, Any]:
    try:
        return form.fields(kind, content_type, body)
    except form.Malformed as error:
        raise Unreadable(str(error)) from None


def _not_in_a_form(path: str, said: Mapping[str, Any]) -> Iterator[str]:
    """LiteLLM reads ``name[]`` as a list called ``name``; and by a form nobody can ask what a stream used."""
    bare = {name: name.split("[", 1)[0] for name in said}
    yield from sorted(name for name, its in bare.items() if its in _ONLY_IN_JSON)
    lists = {name: its for name, its in bare.items() if its != name and its not in _ONLY_IN_JSON}
    yield from sorted(name for name, its in lists.items() if its in COUNTED or _is_operators(its))
    if _may_have_options(path) and _is_true(said.get("stream")):
        yield "stream"


@lru_cache(1024)
def _is_counting(path: str) -> bool:
    return _COUNTING.fullmatch(path) is not None


@lru_cache(1024)
def _may_have_options(path: str) -> bool:
    return _STREAMS_WITH_OPTIONS.fullmatch(path) is not None


def _wants_usage(said: Mapping[str, Any]) -> bool:
    options = said.get("stream_options")
    return isinstance(options, dict) and options.get("include_usage") is True


def _is_true(value: object) -> bool:
    """As servers read it that are lenient."""
    return value == 1 or (isinstance(value, str) and value.strip().lower() in _TRUE)


def _text(value: object) -> str | None:
    return value[:256] if isinstance(value, str) and value else None
