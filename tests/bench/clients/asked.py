"""What is asked of every client."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager

BODY = b'{"model":"m","stream":true,"messages":[{"role":"user","content":"hello"}]}'
HEADERS = {"content-type": "application/json", "authorization": "Bearer sk-0123456789", "accept": "*/*"}
AT_ONCE = 16
Once = Callable[[str], Awaitable[int]]
"""A URL -> how many bytes came from it."""
Client = Callable[[], AbstractAsyncContextManager[Once]]
