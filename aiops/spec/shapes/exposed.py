"""What of LiteLLM's port is closed and can be opened by name: ``gateway.expose`` in ``aiops.yaml``.

Which paths each name opens is in ``gateway/worker/front/doors.py``; docs/http.md says it for operators.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, get_args

Group = Literal["files", "mcp", "openapi", "passthrough", "ui", "utils"]

GROUPS: tuple[Group, ...] = get_args(Group)

OPENS: Mapping[Group, str] = {
    "files": "files, batches, fine-tuning, vector stores, assistants, videos, skills, containers",
    "mcp": "LiteLLM's MCP gateway, with its OAuth pages",
    "openapi": "LiteLLM's API reference: /, /redoc, /openapi.json, /routes",
    "passthrough": "a service's own API below its name: /openai/…, /anthropic/…, /gemini/…, and what else LiteLLM has",
    "ui": "LiteLLM's login page and admin pages, most of which want a database",
    "utils": "/utils/…: token counter, supported parameters, how a request would be sent; /health of LiteLLM's own",
}
"""What each group opens, for people."""

SHOWN_ONLY: frozenset[Group] = frozenset({"openapi", "ui"})
"""Those from which no provider is reached."""
