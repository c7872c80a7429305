"""What a full worker has behind its front: LiteLLM's application, with the hooks that aiops relies on proved to fire.

To be imported after the master has prepared its environment and imported LiteLLM.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from aiops.gateway.worker import probing, routing, runtime, selfcheck, upstream_routes
from aiops.gateway.worker.front.doors import ALWAYS
from aiops.gateway.worker.heads import Bounded
from aiops.gateway.worker.settings import Settings

if TYPE_CHECKING:
    from aiops.gateway.worker.desk import Desk
    from aiops.gateway.worker.dispatch import Dispatch
    from aiops.gateway.worker.extension import Extension
    from aiops.gateway.worker.front.asgi import Application


class Full:
    """``app``: LiteLLM's; ``state``: of its lifespan. ``models``: what its router knows."""

    def __init__(self, app: Any, state: Mapping[str, Any]) -> None:
        self.server = {"http": Bounded}
        self.app = app
        self.state = state
        self.models = routing.LiteLLMModels()
        self.models.count_no_limits()
        self.models.tell_clients_no_names()

    def choose_with(self, dispatch: Dispatch) -> None:
        """LiteLLM's hooks are called from now on; to be said before anything is asked."""
        routing.instance.dispatch = dispatch

    async def prove(self, extension: Extension, environment: Mapping[str, str], settings: Settings) -> tuple[str, ...]:
        """What is open on the port and unknown to this LiteLLM. Raises HookMissing."""
        # A task of its own: what it sets in its context must not be inherited by every request to come.
        await asyncio.create_task(selfcheck.prove(extension, dict(environment), settings))
        return upstream_routes.missing(self.app, ALWAYS)

    def count_with(self, desk: Desk) -> None:
        """Limits of models are counted from now on."""
        routing.instance.limits = desk.limits

    @staticmethod
    def around(front: Application) -> Application:
        return front


@asynccontextmanager
async def litellm() -> AsyncIterator[Full]:
    """LiteLLM's application, started. Its configuration is where ``CONFIG_FILE_PATH`` says."""
    app = runtime.app()
    for name in probing.LOGGERS:
        logging.getLogger(name).addFilter(probing.quiet)
    async with app.router.lifespan_context(app) as state:
        yield Full(app, dict(state or {}))
