"""LiteLLM's management routers are imported when they are first used: a fifth of the import, spared at every start.

What is put off is checked at every start, because another LiteLLM may use its modules otherwise: whatever is not as
expected is imported as LiteLLM means it, and said. See docs/decisions/0017.
"""

from __future__ import annotations

import asyncio
import importlib
import os
import sys
from collections.abc import Collection, Mapping, MutableMapping
from typing import TYPE_CHECKING, Any, Final

from aiops.gateway.worker.put_off_modules import MODULES, PASSED_BY

if TYPE_CHECKING:
    from aiops.gateway.worker.stand_in import Finder

WHOLE_IMPORT: Final = "AIOPS_GATEWAY_WHOLE_IMPORT"  # "1": import everything at the start, as stock LiteLLM does
PROXY: Final = "litellm.proxy.proxy_server"
REMEMBERED: Final = 1024  # paths that are known to need nothing of what was put off

notes: list[str] = []  # what was not as expected at this start, a line each
_finder: Finder | None = None
_harmless: set[tuple[str, str]] = set()


def import_proxy(modules: Mapping[str, Collection[str]] = MODULES, proxy: str = PROXY) -> None:
    """Import ``proxy`` without ``modules`` if that can be done, and whole if not. Raises what importing it raises."""
    global _finder
    if proxy in sys.modules:
        return
    if os.environ.get(WHOLE_IMPORT) == "1":
        notes.append(f"nothing of LiteLLM is put off: {WHOLE_IMPORT} is set")
    elif not _mounted_routers_are_asked():
        notes.append("nothing of LiteLLM is put off: this FastAPI copies the routes of a router when it is mounted")
    else:
        from aiops.gateway.worker.stand_in import Finder

        finder = Finder(modules)
        sys.meta_path.insert(0, finder)
        try:
            app = importlib.import_module(proxy).app
            finder.importing = False
            _check(finder, app)
        except Exception as error:
            sys.meta_path.remove(finder)
            forget(proxy.partition(".")[0])
            notes.append(f"nothing of LiteLLM is put off: {type(error).__name__}: {error}")
        else:
            _finder = finder
            return
    importlib.import_module(proxy)


def waiting() -> list[str]:
    """The modules that have not been imported so far."""
    return sorted(_finder.waiting) if _finder is not None else []


def load(name: str) -> None:
    """Import the module ``name`` now, if it is one of those that wait."""
    if _finder is not None and (stand_in := _finder.waiting.get(name)) is not None:
        stand_in.load()


async def make_ready_for(app: Any, scope: MutableMapping[str, Any]) -> None:
    """Import what was put off, in a thread, if the request gets as far as a router that waits.

    The routes would import it themselves, but in the event loop: streams would stand still for a second.
    """
    if _finder is None or not _finder.waiting:
        return
    from aiops.gateway.worker.stand_in import passing_by

    if scope["path"] in PASSED_BY:
        passing_by.set(True)
        return
    wanted = (scope.get("method", ""), scope["path"])
    if wanted in _harmless:
        return
    if _is_answered_before(app, scope):
        if len(_harmless) >= REMEMBERED:
            _harmless.clear()
        _harmless.add(wanted)
    else:
        await asyncio.get_running_loop().run_in_executor(None, _finder.load)


def _is_answered_before(app: Any, scope: MutableMapping[str, Any]) -> bool:
    from starlette.routing import Match

    from aiops.gateway.worker.stand_in import LateRouter

    for route in app.router.routes:
        if isinstance(getattr(route, "original_router", None), LateRouter):
            return False
        if route.matches(dict(scope))[0] is Match.FULL:
            return True
    return True


def _mounted_routers_are_asked() -> bool:
    """Whether a router that is mounted empty answers with what it is given later (older FastAPIs copy)."""
    from fastapi import APIRouter
    from starlette.routing import Match

    outer, inner = APIRouter(), APIRouter()
    outer.include_router(inner)
    inner.add_api_route("/later", lambda: None)
    scope = {"type": "http", "path": "/later", "method": "GET", "headers": [], "root_path": ""}
    return any(route.matches(dict(scope))[0] is Match.FULL for route in outer.routes)


def _check(finder: Finder, app: Any) -> None:
    """Note what was not as expected. Raises LookupError when a router was not mounted in the app itself."""
    mounted = {id(getattr(route, "original_router", None)) for route in app.router.routes}
    for name, stand_in in finder.waiting.items():
        if any(id(router) not in mounted for router in stand_in.routers().values()):
            raise LookupError(f"the router of {name} is not mounted as it used to be")
    for name, wanted in finder.touched.items():
        notes.append(f"{name} was not put off: LiteLLM takes {wanted} out of it")
    gone = sorted(finder.modules.keys() - finder.stand_ins.keys())
    if gone:
        notes.append(f"not in this LiteLLM, or not imported at its start: {', '.join(gone)}")


def forget(package: str = PROXY.partition(".")[0]) -> None:
    """As if ``package`` had never been imported."""
    for name in [name for name in sys.modules if name == package or name.startswith(f"{package}.")]:
        del sys.modules[name]
