"""What LiteLLM says of a deployment that did not answer, as a status and a word for people."""

from __future__ import annotations

from litellm.exceptions import APIConnectionError, Timeout

UNSUPPORTED = "Unsupported provider"
"""What LiteLLM says, as a failure of the provider, when it has no way to ask one of its type. Nothing was sent."""


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
