"""Copies of parsed data with something changed at a path: what a file has to mean after an edit."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from aiops.spec.yaml.yaml12 import Path


def with_value(data: Any, path: Path, value: Any) -> Any:
    """A copy of ``data`` with ``path`` set."""
    if not path:
        return _plain(value)
    step = path[0]
    if isinstance(step, int):
        return (*data[:step], with_value(data[step], path[1:], value), *data[step + 1 :])
    inner = data.get(step) if isinstance(data, Mapping) else None
    return {**(data or {}), step: with_value(inner, path[1:], value)}


def without(data: Any, path: Path) -> Any:
    """A copy of ``data`` without ``path``."""
    step = path[0]
    if isinstance(step, int):
        rest = () if len(path) == 1 else (without(data[step], path[1:]),)
        return (*data[:step], *rest, *data[step + 1 :])
    if len(path) == 1:
        return {name: value for name, value in data.items() if name != step}
    return {**data, step: without(data[step], path[1:])}


def _plain(value: Any) -> Any:
    """The value in the shapes that the parser yields."""
    if isinstance(value, Mapping):
        return {name: _plain(inner) for name, inner in value.items()}
    return tuple(_plain(inner) for inner in value) if isinstance(value, list | tuple) else value
