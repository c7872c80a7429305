"""Who may call the gateway: LiteLLM's documented ``custom_auth`` extension point.

LiteLLM calls ``authenticate`` for every request, the master key included; it vouches for whom the front let in, and on
the private socket, where there is no front, for the master key. Raising anything but ``ProxyException`` would reach the
caller as a plain-text 500, so nothing else leaves this module.
"""

from __future__ import annotations

import os

from fastapi import Request
from litellm.proxy._types import LitellmUserRoles, ProxyException, UserAPIKeyAuth

from aiops.gateway.worker.front import key, let_in
from aiops.gateway.worker.settings import MASTER_KEY_VARIABLE
from aiops.state.shapes import Identity

# Counted so that the worker's self-check can prove that LiteLLM really calls this hook.
calls = 0


async def authenticate(request: Request, api_key: str) -> UserAPIKeyAuth:
    """The caller's identity, or a 401 in OpenAI's error shape."""
    global calls
    calls += 1
    let_in_by_the_front = let_in.current.get()
    if let_in_by_the_front is not None and not let_in_by_the_front.is_master:
        return _vouched(let_in_by_the_front.identity)
    given = (api_key or "").removeprefix("Bearer ")
    if not given:
        raise _refused("No API key was given. Send it as `Authorization: Bearer KEY`.")
    if let_in_by_the_front is None and not key.is_known(given):
        raise _refused("Incorrect API key provided.")
    return UserAPIKeyAuth(
        api_key=os.environ[MASTER_KEY_VARIABLE], user_role=LitellmUserRoles.PROXY_ADMIN, user_id="aiops-master"
    )


def _vouched(identity: Identity) -> UserAPIKeyAuth:
    """Without any limit or budget: LiteLLM would count them a second time, for this worker alone.

    An answer that a provider keeps is given to nobody else, so whoever has no user is one of its own.
    """
    return UserAPIKeyAuth(
        api_key=identity.hash,
        key_name=identity.name,
        key_alias=identity.alias,
        user_role=LitellmUserRoles.PROXY_ADMIN if identity.admin else LitellmUserRoles.INTERNAL_USER,
        user_id=identity.user or f"key-{identity.id}",
        team_id=identity.team,
    )


def _refused(message: str) -> ProxyException:
    return ProxyException(
        message=message,
        type="invalid_request_error",
        param=None,
        code=401,
        headers={"www-authenticate": "Bearer"},
    )
