"""Says in plain words, with a line and the nearest valid name, what pydantic found wrong."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any, TypeVar, get_args

from pydantic import BaseModel, ValidationError

from aiops.errors import Problem
from aiops.spec.suggest import did_you_mean, listed
from aiops.spec.yaml.yaml12 import Document, Path, dotted

Shape = TypeVar("Shape", bound=BaseModel)

_WANTED = {
    "string_type": "text",
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "bool_type": "true or false",
    "tuple_type": "a list",
    "dict_type": "a mapping",
    "model_type": "a mapping",
}
_BOUNDS = {
    "greater_than_equal": ("at least", "ge"),
    "less_than_equal": ("at most", "le"),
    "greater_than": ("more than", "gt"),
}


def shaped(
    kind: type[Shape], data: Any, doc: Document, path: Path, problems: list[Problem], **extra: Any
) -> Shape | None:
    """Validate ``data`` found at ``path`` as ``kind``; on failure add every problem and return None.

    ``extra`` are values that do not stand in the file, such as a name that is the mapping's key.
    """
    if not isinstance(data, dict):
        problems.append(wrong_type(doc, path, "a mapping", data))
        return None
    whole = {**data, **extra}
    try:
        return kind.model_validate(whole)
    except ValidationError as error:
        problems.extend(_translated(error, kind, whole, doc, path, extra.keys()))
        return None


def wrong_type(doc: Document, path: Path, wanted: str, value: Any) -> Problem:
    """``x`` should be …, is …."""
    return Problem(doc.file, doc.line(path), f"`{dotted(path)}` should be {wanted}, is {described(value)}")


def unknown_key(doc: Document, path: Path, valid: Collection[str]) -> Problem:
    """A key that nothing reads."""
    key = str(path[-1])
    hint = did_you_mean(key, valid, f"known keys: {listed(valid, 20)}")
    return Problem(doc.file, doc.line(path), f"unknown key `{dotted(path)}`", hint)


def described(value: Any) -> str:
    """What kind of thing a value is, without repeating it: it may be a secret."""
    if value is None:
        return "empty"
    for kind, words in ((bool, "true or false"), (int, "a whole number"), (float, "a fraction"), (str, "text")):
        if isinstance(value, kind):
            return words
    return "a mapping" if isinstance(value, Mapping) else "a list"


def _translated(
    error: ValidationError, kind: type[BaseModel], data: Any, doc: Document, path: Path, not_keys: Collection[str]
) -> Iterator[Problem]:
    for item in error.errors(include_url=False):
        where = (*path, *_steps(item["loc"], data, is_missing=item["type"] == "missing"))
        name, sort, context = dotted(where), item["type"], item.get("ctx", {})
        value = item["input"]
        if sort == "extra_forbidden":
            yield unknown_key(doc, where, [key for key in _keys_at(kind, item["loc"][:-1]) if key not in not_keys])
            continue
        hint = ""
        if sort == "missing":
            message = f"`{name}` is missing"
        elif sort in _WANTED:
            message = f"`{name}` should be {_WANTED[sort]}, is {described(value)}"
            if sort == "string_type" and isinstance(value, int | float):
                hint = "put it in quotes"
            elif sort in ("int_type", "float_type", "bool_type") and isinstance(value, str) and _is_quoted(doc, where):
                hint = "remove the quotes"
        elif sort == "literal_error":
            choices = [choice.strip("'") for choice in str(context["expected"]).replace(" or ", ", ").split(", ")]
            message = f"`{name}` should be one of {', '.join(choices)}; is {_shown(value)}"
            hint = did_you_mean(value, choices) if isinstance(value, str) else ""
        elif sort in _BOUNDS:
            words, bound = _BOUNDS[sort]
            message = f"`{name}` should be {words} {_number(context[bound])}, is {_number(value)}"
        elif sort == "finite_number":
            message = f"`{name}` should be a finite number"
        else:
            message = f"`{name}`: {item['msg'][:1].lower()}{item['msg'][1:]}"
        yield Problem(doc.file, doc.line(where), message, hint)


def _steps(loc: Path, data: Any, *, is_missing: bool) -> Iterator[str | int]:
    """The steps of a place that are in the file: pydantic puts the branch of a union in between."""
    for step in loc:
        written = isinstance(step, int) if isinstance(data, tuple) else isinstance(data, Mapping) and step in data
        if written:
            data = data[step]
        if written or is_missing:
            yield step


def _keys_at(kind: type[BaseModel], loc: tuple[int | str, ...]) -> Collection[str]:
    for step in loc:
        if isinstance(step, str) and step in kind.model_fields:
            annotation = kind.model_fields[step].annotation
            for inner in (annotation, *get_args(annotation)):  # `Shape` or `Shape | None`
                if isinstance(inner, type) and issubclass(inner, BaseModel):
                    kind = inner
    return kind.model_fields.keys()


def _is_quoted(doc: Document, path: Path) -> bool:
    found = doc.node(path)
    return found is not None and getattr(found[1], "style", None) in ('"', "'")


def _shown(value: Any) -> str:
    return f"`{value}`" if isinstance(value, str) and len(value) <= 40 else described(value)


def _number(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)
