"""A module that is imported when somebody first looks into it, and the router in it whose routes are.

LiteLLM's app mounts about fifty routers that a gateway without its database is hardly ever asked for. FastAPI keeps a
mounted router and asks it for its routes when a request gets that far, so an empty router can be mounted in the place
of a real one and become it when it is asked: order of matching, OpenAPI and lists of routes are as if it had always
been. All loading is done by Python's own import, whose locks know about threads and circles.
"""

from __future__ import annotations

import importlib
import importlib.abc
import importlib.machinery
import sys
import types
from collections.abc import Callable, Collection, Mapping, Sequence
from contextvars import ContextVar
from typing import Any

from fastapi import APIRouter

passing_by: ContextVar[bool] = ContextVar("aiops_passing_by", default=False)
"""True while a request is answered whose path is known to be none of what waits: routers that wait have no routes."""

NO_ROUTES_YET = -1  # FastAPI keeps what it made of a router's routes under their number; no real router has this one


class LateRouter(APIRouter):
    """Empty while the proxy is imported. From then on a look at its routes imports the real one, which it becomes."""

    def __init__(self, owner: StandIn) -> None:
        self.owner = owner
        self.added: list[Any] = []
        super().__init__()
        self.added = []

    @property
    def routes(self) -> list[Any]:
        if self.owner.finder.importing or passing_by.get():
            return self.added
        self.owner.load()
        return self.added if type(self) is LateRouter else self.routes

    @routes.setter
    def routes(self, value: list[Any]) -> None:
        self.added = value

    def _get_routes_version(self, seen: set[int] | None = None) -> int:
        """Asked before the routes are: what is kept of an empty router must not be taken for the real one's."""
        if self.owner.finder.importing or passing_by.get():
            return NO_ROUTES_YET
        self.owner.load()
        version: int = super()._get_routes_version(seen) if type(self) is LateRouter else self._get_routes_version(seen)
        return version

    def become(self, real: APIRouter) -> None:
        """Be ``real`` from now on, with what was added in its absence after its own."""
        real.routes.extend(self.added)
        # The dictionary first: as long as the class is this one, `routes` is asked of it and not of the dictionary.
        self.__dict__ = real.__dict__
        self.__class__ = type(real)  # type: ignore[assignment]


class StandIn(types.ModuleType):
    """Hands out late routers and functions under the names it was told of; any other name imports the real module."""

    finder: Finder
    functions: Collection[str]

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") and name != "__all__":  # `__all__` is asked for by `import *`
            raise AttributeError(f"module {self.__name__!r} has no attribute {name!r}")
        if self.finder.importing and self.__name__ in self.finder.waiting:
            if name == "router" or name.endswith("_router"):
                return self._hand_out(name, LateRouter(self))
            if name in self.functions:
                return self._hand_out(name, self._late(name))
            self.finder.touched[self.__name__] = name
        return getattr(self.load(), name)

    def _hand_out(self, name: str, value: Any) -> Any:
        setattr(self, name, value)
        return value

    def _late(self, name: str) -> Callable[..., Any]:
        def late(*args: Any, **kwargs: Any) -> Any:
            return getattr(self.load(), name)(*args, **kwargs)

        return late

    def routers(self) -> dict[str, LateRouter]:
        return {name: value for name, value in vars(self).items() if isinstance(value, LateRouter)}

    def load(self) -> types.ModuleType:
        """The real module. Raises what importing it raises; the next one to ask tries again."""
        self.finder.waiting.pop(self.__name__, None)
        if sys.modules.get(self.__name__) is self:
            sys.modules.pop(self.__name__, None)
        return importlib.import_module(self.__name__)


class Finder(importlib.abc.MetaPathFinder):
    """Answers imports of ``modules`` (names of modules, and of the functions that are taken out of each)."""

    def __init__(self, modules: Mapping[str, Collection[str]]) -> None:
        self.modules = modules
        self.importing = True
        self.stand_ins: dict[str, StandIn] = {}
        self.waiting: dict[str, StandIn] = {}  # those whose real module nobody has needed so far
        self.touched: dict[str, str] = {}  # module: the name that somebody wanted of it during the import

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: types.ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if name not in self.modules:
            return None
        spec = importlib.machinery.PathFinder.find_spec(name, path, target)
        if spec is not None and spec.loader is not None:
            spec.loader = _Loader(self, spec.loader)
        return spec

    def load(self) -> None:
        """Import everything that is still waiting."""
        for stand_in in list(self.waiting.values()):
            stand_in.load()


class _Loader(importlib.abc.Loader):
    """The first time a module is asked for it makes the stand-in, the second time the real one."""

    def __init__(self, finder: Finder, real: importlib.abc.Loader) -> None:
        self._finder = finder
        self._real = real

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> types.ModuleType | None:
        if spec.name in self._finder.stand_ins:
            return self._real.create_module(spec)
        made = StandIn(spec.name)
        made.finder, made.functions = self._finder, self._finder.modules[spec.name]
        self._finder.stand_ins[spec.name] = self._finder.waiting[spec.name] = made
        return made

    def exec_module(self, module: types.ModuleType) -> None:
        if isinstance(module, StandIn):
            return
        spec = module.__spec__
        assert spec is not None
        # What reads a module's loader (resources, sources, pickles of classes) finds the one it knows.
        spec.loader = module.__loader__ = self._real
        stand_in = self._finder.stand_ins[spec.name]
        # Parts of a package that were imported already are not imported again, which is what would set them in it.
        vars(module).update({name: part for name, part in vars(stand_in).items() if isinstance(part, types.ModuleType)})
        self._real.exec_module(module)
        for name, router in stand_in.routers().items():
            router.become(getattr(module, name))
