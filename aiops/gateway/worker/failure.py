"""What LiteLLM says of a deployment that did not answer, as a status and a word for people."""

from __future__ import annotations

from collections.abc import Iterator

import aiohttp
import httpx
import openai
from litellm.exceptions import APIConnectionError, Timeout

from aiops.gateway.worker.board import TIMED_OUT
from aiops.gateway.worker.egress import NoProvider
from aiops.gateway.worker.reply import UNSUPPORTED

_NO_CONNECTION = (ConnectionError, aiohttp.ClientConnectionError, httpx.ConnectError, httpx.RemoteProtocolError)
# That somebody was asked, and who it was did not answer. Not `httpx.LocalProtocolError`: a client's headers make those.
_LOST = (
    *(OSError, aiohttp.ClientConnectionError, aiohttp.ClientPayloadError),
    *(httpx.NetworkError, httpx.RemoteProtocolError, httpx.ProxyError, httpx.TimeoutException),
)
_NOT_ASKED = (400, "cannot be asked this")


def may_pass(exception: Exception) -> bool:
    """Whether asking once more may help: nobody was there, or a 503, which servers answer while they load a model."""
    if isinstance(exception, Timeout):
        return False
    if getattr(exception, "status_code", None) == 503:
        return True
    lost = next((cause for cause in _causes(exception) if isinstance(cause, _NO_CONNECTION)), None)
    return lost is not None and not isinstance(lost, NoProvider)


def of(exception: Exception) -> tuple[int | None, str]:
    """``(status, failure)``. The status is None when there was no HTTP answer at all, and 400 when LiteLLM stumbled
    over the request before there could be one: it calls that a lost connection too, and any client can cause it."""
    if isinstance(exception, Timeout):
        return None, TIMED_OUT
    if UNSUPPORTED in str(exception):
        return _NOT_ASKED
    if isinstance(exception, APIConnectionError):
        for cause in _causes(exception):
            if (answered := _answered(cause)) is not None:
                return answered, f"HTTP {answered}"
            if isinstance(cause, _LOST):
                return None, "no connection"
        return _NOT_ASKED
    status = getattr(exception, "status_code", None)
    if status == 500 and _stumbled(exception):
        return _NOT_ASKED
    return (status, f"HTTP {status}") if isinstance(status, int) else (None, type(exception).__name__)


def _stumbled(exception: Exception) -> bool:
    """Whether LiteLLM's own code failed, and nobody had said anything before."""
    for cause in _causes(exception):
        if isinstance(cause, _LOST) or _answered(cause) is not None:
            return False
        if isinstance(cause, TypeError | AttributeError):
            return True
    return False


def _answered(cause: BaseException) -> int | None:
    """The status that a provider answered with. LiteLLM's own exceptions are of OpenAI's classes too."""
    if isinstance(cause, httpx.HTTPStatusError | openai.APIStatusError) and not hasattr(cause, "llm_provider"):
        return cause.response.status_code
    return None


def _causes(exception: BaseException) -> Iterator[BaseException]:
    cause: BaseException | None = exception
    while cause is not None:
        yield cause
        cause = cause.__cause__ or cause.__context__
