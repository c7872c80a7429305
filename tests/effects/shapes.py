"""Every key an operator can write, found by walking the shapes of the desired state."""

from __future__ import annotations

import types
import typing
from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import BaseModel

from aiops.spec.shapes import mappings, model, tenancy
from aiops.spec.shapes.shape import Shape
from aiops.spec.sources import KEYS, MAPPINGS, PORTS, PROVIDERS, SETTINGS

# Where each shape is written. `*` stands for a name, `[]` for an item of a list.
ROOTS: dict[str, type[BaseModel]] = {
    f"{SETTINGS}:": model.Settings,
    f"{PROVIDERS}: providers.*": model.Provider,
    f"{PORTS}: *": model.Port,
    f"{KEYS}:": tenancy.Tenancy,
    f"{MAPPINGS}: exact_matches.*": mappings.ExactMatch,
    f"{MAPPINGS}: fallback_chains.*": mappings.Chain,
    f"{MAPPINGS}: load_balancing.*": mappings.Balanced,
    f"{MAPPINGS}: capabilities.*": mappings.Capability,
    f"{MAPPINGS}: patterns[]": mappings.Pattern,
    f"{MAPPINGS}: routing_rules": mappings.RoutingRules,
    f"{MAPPINGS}: special_cases": mappings.SpecialCases,
}
# Not written by anybody: the key of the mapping it stands in, the section, the line.
NAMES = {f"{PROVIDERS}: providers.*.name", f"{PORTS}: *.status", f"{PORTS}: *.line"}
# Written in a way the shapes do not show: a bare name for a model.
SHORT = {f"{PROVIDERS}: providers.*.models[]"}


def every_key() -> list[str]:
    """``file: dotted.path`` of each key that holds a value; those that only hold other keys are not among them."""
    keys = {key for prefix, shape in ROOTS.items() for key in _below(prefix, shape)}
    return sorted((keys | SHORT) - NAMES)


def _below(prefix: str, shape: type[BaseModel]) -> Iterator[str]:
    for name, field in shape.model_fields.items():
        path = f"{prefix}{' ' if prefix.endswith(':') else '.'}{field.alias or name}"
        inner = list(_shapes(field.annotation, path))
        if not inner or _is_plain_too(field.annotation):
            yield path
        for deeper, found in inner:
            yield from _below(deeper, found)


def _shapes(annotation: Any, path: str) -> Iterator[tuple[str, type[BaseModel]]]:
    """The shapes inside an annotation, each with where its keys are written."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield path, annotation
        return
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if isinstance(origin, type) and issubclass(origin, Mapping):
        yield from _shapes(arguments[1], f"{path}.*")
    elif origin in (tuple, list):
        yield from (found for argument in arguments if argument is not ... for found in _shapes(argument, f"{path}[]"))
    else:
        yield from (found for argument in arguments for found in _shapes(argument, path))


def _is_plain_too(annotation: Any) -> bool:
    """Whether a bare value may stand where a shape may: ``{low: small}`` beside ``{low: {model: small}}``."""
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if origin in (typing.Union, types.UnionType):
        plain = [argument for argument in arguments if argument is not type(None)]
        return any(not list(_shapes(argument, "")) or _is_plain_too(argument) for argument in plain)
    if isinstance(origin, type) and issubclass(origin, Mapping):
        return _is_plain_too(arguments[1])
    return origin is typing.Annotated and _is_plain_too(arguments[0])


def unreachable_shapes() -> set[str]:
    """Shapes of the desired state that no root leads to: their keys would go untested."""
    seen: set[type[BaseModel]] = set()

    def visit(shape: type[BaseModel]) -> None:
        if shape not in seen:
            seen.add(shape)
            for field in shape.model_fields.values():
                for _, found in _shapes(field.annotation, ""):
                    visit(found)

    for root in ROOTS.values():
        visit(root)
    return {shape.__name__ for shape in _subclasses(Shape) if shape.model_fields} - {shape.__name__ for shape in seen}


def _subclasses(shape: type[BaseModel]) -> Iterator[type[BaseModel]]:
    for child in shape.__subclasses__():
        yield child
        yield from _subclasses(child)
