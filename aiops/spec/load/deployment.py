"""``mode`` and ``deployment``: one machine, or several that share a database and Redis."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from aiops.errors import Problem
from aiops.spec.shapes.settings import Settings
from aiops.spec.sources import SETTINGS
from aiops.spec.yaml.yaml12 import Document

_FILES = {"database_url_file": "Postgres", "redis_url_file": "Redis"}


def check_deployment(doc: Document, data: dict[str, Any], settings: Settings) -> Iterator[Problem]:
    """What fits together in the shape of each key, and not with the others."""
    deployment, short = settings.deployment, data.get("mode")
    if deployment.mode is not None and short is not None and deployment.mode != short:
        line = doc.line(("deployment", "mode"))
        message = f"`deployment.mode` is {deployment.mode}, and `mode` is {short}"
        yield Problem(SETTINGS, line, message, "keep one of them")
        return
    distributed = (deployment.mode or settings.mode) == "distributed"
    where = doc.line(("deployment", "mode") if deployment.mode is not None else ("mode",))
    for key, what in _FILES.items():
        given = getattr(deployment, key)
        if distributed and given is None:
            message = f"several gateways share a {what}, and `deployment.{key}` does not say which"
            yield Problem(SETTINGS, where, message, "`aiops scale-out` writes it and brings over what is here")
        elif not distributed and given is not None:
            message = f"`deployment.{key}` would have no effect on one machine"
            yield Problem(SETTINGS, doc.line(("deployment", key)), message, "remove it, or see `aiops scale-out`")
    if not distributed and settings.cache is not None:
        message = "`cache` keeps answers in Redis, and there is none on one machine"
        yield Problem(SETTINGS, doc.line(("cache",)), message, "remove it, or see `aiops scale-out`")
    if not distributed and deployment.replica is not None:
        message = "`deployment.replica` would have no effect on one machine"
        yield Problem(SETTINGS, doc.line(("deployment", "replica")), message, "remove it")
