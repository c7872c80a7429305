"""What a warmed worker imports beyond the master, found out by a child that is thrown away.

LiteLLM imports about 150 modules when it loads a configuration and answers its first request. Imported by each
worker they cost it 40 MB and 0.3 s; imported once by the master they are shared.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import tempfile
from pathlib import Path
from typing import NoReturn

from aiops.gateway import runtime
from aiops.gateway.settings import CONFIG_FILE, MASTER_KEY_VARIABLE, Settings

MODEL = "scout"
# Every request is mocked before the provider would be called; the address is never contacted.
CONFIG = f"""
model_list:
- model_name: {MODEL}
  litellm_params: {{model: openai/{MODEL}, api_base: "http://127.0.0.1:9/v1", api_key: none}}
litellm_settings: {{callbacks: [aiops.gateway.probe.instance]}}
general_settings:
  master_key: os.environ/{MASTER_KEY_VARIABLE}
  custom_auth: aiops.gateway.auth.authenticate
  disable_model_info_refresh: true
"""


def scout() -> list[str]:
    """Names of the modules, sorted; empty when the child failed (workers are then merely larger and slower)."""
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(reading)
        _explore(writing)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        answer = pipe.read()
    os.waitpid(pid, 0)
    return [str(name) for name in json.loads(answer)] if answer else []


def _explore(writing: int) -> NoReturn:
    try:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, 1)
        os.dup2(nowhere, 2)
        known = set(sys.modules)
        with tempfile.TemporaryDirectory(prefix="aiops-scout-") as directory:
            asyncio.run(_serve_once(Path(directory)))
        os.write(writing, json.dumps(sorted(set(sys.modules) - known)).encode())
    finally:
        os._exit(0)


async def _serve_once(directory: Path) -> None:
    from aiops.gateway import selfcheck
    from aiops.gateway.extension import Extension

    config = directory / CONFIG_FILE
    config.write_text(CONFIG)
    environment = {MASTER_KEY_VARIABLE: "sk-scout-" + os.urandom(16).hex()}
    os.environ.update(environment, CONFIG_FILE_PATH=str(config))
    app = runtime.app()
    async with app.router.lifespan_context(app):
        settings = Settings(0, directory, "", 0, 1, 0.0, 1, MODEL, {}, (), None)
        await selfcheck.prove(Extension(app, _Nobody(), 0), environment, settings)


class _Nobody:
    def readiness(self) -> tuple[str, dict[str, object]]:
        return "ready", {}
