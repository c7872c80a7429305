"""``options:`` of a provider or a model: refused when the backend would ignore it, else as LiteLLM is given it."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from aiops.errors import Problem
from aiops.spec.shapes.option_tables import HANDLING, LAUNCH, OPTIONS, SAME_AS, Kind, Mode
from aiops.spec.shapes.reference import REFERENCE
from aiops.spec.shapes.wording import described, wrong_type
from aiops.spec.suggest import listed, nearest
from aiops.spec.yaml.yaml12 import Document, Path, dotted

Value = bool | int | float | str | None | list["Value"] | dict[str, "Value"]
Params = Mapping[str, Value]
"""Parameters under LiteLLM's names, as JSON has them."""

_WANTED: dict[Kind, str] = {
    "whole": "a whole number",
    "number": "a number",
    "seconds": "seconds above 0",
    "text": "text",
    "secret": "a reference to the environment, `os.environ/NAME`",
    "switch": "true or false",
    "texts": "a list of texts",
    "wholes": "a list of whole numbers",
    "mapping": "a mapping",
    "duration": 'seconds, or a time like "5m"',
    "switch_or_text": "true, false or a level",
}


def params(kind: str, mode: Mode, *levels: Mapping[str, object]) -> dict[str, Value]:
    """What LiteLLM is told for a model of ``mode``: of each level (the provider, its model, the served name) the
    options that such a model takes, a later level before an earlier one."""
    table = OPTIONS[kind]
    return {
        table[name].litellm or name: _plain(value)
        for options in levels
        for name, value in options.items()
        if mode in table[name].modes
    }


def referred(options: object) -> Iterator[str]:
    """The environment variables that options refer to, however deep."""
    if isinstance(options, str):
        if found := REFERENCE.fullmatch(options):
            yield found[1]
    elif isinstance(options, Mapping | tuple):
        for value in options.values() if isinstance(options, Mapping) else options:
            yield from referred(value)


def check_options(
    doc: Document, path: Path, kind: str, options: Mapping[str, object], modes: Sequence[Mode], *, of_model: bool
) -> Iterator[Problem]:
    """Every problem of one ``options:`` at ``path``, for models of these modes; none are known when it is empty."""
    table = OPTIONS[kind]
    for name, value in options.items():
        where, full = (*path, name), f"`{dotted((*path, name))}`"
        option = table.get(name)
        if option is None:
            message, hint = _unknown(full, name, kind)
            yield Problem(doc.file, doc.line(where), message, hint)
        elif not _is(option.kind, value):
            yield _wrong(doc, where, option.kind, value)
        elif modes and not set(modes) & set(option.modes):
            whose = "this model" if of_model else "every model here"
            message = f"{full} would be ignored: {whose} is for {listed(set(modes))}"
            yield Problem(doc.file, doc.line(where), message, f"it is for {listed(option.modes)} models")


def _unknown(full: str, name: str, kind: str) -> tuple[str, str]:
    table = OPTIONS[kind]
    folded = name.lower().replace("-", "_")
    same = next((other for other in SAME_AS.get(folded, ()) if other in table), None)
    if same is not None:
        return f"{full}: {kind} would ignore it", f"here it is called `{same}`"
    if folded in LAUNCH:
        return (
            f"{full}: {kind} would ignore it in a request",
            "it is set where the server is started: in its environment"
            if LAUNCH[folded] == kind == "ollama"
            else "it belongs to the server's own command line",
        )
    if kind == "openai" and folded in ("max_tokens", "max_completion_tokens"):
        return f"{full} would make OpenAI refuse requests that set their own limit", "remove it; clients set it"
    close = nearest(name, table)
    return (
        f"{full}: {kind} would ignore it",
        f"did you mean `{close}`?"
        if close
        else f"known: {listed([each for each in table if each not in HANDLING], 40)}",
    )


def _wrong(doc: Document, where: Path, kind: Kind, value: object) -> Problem:
    problem = wrong_type(doc, where, _WANTED[kind], value)
    if isinstance(value, float) and not math.isfinite(value):
        return replace(problem, message=f"`{dotted(where)}` should be a finite number")
    if kind == "secret":  # what stands there may be one
        return Problem(doc.file, doc.line(where), f"`{dotted(where)}` should be {_WANTED[kind]}")
    if isinstance(value, dict | tuple):
        what = "is empty" if not value else "holds something else"
        return replace(problem, message=f"`{dotted(where)}` should be {_WANTED[kind]}, {what}")
    return problem


def _is(kind: Kind, value: object) -> bool:
    whole = isinstance(value, int) and not isinstance(value, bool)
    number = whole or (isinstance(value, float) and math.isfinite(value))
    text = isinstance(value, str)
    items = value if isinstance(value, tuple) else ()
    return {
        "whole": whole,
        "number": number,
        "seconds": isinstance(value, int | float) and number and value > 0,
        "text": text,
        "secret": text and REFERENCE.fullmatch(str(value)) is not None,
        "switch": isinstance(value, bool),
        "texts": bool(items) and all(isinstance(item, str) for item in items),
        "wholes": bool(items) and all(isinstance(item, int) and not isinstance(item, bool) for item in items),
        "mapping": isinstance(value, dict) and bool(value) and _is_json(value),
        "duration": number or text,
        "switch_or_text": text or isinstance(value, bool),
    }[kind]


def _plain(value: object) -> Value:
    """A value of the file as JSON has it: lists, not tuples."""
    if isinstance(value, tuple | list):
        return [_plain(item) for item in value]
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    assert value is None or isinstance(value, bool | int | float | str), described(value)
    return value


def _is_json(value: object) -> bool:
    """JSON knows no infinity."""
    if isinstance(value, tuple | Mapping):
        return all(map(_is_json, value.values() if isinstance(value, Mapping) else value))
    return not isinstance(value, float) or math.isfinite(value)
