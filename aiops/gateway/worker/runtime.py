"""LiteLLM, imported once in the master so that every worker shares its memory and none pays for the import."""

from __future__ import annotations

import gc
import importlib
import importlib.metadata
import os
import sys
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any, Final

from aiops.gateway.shared.installed import COMPROMISED
from aiops.gateway.worker import put_off

# LiteLLM reads these at import. They are set here, not by the operator's shell.
ENVIRONMENT: Final = {
    "LITELLM_LOCAL_MODEL_COST_MAP": "True",  # else each start tries the network three times
    "OPENBLAS_NUM_THREADS": "1",  # else numpy leaves threads behind, and a fork must have one
    "LITELLM_LOG": "ERROR",
    "TOKENIZERS_PARALLELISM": "false",
    # llama.cpp's and vLLM's servers close a connection that was idle for five seconds. A request that is sent in that
    # moment is lost, and LiteLLM keeps connections for two minutes.
    "AIOHTTP_KEEPALIVE_TIMEOUT": "4",
}
# Inherited from a shell these would switch the gateway to a database, a cache or a config aiops knows nothing of.
FOREIGN: Final = (
    "CONFIG_FILE_PATH",
    "WORKER_CONFIG",
    "DATABASE_URL",
    "DIRECT_URL",
    "LITELLM_MASTER_KEY",
    "LITELLM_SALT_KEY",
    "LITELLM_CONFIG_BUCKET_NAME",
    "LITELLM_WORKER_STARTUP_HOOKS",
    "REDIS_URL",
    "REDIS_HOST",
    "PROMETHEUS_MULTIPROC_DIR",
    "STORE_MODEL_IN_DB",
    "PYTHONDONTWRITEBYTECODE",
)
# Imported by LiteLLM on the first request to an OpenAI-compatible provider: 0.3 s that no worker should pay.
PRELOAD: Final = ("openai.resources",)


class CompromisedRelease(Exception):
    """The installed LiteLLM is one of the releases known to carry malware."""


def version() -> str:
    """The installed LiteLLM, checked before a line of it runs. Raises CompromisedRelease."""
    installed = importlib.metadata.version("litellm")
    if installed in COMPROMISED:
        raise CompromisedRelease(f"LiteLLM {installed} is a known-compromised release; aiops will not run it")
    return installed


def prepare_environment() -> None:
    """Make the environment aiops' own, before LiteLLM reads it."""
    for name in FOREIGN:
        os.environ.pop(name, None)
    os.environ.update(ENVIRONMENT)


def load() -> float:
    """Import the proxy and freeze what it allocated. Returns the seconds it took. Raises CompromisedRelease."""
    version()
    started = time.monotonic()
    put_off.import_proxy()
    for lazy in PRELOAD:
        importlib.import_module(lazy)
    for ours in ("auth", "probe", "routing", "extension", "selfcheck", "upstream_routes", "warmth"):
        importlib.import_module(f"aiops.gateway.worker.{ours}")
    freeze()
    return time.monotonic() - started


@contextmanager
def without_collection() -> Iterator[None]:
    """What is made while a program starts stays: looking for garbage in it takes a quarter of the time (measured)."""
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def adopt(modules: Iterable[str]) -> None:
    """Import what a warmed worker imported beyond the master, so that later workers share its memory."""
    for name in modules:
        try:
            importlib.import_module(name)
            put_off.load(name)
        except Exception:  # noqa: S112 — an optional module that cannot be imported alone is simply not shared
            continue
    freeze()


def is_loaded() -> bool:
    return put_off.PROXY in sys.modules


def notes() -> list[str]:
    """What was not as expected at its import, a line each."""
    return put_off.notes


def forget() -> None:
    """As if nothing of LiteLLM had been imported: an import that failed leaves parts behind."""
    put_off.forget()


def app() -> Any:
    """LiteLLM's ASGI application (a FastAPI object)."""
    return importlib.import_module("litellm.proxy.proxy_server").app


def is_safe_to_fork() -> bool:
    """Forking is only safe from a process with a single thread."""
    return threading.active_count() == 1


def freeze() -> None:
    """Set what was allocated so far aside from garbage collection."""
    # Moves everything to a generation the collector never touches: its writes would unshare the pages.
    gc.collect()
    gc.freeze()
