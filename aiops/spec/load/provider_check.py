"""What must hold within one provider: options its backend takes, sizes that can be compared, prices of its models."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from aiops.errors import Problem
from aiops.spec.choosing import sizes
from aiops.spec.load.lane import check_lane
from aiops.spec.load.link_local import forbidden
from aiops.spec.shapes.model import ModelSpec
from aiops.spec.shapes.option_tables import OPTIONS, Mode
from aiops.spec.shapes.options import check_options
from aiops.spec.suggest import did_you_mean, listed
from aiops.spec.yaml.yaml12 import Document, dotted

Where = tuple[str | int, ...]


def check_provider(
    doc: Document, path: Where, raw: Mapping[str, Any], models: Sequence[ModelSpec]
) -> Iterator[Problem]:
    """Every problem of a provider that its shape does not show. ``models``: its well-formed ones."""
    kind = raw.get("type")
    yield from _options(doc, path, raw, kind if isinstance(kind, str) and kind in OPTIONS else None, models)
    yield from _sizes(doc, path, raw)
    yield from _prices(doc, path, raw, models)
    yield from check_lane(doc, path, raw)
    if raw.get("queue") is not None and raw.get("max_parallel") is None:
        where = (*path, "queue")
        message = f"`{dotted(where)}` needs `max_parallel`: the requests beyond it wait"
        yield Problem(doc.file, doc.line(where), message, "write for example `max_parallel: 4`")


def link_local(doc: Document, path: Where, raw: Mapping[str, Any], url: str) -> Iterator[Problem]:
    """An address that is only allowed when it is said; and that said for nothing."""
    what, allowed = forbidden(url), raw.get("allow_link_local")
    name = dotted(path)
    if what is not None and allowed is not True:
        hint = f"if a model server really is there, say `allow_link_local: true` below `{path[-1]}:`"
        yield Problem(doc.file, doc.line((*path, "base_url")), f"`{name}.base_url`: {what}", hint)
    elif what is None and allowed is True:
        message = f"`{name}.allow_link_local` has no effect: base_url is no link-local address"
        yield Problem(doc.file, doc.line((*path, "allow_link_local")), message, "remove it")


def _options(
    doc: Document, path: Where, raw: Mapping[str, Any], kind: str | None, models: Sequence[ModelSpec]
) -> Iterator[Problem]:
    if kind is None:
        return
    general = raw.get("options")
    if isinstance(general, dict):
        modes: list[Mode] = list(dict.fromkeys(model.mode for model in models))
        yield from check_options(doc, (*path, "options"), kind, general, modes, of_model=False)
    for index, item in _mappings(raw):
        own, mode = item.get("options"), item.get("mode", "chat")
        if isinstance(own, dict) and isinstance(mode, str):
            known: list[Mode] = [model.mode for model in models if model.mode == mode][:1]
            yield from check_options(doc, (*path, "models", index, "options"), kind, own, known, of_model=True)


def _sizes(doc: Document, path: Where, raw: Mapping[str, Any]) -> Iterator[Problem]:
    for index, item in _mappings(raw):
        size = item.get("size")
        if isinstance(size, str):
            try:
                sizes.parse(size)
            except ValueError as error:
                where = (*path, "models", index, "size")
                yield Problem(doc.file, doc.line(where), f"`{dotted(where)}`: {error}")


def _prices(doc: Document, path: Where, raw: Mapping[str, Any], models: Sequence[ModelSpec]) -> Iterator[Problem]:
    prices, names = raw.get("cost_per_1k_tokens"), [model.name for model in models]
    if not isinstance(prices, dict):
        return
    own = {model.name for model in models if model.cost_per_1k_tokens is not None}
    for name in prices:
        where = (*path, "cost_per_1k_tokens", name)
        if name not in names:
            hint = did_you_mean(name, names, f"it lists: {listed(names)}")
            yield Problem(doc.file, doc.line(where), f"`{dotted(where)}`: `{path[-1]}` lists no such model", hint)
        elif name in own:
            yield Problem(doc.file, doc.line(where), f"`{dotted(where)}`: the model has a price of its own", "keep one")


def _mappings(raw: Mapping[str, Any]) -> Iterator[tuple[int, dict[str, Any]]]:
    items = raw.get("models")
    for index, item in enumerate(items if isinstance(items, tuple) else ()):
        if isinstance(item, dict):
            yield index, item
