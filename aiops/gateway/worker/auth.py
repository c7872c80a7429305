"""Who may call the gateway: LiteLLM's documented ``custom_auth`` extension point.

LiteLLM calls ``authenticate`` for every request, the master key included. Raising anything but
``ProxyException`` would reach the caller as a plain-text 500, so nothing else leaves this module.
"""

from __future__ import annotations

from fastapi import Request
from litellm.proxy._types import LitellmUserRoles, ProxyException, UserAPIKeyAuth

from aiops.gateway.worker.front import key

# Counted so that the worker's self-check can prove that LiteLLM really calls this hook.
calls = 0


async def authenticate(request: Request, api_key: str) -> UserAPIKeyAuth:
    """The caller's identity, or a 401 in OpenAI's error shape."""
    global calls
    calls += 1
    given = (api_key or "").removeprefix("Bearer ")
    if not given:
        raise _refused("No API key was given. Send it as `Authorization: Bearer KEY`.")
    if not key.is_known(given):
        raise _refused("Incorrect API key provided.")
    return UserAPIKeyAuth(api_key=given, user_role=LitellmUserRoles.PROXY_ADMIN, user_id="aiops-master")


def _refused(message: str) -> ProxyException:
    return ProxyException(
        message=message,
        type="invalid_request_error",
        param=None,
        code=401,
        headers={"www-authenticate": "Bearer"},
    )
