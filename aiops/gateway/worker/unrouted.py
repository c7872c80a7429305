"""Requests that LiteLLM would send where nobody routed them: to the address it knows by heart.

Some of its endpoints do not take the id of a deployment for a model, or take no model at all. Who is to be asked is put
into the request itself where that is possible; whatever reaches a provider's client without it is refused.
"""

from __future__ import annotations

from typing import Any

from litellm.exceptions import BadRequestError

SENT = ("model", "api_base", "api_key", "custom_llm_provider")


def moderate(data: dict[str, Any], router: Any, name: str) -> None:
    """Put the chosen deployment itself into a moderation: LiteLLM looks up names here, not ids, and tries no others.

    Raises BadRequestError when LiteLLM would read something else out of it.
    """
    deployment = router.get_deployment(model_id=data["model"])
    if deployment is None or deployment.litellm_params.model in router.model_names:
        raise refused("moderation", name)
    params = deployment.litellm_params.model_dump(exclude_none=True)
    data.pop("fallbacks", None)
    data.pop("max_fallbacks", None)
    data |= {key: params[key] for key in SENT if key in params}
    data["model_info"] = deployment.model_info.model_dump(exclude_none=True)


def refused(call_type: object, name: object) -> BadRequestError:
    """The 400 that says that this name is not answered here."""
    kind = str(getattr(call_type, "value", call_type) or "request").removeprefix("_").removeprefix("a")
    what = f"`{name}`" if isinstance(name, str) and name else "a request without a model"
    message = f"no provider here answers {what} on this endpoint ({kind}); nothing was sent"
    return BadRequestError(message=message, model=str(name or ""), llm_provider="")
