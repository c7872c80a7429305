"""Every method and path of the installed LiteLLM, those included that it registers with the first request for them."""

from __future__ import annotations

import functools
import json
import subprocess
import sys

from tests.kit.warm.product import ROOT

# In a process of its own: importing LiteLLM takes what the tests should not carry about.
_LIST = """
import asyncio, importlib, json, os
from aiops.gateway.worker import put_off, runtime
runtime.prepare_environment()
os.environ[put_off.WHOLE_IMPORT] = "1"
runtime.load()
from aiops.gateway.worker import upstream_routes
app = runtime.app()
lazy = importlib.import_module(upstream_routes.PUT_OFF)
for feature in lazy.LAZY_FEATURES:
    asyncio.run(lazy._force_load(app, feature, lazy.LAZY_FEATURES))
print(json.dumps(sorted({tuple(door) for door, _ in upstream_routes.routes(app)})))
"""


@functools.cache
def every_route() -> tuple[tuple[str, str], ...]:
    """``(method, path)``, a websocket's method being ``WEBSOCKET``."""
    done = subprocess.run([sys.executable, "-c", _LIST], cwd=ROOT, capture_output=True, text=True, check=True)
    return tuple((method, path) for method, path in json.loads(done.stdout.splitlines()[-1]))


def an_example(path: str, name: str = "x") -> str:
    """The path with something in the place of each parameter; ``name`` where a model stands."""
    parts = path.replace("{", "}").split("}")
    return "".join((name if "model" in part else "x") if place % 2 else part for place, part in enumerate(parts))
