"""A real llama.cpp server (the ``xllamacpp`` wheel embeds it) serving the tiny random model."""

from __future__ import annotations

import signal
import socket
from collections.abc import Callable
from pathlib import Path

from aiops.demo import tiny_model
from aiops.errors import Precondition

STOP = {signal.SIGTERM, signal.SIGINT}


def serve(host: str, port: int, alias: str, directory: Path, ready: Callable[[str], None]) -> None:
    """Serve the model as ``alias`` on ``host:port`` (0 = any free port) until SIGTERM or SIGINT.

    Call ``ready(url)`` once requests are answered. Raise ``Precondition`` when the port is taken or the
    ``demo`` extra is not installed.
    """
    signal.pthread_sigmask(signal.SIG_BLOCK, STOP)  # before llama.cpp starts threads, so that they inherit it
    try:
        import xllamacpp
    except ImportError as error:
        missing_library = "libgomp" in str(error)
        hint = "sudo apt install libgomp1" if missing_library else "uv sync --extra demo"
        raise Precondition(f"the demo llama.cpp server cannot be loaded: {error}", hint) from error
    # llama.cpp would only say "failed to init server".
    _refuse_taken_port(host, port)
    parameters = xllamacpp.CommonParams()
    parameters.model.path = str(tiny_model.ensure(directory))
    parameters.hostnames = [host]
    parameters.port = port
    parameters.model_alias = {alias}
    parameters.n_ctx = tiny_model.CONTEXT
    parameters.n_parallel = 2
    parameters.n_predict = 64  # the model never ends by itself
    parameters.cpuparams.n_threads = 1
    parameters.endpoint_metrics = True
    parameters.warmup = False
    parameters.ui = False
    server = xllamacpp.Server(parameters)
    _await_its_loop(server.listening_address)
    ready(server.listening_address)
    signal.sigwait(STOP)
    del server


def _await_its_loop(url: str) -> None:
    """It listens before the loop runs that works off its tasks, and being stopped in between is forgotten: that loop
    begins all the same, and its end is waited for in vain. The figures are told by the loop itself."""
    import httpx

    httpx.get(f"{url}/metrics", timeout=20, trust_env=False).raise_for_status()


def _refuse_taken_port(host: str, port: int) -> None:
    if port == 0:
        return
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise Precondition(f"cannot listen on {host}:{port}: {error.strerror}", "choose another --port") from error
