"""What a light worker has behind its front and the direct lane: the lists of models, and nobody for the rest.

It imports nothing of LiteLLM. What needs LiteLLM is given to a full worker, see ``giving``.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from aiops.gateway.worker.front import key, let_in
from aiops.gateway.worker.front.asgi import Application, Receive, Scope, Send, is_private
from aiops.gateway.worker.front.beyond import NeedsLiteLLM
from aiops.gateway.worker.front.identify import stranger
from aiops.gateway.worker.front.listing import one_of
from aiops.gateway.worker.front.refusals import send_refusal
from aiops.gateway.worker.giving import FullWorkers, Giving
from aiops.gateway.worker.heads import Bounded
from aiops.gateway.worker.lanes.models import Listing
from aiops.gateway.worker.listed import Listed
from aiops.gateway.worker.settings import Settings
from aiops.state.rules import Refusal

if TYPE_CHECKING:
    from aiops.gateway.worker.desk import Desk
    from aiops.gateway.worker.dispatch import Dispatch
    from aiops.gateway.worker.extension import Extension

ALIVE = frozenset({"/health/liveliness", "/health/liveness"})
SEE_MODELS = "Call `/v1/models` to view available models for your key."
ALIVE_ANSWER = b'"I\'m alive!"'


class Connection(Bounded):
    """One on which a handshake for a websocket is a request like others: it is given to a full worker."""

    def _unsupported_upgrade_warning(self) -> None: ...


class Light:
    """``want``: says that LiteLLM is needed."""

    def __init__(self, models: Listed, full: FullWorkers, want: Callable[[], None]) -> None:
        self.server = {"http": Connection, "ws": "none"}
        self.models = models
        self.state: Mapping[str, Any] = {}
        self.app: Application = self._answer
        self._listing = Listing(models)
        self._full = full
        self._want = want
        self._serves: Callable[[str], bool] | None = None

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Raises NeedsLiteLLM."""
        given = list(key.given(scope["headers"], scope.get("query_string", b"")))
        if is_private(scope) and scope["path"] not in ALIVE and (refused := stranger(given)) is not None:
            await send_refusal(scope, send, refused, [(b"www-authenticate", b"Bearer")])
            return
        if scope["path"] in ALIVE:
            await _send(send, 200, ALIVE_ANSWER)
            return
        listed = self._listing.answer(scope)
        if listed is not None:
            await _send(send, *listed)
        elif (
            unknown := self._unknown(scope)
        ) is not None:  # LiteLLM is not imported to say that it knows no such model
            await send_refusal(scope, send, unknown)
        else:
            raise NeedsLiteLLM

    def _unknown(self, scope: Scope) -> Refusal | None:
        """In LiteLLM's words, for a request to a model that nobody serves."""
        given, serves = let_in.current.get(), self._serves
        names = given.models if given is not None else ()
        if scope["type"] == "http" and names and serves is not None and not any(map(serves, names)):
            message = f"{scope['path']}: Invalid model name passed in model={names[0][:200]}. {SEE_MODELS}"
            return Refusal(status=400, kind="invalid_request_error", param="model", code="400", message=message)
        one = one_of(scope["path"]) if scope.get("method") == "GET" else None
        if one is not None and serves is not None and not serves(one):
            message = f"The model `{one[:200]}` does not exist."
            return Refusal(
                status=404, kind="invalid_request_error", param="model", code="model_not_found", message=message
            )
        return None

    def choose_with(self, dispatch: Dispatch) -> None:
        self._serves = dispatch.serves

    async def prove(self, extension: Extension, environment: Mapping[str, str], settings: Settings) -> tuple[str, ...]:
        return ()

    def count_with(self, desk: Desk) -> None: ...

    def around(self, front: Application) -> Application:
        return Giving(front, self._full, self._want, self.models.request_timeout)


@asynccontextmanager
async def light(models: Listed, full: FullWorkers, want: Callable[[], None]) -> AsyncIterator[Light]:
    yield Light(models, full, want)


async def _send(send: Send, status: int, body: bytes) -> None:
    size = str(len(body)).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", size)]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
