"""Other gateways, as their registries bring them, installed into the temporary directory of a run.

What is not there is left out, and that is said: none of them is needed by aiops.
"""

from __future__ import annotations

import contextlib
import json
import shutil
import subprocess
import sys
from collections.abc import Callable

from tests.bench.gateways import BenchError, environment, free_port
from tests.bench.lanes.contenders import Contender
from tests.bench.session import Session

PORTKEY = "1.15.2"
# What it asks for is any 1.x, and with those of later than this its streams end in `TypeError: immutable`.
HONO = "1.13.8"
SMG = "1.13.0"
INSTALL_SECONDS = 180.0


def portkey(session: Session, stack: contextlib.ExitStack, upstream: int) -> Contender:
    """Portkey's gateway, which needs Node. It is told in headers whom to ask, and has no keys of its own."""
    node, npm = shutil.which("node"), shutil.which("npm")
    if node is None or npm is None:
        raise BenchError("Node and npm are not installed (apt install nodejs npm)")
    directory = session.directory / "portkey"
    directory.mkdir()
    wanted = {"dependencies": {"@portkey-ai/gateway": PORTKEY}, "overrides": {"@hono/node-server": HONO}}
    (directory / "package.json").write_text(json.dumps(wanted))
    _install([npm, "install", "--no-audit", "--no-fund", "--ignore-scripts", "--prefix", str(directory)], "portkey")
    program = directory / "node_modules/@portkey-ai/gateway/build/start-server.js"
    port = free_port()
    process = _start(stack, session, "portkey", [node, str(program), f"--port={port}", "--headless"])
    headers = (
        ("authorization", "Bearer none"),
        ("x-portkey-provider", "openai"),
        ("x-portkey-custom-host", f"http://127.0.0.1:{upstream}/v1"),
    )
    return Contender(f"portkey {PORTKEY}", port, headers, lambda: [process.pid], is_peer=True)


def smg(session: Session, stack: contextlib.ExitStack, upstream: int) -> Contender:
    """The gateway of the SGLang project, compiled from Rust: it chooses among servers, and asks for no key."""
    directory = session.directory / "smg"
    _install([sys.executable, "-m", "venv", str(directory)], "smg")
    _install([str(directory / "bin/pip"), "install", "--quiet", "--disable-pip-version-check", f"smg=={SMG}"], "smg")
    port = free_port()
    words = ["launch", "--host", "127.0.0.1", "--port", str(port), "--worker-urls", f"http://127.0.0.1:{upstream}"]
    process = _start(stack, session, "smg", [str(directory / "bin/smg"), *words, "--log-level", "warn"])
    return Contender(f"smg {SMG}", port, (), lambda: [process.pid], is_peer=True)


ALL: tuple[Callable[[Session, contextlib.ExitStack, int], Contender], ...] = (portkey, smg)


def _install(words: list[str], name: str) -> None:
    """Raises BenchError, with what the installer said last."""
    try:
        done = subprocess.run(
            words, capture_output=True, text=True, env=environment(), stdin=subprocess.DEVNULL, timeout=INSTALL_SECONDS
        )
    except subprocess.TimeoutExpired:
        raise BenchError(f"{name} was not installed within {INSTALL_SECONDS:g} s") from None
    if done.returncode:
        raise BenchError(f"{name} could not be installed: {done.stderr.strip()[-300:]}")


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
