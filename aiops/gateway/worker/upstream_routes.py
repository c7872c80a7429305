"""The route table of the LiteLLM that runs: what of the open doors it has, and what there is that takes a model."""

from __future__ import annotations

import importlib
import logging
from collections.abc import Iterable, Iterator
from typing import Any

from aiops.gateway.worker.front.doors import WEBSOCKET, Door
from aiops.gateway.worker.stand_in import passing_by

log = logging.getLogger("aiops.front")

PUT_OFF = "litellm.proxy._lazy_features"
"""Where LiteLLM keeps the routers that it imports with the first request for them."""


def routes(app: Any) -> Iterator[tuple[Door, Any]]:
    """Every method and path that is registered now, with its endpoint. A mounted application is one, below its path."""
    return _below("", app.routes)


def _below(prefix: str, listed: Iterable[Any]) -> Iterator[tuple[Door, Any]]:
    for route in listed:
        if hasattr(
            route, "original_router"
        ):  # FastAPI includes a router as one, and makes its routes when they are used
            yield from _below(prefix + route.include_context.prefix, route.original_router.routes)
            continue
        path, endpoint = prefix + route.path, getattr(route, "endpoint", None)
        if endpoint is None:  # a mounted application
            yield Door("GET", f"{path}/{{path:path}}"), None
        elif getattr(route, "methods", None) is None:
            yield Door(WEBSOCKET, path), endpoint
        else:
            yield from ((Door(method, path), endpoint) for method in sorted(route.methods))


def missing(app: Any, doors: Iterable[Door]) -> tuple[str, ...]:
    """The doors behind which this LiteLLM has nothing. Logs them: what it has beyond the doors stays closed."""
    # None of the doors is behind a router that is put off: a look at those would import them (see ``put_off``).
    passed_by = passing_by.set(True)
    try:
        there = {door for door, _ in routes(app)}
    finally:
        passing_by.reset(passed_by)
    put_off = _put_off(app)
    gone = [str(door) for door in doors if door not in there and not any(each.matches(door.path) for each in put_off)]
    if gone:
        log.warning("open on the port, and nothing to this LiteLLM: %s", ", ".join(gone))
    return tuple(gone)


def _put_off(app: Any) -> tuple[Any, ...]:
    """What LiteLLM has not imported yet: these say which paths would make it."""
    try:
        features = importlib.import_module(PUT_OFF).LAZY_FEATURES
    except (ImportError, AttributeError):  # a release without such features: all its routes are in the table
        return ()
    loaded: set[str] = getattr(app.state, "lazy_loaded", set())
    return tuple(feature for feature in features if feature.module_path not in loaded)
