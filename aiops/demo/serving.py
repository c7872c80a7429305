"""Run the double under uvicorn, and say when it accepts."""

from __future__ import annotations

import logging
import signal
import socket
from collections.abc import Callable
from types import FrameType

import uvicorn

from aiops.demo.double import Double
from aiops.errors import Precondition


class _Server(uvicorn.Server):
    def __init__(self, config: uvicorn.Config, on_ready: Callable[[], None]) -> None:
        super().__init__(config)
        self._on_ready = on_ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._on_ready()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        # uvicorn raises the signal again after it stopped; a double that was told to stop exits 0.
        self.should_exit = True


def serve(double: Double, host: str, port: int, ready: Callable[[str], None]) -> None:
    """Serve on ``host:port`` (0 = any free port) until SIGTERM or SIGINT; requests in flight are cut, not awaited.

    Call ``ready(url)`` when it accepts. Raise ``Precondition`` when the port cannot be had.
    """
    listener = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError as error:
        raise Precondition(f"cannot listen on {host}:{port}: {error.strerror}", "choose another --port") from error
    listener.listen(1024)
    port = listener.getsockname()[1]
    shown = f"[{host}]" if ":" in host else host
    config = uvicorn.Config(
        double, log_config=None, access_log=False, lifespan="off", ws="none", timeout_graceful_shutdown=0,
        timeout_keep_alive=120, server_header=False,
    )  # fmt: skip
    # Broken connections are its trade: uvicorn's complaints about them would only be noise.
    logging.getLogger("uvicorn").setLevel(logging.CRITICAL)
    signal.signal(signal.SIGPIPE, signal.SIG_IGN)
    _Server(config, lambda: ready(f"http://{shown}:{port}")).run(sockets=[listener])
