"""A real llama.cpp server (the ``xllamacpp`` wheel embeds it) serving the tiny random model."""

from __future__ import annotations

import signal
import socket
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from aiops.demo import tiny_model
from aiops.errors import Precondition

STOP = {signal.SIGTERM, signal.SIGINT}


@dataclass(frozen=True)
class Options:
    """``model``: the tiny one when None. ``context``: tokens of all slots together. ``kept``: MiB for what it has
    computed of prompts that no slot has any more. ``api_key``: empty for none."""

    model: Path | None = None
    context: int = tiny_model.CONTEXT
    slots: int = 2
    kept: int | None = None
    metrics: bool = True
    api_key: str = ""


def serve(
    host: str, port: int, alias: str, directory: Path, ready: Callable[[str], None], options: Options = Options()
) -> None:
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
    parameters.model.path = str(options.model or tiny_model.ensure(directory))
    parameters.hostnames = [host]
    parameters.port = port
    parameters.model_alias = {alias}
    parameters.n_ctx = options.context
    parameters.n_parallel = options.slots
    parameters.n_predict = 64  # the model never ends by itself
    parameters.cpuparams.n_threads = 1
    if options.kept is not None:
        parameters.cache_ram_mib = options.kept
    parameters.endpoint_metrics = options.metrics
    parameters.api_keys = [options.api_key] if options.api_key else []
    parameters.warmup = False
    parameters.ui = False
    server = xllamacpp.Server(parameters)
    _await_its_loop(server.listening_address, options)
    ready(server.listening_address)
    signal.sigwait(STOP)
    del server


def _await_its_loop(url: str, options: Options) -> None:
    """It listens before the loop runs that works off its tasks, and being stopped in between is forgotten: that loop
    begins all the same, and its end is waited for in vain. The figures are told by the loop itself."""
    import httpx

    page = "metrics" if options.metrics else "slots"
    headers = {"authorization": f"Bearer {options.api_key}"} if options.api_key else {}
    httpx.get(f"{url}/{page}", timeout=20, trust_env=False, headers=headers).raise_for_status()


def _refuse_taken_port(host: str, port: int) -> None:
    if port == 0:
        return
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise Precondition(f"cannot listen on {host}:{port}: {error.strerror}", "choose another --port") from error
