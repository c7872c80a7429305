"""Other gateways, as their registries bring them, installed into the temporary directory of a run.

What is not there is left out, and that is said: none of them is needed by aiops.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
from collections.abc import Callable

from tests.bench.gateways import BenchError, environment, free_port
from tests.bench.lanes.contenders import Contender
from tests.bench.session import Session

PORTKEY = "1.15.2"
INSTALL_SECONDS = 180.0


def portkey(session: Session, stack: contextlib.ExitStack, upstream: int) -> Contender:
    """Portkey's gateway, which needs Node. It is told in headers whom to ask, and has no keys of its own."""
    node, npm = shutil.which("node"), shutil.which("npm")
    if node is None or npm is None:
        raise BenchError("Node and npm are not installed (apt install nodejs npm)")
    directory = session.directory / "portkey"
    directory.mkdir()
    _install([npm, "install", "--no-audit", "--no-fund", "--prefix", str(directory), f"@portkey-ai/gateway@{PORTKEY}"])
    program = directory / "node_modules/@portkey-ai/gateway/build/start-server.js"
    port = free_port()
    process = _start(stack, session, "portkey", [node, str(program), f"--port={port}", "--headless"])
    headers = (
        ("authorization", "Bearer none"),
        ("x-portkey-provider", "openai"),
        ("x-portkey-custom-host", f"http://127.0.0.1:{upstream}/v1"),
    )
    return Contender(f"portkey {PORTKEY}", port, headers, lambda: [process.pid])


ALL: tuple[Callable[[Session, contextlib.ExitStack, int], Contender], ...] = (portkey,)


def _install(words: list[str]) -> None:
    """Raises BenchError, with what the installer said last."""
    try:
        done = subprocess.run(
            words, capture_output=True, text=True, env=environment(), stdin=subprocess.DEVNULL, timeout=INSTALL_SECONDS
        )
    except subprocess.TimeoutExpired:
        raise BenchError(f"{words[-1]} was not installed within {INSTALL_SECONDS:g} s") from None
    if done.returncode:
        raise BenchError(f"{words[-1]} could not be installed: {done.stderr.strip()[-300:]}")


def _start(
    stack: contextlib.ExitStack, session: Session, name: str, words: list[str], **variables: str
) -> subprocess.Popen[bytes]:
    log = stack.enter_context((session.directory / f"{name}.log").open("wb"))
    process = subprocess.Popen(
        words,
        cwd=session.directory,
        env={**environment(), "NODE_ENV": "production", **variables},
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=log,
    )

    def end() -> None:
        process.terminate()
        try:
            process.wait(5)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    stack.callback(end)
    return process


