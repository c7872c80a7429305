"""What a worker needs to know of its generation, read from the release's ``gateway.json``."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeVar

from aiops.gateway.shared import deployment
from aiops.gateway.shared.deployment import Deployment
from aiops.spec import env_file
from aiops.spec.choosing.rules import RoutingTable
from aiops.spec.lanes.table import Lanes

T = TypeVar("T")

MASTER_KEY_VARIABLE = "AIOPS_MASTER_KEY"
CONFIG_FILE = "litellm-unified.yaml"
ROUTING_FILE = "routing.json"
LANES_FILE = "lanes.json"


@dataclass(frozen=True)
class Cache:
    """``ttl``: seconds for which an answer is given again; ``most_bytes``: of all that are kept."""

    ttl: float
    most_bytes: int


@dataclass(frozen=True, kw_only=True)
class Settings:
    """One generation as the gateway sees it. Seconds are floats; ``secrets`` maps a variable to its file.

    ``routing`` is None for a release of an aiops that had no routing rules: it has no routing hook either.
    ``admin``: host and port of the management API; None: on the public port.
    ``expose``: what of LiteLLM's port is opened. ``addresses``: where the active providers are, as ``host:port``; None
    for a release of an aiops that did not write them down. ``free``: the providers that send no bill, or None likewise.
    ``deployment``: what is shared with other gateways; None: nothing.
    ``lanes``: None for a release of an aiops that asked everybody by way of LiteLLM.
    ``cache``: None: no answer is given again. ``over_budget_status``: HTTP, of a key that has spent its budget.
    """

    generation: int
    directory: Path
    host: str
    port: int
    workers: int
    drain_seconds: float
    models: int
    probe_model: str | None = None
    secrets: Mapping[str, str] = field(default_factory=dict)
    environment: tuple[str, ...] = ()
    master_key_file: str | None = None
    routing: RoutingTable | None = None
    admin: tuple[str, int] | None = None
    expose: tuple[str, ...] = ()
    addresses: tuple[str, ...] | None = None
    free: tuple[str, ...] | None = None
    deployment: Deployment | None = None
    over_budget_status: int = 429
    cache: Cache | None = None
    lanes: Lanes | None = None

    @property
    def url(self) -> str:
        """Of the public port."""
        return f"http://{f'[{self.host}]' if ':' in self.host else self.host}:{self.port}"

    @property
    def config(self) -> Path:
        return self.directory / "release" / CONFIG_FILE


def load(directory: Path) -> Settings:
    """Settings of the generation in ``directory``. Raises OSError or ValueError when it is damaged."""
    release = directory / "release"
    return replace(
        _parsed(release / "gateway.json", lambda content: _settings(directory, json.loads(content))),
        routing=_read(release / ROUTING_FILE, RoutingTable.from_json),
        lanes=_read(release / LANES_FILE, Lanes.from_json),
    )


def _settings(directory: Path, data: Mapping[str, Any]) -> Settings:
    return Settings(
        generation=int(directory.name),
        directory=directory,
        host=str(data["host"]),
        port=int(data["port"]),
        workers=int(data["workers"]),
        drain_seconds=float(data["drain_seconds"]),
        models=int(data["models"]),
        probe_model=data["probe_model"],
        secrets=dict(data["secrets"]),
        environment=tuple(data["environment"]),
        master_key_file=data["master_key_file"],
        admin=(str(admin["host"]), int(admin["port"])) if (admin := data.get("admin")) else None,
        expose=tuple(data.get("expose", ())),
        addresses=tuple(data["addresses"]) if "addresses" in data else None,
        free=tuple(data["free"]) if "free" in data else None,
        deployment=deployment.parse(data),
        over_budget_status=int(data.get("over_budget_status", 429)),
        cache=Cache(float(cache["ttl"]), int(cache["most_bytes"])) if (cache := data.get("cache")) else None,
    )


def _read(path: Path, parse: Callable[[bytes], T]) -> T | None:
    """What the master reads once, its workers share."""
    return _parsed(path, parse) if path.exists() else None


def _parsed(path: Path, parse: Callable[[bytes], T]) -> T:
    try:
        return parse(path.read_bytes())
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"{path} is damaged: {error}") from error


def read_secrets(settings: Settings, secrets: Path) -> dict[str, str]:
    """Environment of a worker: the master key, ``secrets/env``, and files named by ``api_key_file``.

    Files win over what the process inherited. Raises OSError or ValueError naming what is missing, never a value.
    """
    values = {MASTER_KEY_VARIABLE: _file(settings.master_key_file or "master_key", secrets)}
    path = secrets / "env"
    if path.exists():
        values |= env_file.parse(path.read_text())
    missing = [name for name in settings.environment if not values.get(name) and not os.environ.get(name)]
    if missing:
        raise ValueError(f"{', '.join(missing)} is not set: put it into {path}")
    for variable, name in settings.secrets.items():
        values[variable] = _file(name, secrets)
    if settings.deployment is not None:
        values[deployment.REDIS_VARIABLE] = settings.deployment.redis_url(secrets)
    return values


def _file(name: str, secrets: Path) -> str:
    path = Path(os.path.expanduser(name))  # noqa: PTH111
    return (path if path.is_absolute() else secrets / path).read_text().strip()
