"""Print the model servers on this machine, one per line: type, base URL, number of models, separated by tabs.

Usage: local_providers.py PORT...   A server is recognised by what it answers; a port alone proves nothing.
"""

from __future__ import annotations

import json
import sys
import urllib.error
import urllib.request
from typing import Any

_direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # a proxy has no business with 127.0.0.1


def get(url: str) -> Any:
    """The JSON at ``url``; None when nobody answers within half a second, or answers something else."""
    try:
        with _direct.open(url, timeout=0.5) as answer:
            return json.loads(answer.read(1 << 20))
    except (OSError, ValueError, urllib.error.URLError):
        return None


def identify(base: str) -> tuple[str, int] | None:
    """Which kind of model server answers at ``base``, and how many models it lists; None for anything else."""
    tags = get(f"{base}/api/tags")
    if (
        isinstance(tags, dict)
        and isinstance(tags.get("models"), list)
        and "version" in (get(f"{base}/api/version") or {})
    ):
        return "ollama", len(tags["models"])
    listed = get(f"{base}/v1/models")
    models = listed.get("data") if isinstance(listed, dict) else None
    if not isinstance(models, list) or not models or not isinstance(models[0], dict):
        return None
    owner = models[0].get("owned_by")
    kind = {"vllm": "vllm", "llamacpp": "llama_cpp"}.get(owner) if isinstance(owner, str) else None
    return (kind, len(models)) if kind else None


def main(ports: list[str]) -> None:
    for port in ports:
        base = f"http://127.0.0.1:{port}"
        if found := identify(base):
            print(found[0], base, found[1], sep="\t")


if __name__ == "__main__":
    main(sys.argv[1:])
