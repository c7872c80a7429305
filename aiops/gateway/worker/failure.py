"""What LiteLLM says of a deployment that did not answer, as a status and a word for people."""

from __future__ import annotations

import aiohttp
import httpx
from litellm.exceptions import APIConnectionError, Timeout

from aiops.gateway.worker.egress import NoProvider

_NO_CONNECTION = (ConnectionError, aiohttp.ClientConnectionError, httpx.ConnectError, httpx.RemoteProtocolError)
UNSUPPORTED = "Unsupported provider"
"""What LiteLLM says, as a failure of the provider, when it has no way to ask one of its type. Nothing was sent."""


def may_pass(exception: Exception) -> bool:
    """Whether asking once more may help: nobody was there, or a 503, which servers answer while they load a model."""
    if isinstance(exception, Timeout):
        return False
    if getattr(exception, "status_code", None) == 503:
        return True
    cause: BaseException | None = exception
    while cause is not None:
        if isinstance(cause, _NO_CONNECTION):
            return not isinstance(cause, NoProvider)
        cause = cause.__cause__ or cause.__context__
    return False


def of(exception: Exception) -> tuple[int | None, str]:
    """``(status, failure)``. The status is None when there was no HTTP answer at all."""
    if isinstance(exception, Timeout):
        return None, "timed out"
    if UNSUPPORTED in str(exception):
        return 400, "cannot be asked this"
    if isinstance(exception, APIConnectionError):
        return None, "no connection"
    status = getattr(exception, "status_code", None)
    return (status, f"HTTP {status}") if isinstance(status, int) else (None, type(exception).__name__)
