"""The files an operator writes, as bytes. Everything in ``spec`` starts from these and never from a disk."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

SETTINGS = "aiops.yaml"
PROVIDERS = "providers.yaml"
MAPPINGS = "model-mappings.yaml"

PORTS = "ports.yaml"
KEYS = "keys.yaml"

FILES = (SETTINGS, PROVIDERS, MAPPINGS, PORTS, KEYS)
AT_INIT = (SETTINGS, PROVIDERS, MAPPINGS)
"""What `aiops init` writes: an instance without a port registry and without `keys.yaml` is complete."""
REQUIRED = (SETTINGS, PROVIDERS)

Sources = Mapping[str, bytes]
"""File name -> bytes. A missing file is absent; only those that are not ``REQUIRED`` may be."""


def fingerprint(sources: Sources) -> str:
    """SHA-256 (hex) over the names, lengths and bytes of the known files: equal exactly when the sources are."""
    digest = hashlib.sha256()
    for name in FILES:
        if name in sources:
            content = sources[name]
            digest.update(f"{name}\0{len(content)}\0".encode())
            digest.update(content)
    return digest.hexdigest()
