"""An instance that never served anything, again and again: what the first `up` makes of these providers."""

from __future__ import annotations

import shutil
import socket
from collections.abc import Mapping
from typing import Any

import yaml

from tests.kit.gateway import Gateway
from tests.kit.waiting import free_port


def forget(gateway: Gateway) -> None:
    gateway.source("providers.yaml").write_text("providers: {}\n")
    gateway.source("model-mappings.yaml").write_text("exact_matches: {}\n")
    gateway.must("down")
    shutil.rmtree(gateway.home / "state")
    (gateway.home / "state").mkdir(mode=0o700)
    (gateway.home / "secrets" / "env").unlink(missing_ok=True)
    gateway.source("litellm-unified.yaml").unlink(missing_ok=True)


def write(gateway: Gateway, providers: Mapping[str, Any], mappings: Mapping[str, Any] | None = None) -> None:
    full = {name: {"type": "openai_compatible", **facts} for name, facts in providers.items()}
    gateway.source("providers.yaml").write_text(yaml.safe_dump({"providers": full}))
    if mappings is not None:
        gateway.source("model-mappings.yaml").write_text(yaml.safe_dump(mappings))


def off() -> str:
    return f"http://127.0.0.1:{free_port()}"


def nobody_listens(gateway: Gateway) -> bool:
    with socket.socket() as one:
        return one.connect_ex(("127.0.0.1", gateway.port)) != 0


def unproved(gateway: Gateway) -> list[dict[str, Any]]:
    shown = gateway.must("show", gateway.status["generation"])["unproved"]
    assert isinstance(shown, list)
    return shown
