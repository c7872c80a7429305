"""Why the front refuses what nobody else has looked at yet, in words for whoever asks."""

from __future__ import annotations

from aiops.gateway.worker.front.asgi import TooLarge
from aiops.gateway.worker.front.asked import Asked
from aiops.gateway.worker.front.doors import opens
from aiops.spec.shapes.exposed import OPENS
from aiops.state.rules import Refusal

SERVED = "This port serves the API that models are asked with, and /v1/models."


def too_large(error: TooLarge) -> Refusal:
    return Refusal(status=413, kind="invalid_request_error", code="413", message=str(error))


def not_theirs(wanted: Asked) -> Refusal:
    names = ", ".join(f"`{name}`" for name in wanted.not_theirs)
    message = (
        f"This key may not say {names} like that: it is the operator's to set, is spelled otherwise,"
        " belongs outside of `extra_body`,"
        " asks for several models at once, or for an answer that is fetched later."
    )
    return Refusal(status=400, kind="invalid_request_error", code="400", param=wanted.not_theirs[0], message=message)


def not_here(method: str, path: str) -> Refusal:
    group = opens(method, path)
    what = f"There is nothing at {method} {path[:200]}. {SERVED}"
    if group is not None:
        what += f" For the operator: `gateway.expose: [{group}]` in aiops.yaml opens {OPENS[group]}."
    return Refusal(status=404, kind="invalid_request_error", code="404", message=what)


def only_admins(path: str) -> Refusal:
    message = f"{path[:200]} answers to the master key, or a key of an administrator, only."
    return Refusal(status=403, kind="auth_error", code="403", message=message)


def only_free(path: str) -> Refusal:
    message = (
        f"{path[:200]} was opened with `gateway.expose`: nothing is counted there, so a key with a limit, a budget or a"
        " list of models may not use it. The master key may, or a key of an administrator without any."
    )
    return Refusal(status=403, kind="auth_error", code="403", message=message)


def by_post(path: str) -> Refusal:
    message = f"By a websocket only the master key may ask at {path[:200]}: ask with POST."
    return Refusal(status=403, kind="auth_error", code="403", message=message)
