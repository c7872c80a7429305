"""What two kinds of workers have in common: behind the front and the direct lane there is something, see ``full`` and
``light``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from aiops.gateway.worker.desk import Desk, Models
from aiops.gateway.worker.dispatch import Dispatch
from aiops.gateway.worker.extension import Extension
from aiops.gateway.worker.front.asgi import Application
from aiops.gateway.worker.settings import Settings


class Behind(Protocol):
    """What answers behind the front and the direct lane, and what is known without asking it."""

    @property
    def app(self) -> Application: ...

    @property
    def models(self) -> Models: ...

    @property
    def state(self) -> Mapping[str, Any]:
        """Of every connection."""
        ...

    @property
    def server(self) -> Mapping[str, Any]:
        """How the server is to be, in uvicorn's words."""
        ...

    def choose_with(self, dispatch: Dispatch) -> None: ...

    async def prove(self, extension: Extension, environment: Mapping[str, str], settings: Settings) -> tuple[str, ...]:
        """What is open on the port and not there. Raises what keeps this worker from serving."""
        ...

    def count_with(self, desk: Desk) -> None: ...

    def around(self, front: Application) -> Application:
        """What the server is to call."""
        ...
