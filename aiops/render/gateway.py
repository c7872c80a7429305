"""``gateway.json``: what the gateway process needs to know of a generation. Secrets are named, never contained."""

from __future__ import annotations

import json

from aiops.spec.routes.routes import RouteTable
from aiops.spec.shapes.model import DesiredState
from aiops.spec.shapes.secrets import EnvRef, FileRef, secret_env
from aiops.spec.shapes.settings import Keys, Usage

NAME = "gateway.json"


def gateway_json(state: DesiredState, table: RouteTable) -> bytes:
    """Deterministic JSON; read by ``aiops.gateway.worker.settings``."""
    gateway = state.gateway
    needed = secret_env(state)
    # The worker warms itself with a mocked request to this model; only chat models can be mocked.
    chat = (route.model for route in table.routes if route.mode == "chat")
    active = [provider for provider in state.providers.values() if provider.status == "active"]
    data: dict[str, object] = {
        "host": gateway.host,
        "port": gateway.port,
        "workers": gateway.workers,
        "drain_seconds": gateway.drain_seconds,
        "models": len(table.routes),
        "probe_model": next(chat, None),
        "expose": sorted(set(gateway.expose)),
        # Whatever LiteLLM is asked for, the gateway connects to nothing else.
        "addresses": sorted({f"{host}:{port}" for provider in active for host, port in provider.addresses}),
        # Whose requests cost nothing when nobody wrote a price.
        "free": sorted(provider.name for provider in active if not provider.is_billable),
        "master_key_file": state.settings.master_key_file,
        "environment": [variable for variable, source in needed.items() if isinstance(source, EnvRef)],
        "secrets": {variable: source.path for variable, source in needed.items() if isinstance(source, FileRef)},
    }
    if gateway.admin_port is not None:
        data["admin"] = {"host": gateway.admin_host, "port": gateway.admin_port}
    if state.mode == "distributed":
        deployment = state.settings.deployment
        data["deployment"] = {
            "database_url_file": deployment.database_url_file,
            "redis_url_file": deployment.redis_url_file,
            "replica": deployment.replica,
            "profile": state.profile,
        }
        if (cache := state.settings.cache) is not None:
            data["cache"] = {"ttl": cache.ttl, "most_bytes": cache.most_bytes}
    if (status := state.settings.keys.over_budget_status) != Keys().over_budget_status:
        data["over_budget_status"] = status  # a release that does not need it stays the same
    if (days := state.settings.usage.keep_days) != Usage().keep_days:
        data["usage_keep_days"] = days
    return (json.dumps(data, indent=2, sort_keys=True, ensure_ascii=False) + "\n").encode()
