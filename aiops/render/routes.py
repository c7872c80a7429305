"""``routes.json``: what a generation serves, for comparing it with the next one without parsing old YAML."""

from __future__ import annotations

import json

from aiops.spec.routes.kept import Kept
from aiops.spec.routes.routes import RouteTable
from aiops.spec.routes.summary import Summary

NAME = "routes.json"


def routes_json(table: RouteTable, summary: Summary) -> bytes:
    """Deterministic JSON, one line."""
    data = {**table.to_data(), "providers": summary.providers, "settings": summary.settings.recorded}
    if summary.rules:
        data["rules"] = summary.rules
    return (json.dumps(data, ensure_ascii=False, sort_keys=True, separators=(",", ":")) + "\n").encode()


def read_routes(content: bytes) -> tuple[RouteTable, Summary]:
    """The inverse of ``routes_json``."""
    data = json.loads(content)
    rules = tuple((name, words) for name, words in data.get("rules", ()))
    return RouteTable.from_data(data), Summary(Kept.of(data["settings"]), data["providers"], rules)
