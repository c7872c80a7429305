"""How long a client waits for a provider, and how long the operator does. Who waits less than a provider is given to
answer has learned nothing about it when it did not."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

FIELDS = ("timeout", "request_timeout", "stream_timeout")
"""By which a client says it in its request. LiteLLM puts what its headers say there too."""


def seconds(given: object) -> float | None:
    """A positive number; None for all else. What a form or a header says is a string."""
    try:
        found = math.nan if isinstance(given, bool) else float(given)  # type: ignore[arg-type]
    except (TypeError, ValueError, OverflowError):
        return None
    return found if 0 < found < math.inf else None


def of_client(data: Mapping[str, Any]) -> float | None:
    """The shortest that LiteLLM's request has; None when it has none. What is no number is no time at all."""
    given = [data[name] for name in FIELDS if data.get(name) is not None]
    return min((seconds(each) or 0.0 for each in given), default=None)


def of_operator(router: Any, deployment: str, *, stream: bool) -> float | None:
    """What a deployment is given to answer; None when nobody says."""
    return next(filter(None, map(seconds, _of_operator(router, deployment, stream=stream))), None)


def _of_operator(router: Any, deployment: str, *, stream: bool) -> Iterator[object]:
    """As LiteLLM's ``Router._get_timeout`` has it."""
    if router is None:
        return
    found = router.get_deployment(model_id=deployment)
    own = found.litellm_params if found is not None else None
    if stream:
        yield getattr(own, "stream_timeout", None)
        yield router.stream_timeout
    yield getattr(own, "timeout", None)
    yield router.timeout
