"""``ports.yaml``: where the gateway listens, and who has which port."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from aiops.importing.report import Ledger
from aiops.importing.rewrite import Rewrite

_GATEWAY = ("litellm_gateway", "litellm", "gateway", "aiops_gateway", "aiops", "llm_gateway")
_ABOUT = frozenset(("metadata", "notes", "version", "ranges", "last_updated", "description"))
_DOCUMENTED = ("description", "health_check", "notes")


def translate_ports(rewrite: Rewrite, ledger: Ledger) -> None:
    """Judge every key; what is about the file, and not about one port, becomes a comment."""
    for name, entry in rewrite.data.items():
        if name in _ABOUT and not (isinstance(entry, Mapping) and "port" in entry):
            ledger.documentation((name,), "about the file; it stays in it as a comment")
            rewrite.set_aside((name,))
            continue
        ledger.kept((name,))
        for key in _DOCUMENTED:
            ledger.documentation((name, key))
            for inner in entry if name == "reserved" and isinstance(entry, Mapping) else ():
                ledger.documentation((name, inner, key))
        if name in _GATEWAY and isinstance(entry, Mapping) and "port" in entry:
            ledger.translated((name, "port"), "where the gateway listens", "aiops.yaml: gateway.port")


def gateway_port(data: Any) -> int | None:
    """The port that the gateway had; None when the file does not say."""
    for name in _GATEWAY:
        entry = data.get(name) if isinstance(data, Mapping) else None
        port = entry.get("port") if isinstance(entry, Mapping) else None
        if isinstance(port, int) and 0 < port < 65536:
            return port
    return None
