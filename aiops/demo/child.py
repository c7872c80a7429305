"""A demo provider as a child process: start it, steer it, kill it. For tests, benchmarks and experiments."""

from __future__ import annotations

import functools
import os
import select
import ssl
import subprocess
import sys
import time
from pathlib import Path
from typing import IO, Any, cast

from aiops.errors import Precondition


class DemoProvider:
    """A running demo provider. Use it as a context manager, or call ``stop`` yourself."""

    def __init__(self, process: subprocess.Popen[str], url: str, arguments: tuple[str, ...]) -> None:
        self.process = process
        self.url = url
        self._arguments = arguments

    @classmethod
    def llama_cpp(
        cls,
        *,
        port: int = 0,
        alias: str = "tiny-random",
        directory: Path | None = None,
        metrics: bool = True,
        api_key_env: str = "",
        more: tuple[str, ...] = (),
    ) -> DemoProvider:
        """``more``: as on the command line."""
        options = ["--dir", str(directory)] if directory else []
        options += [] if metrics else ["--no-metrics"]
        options += ["--api-key-env", api_key_env] if api_key_env else []
        return cls._start(("llama-cpp", "--port", str(port), "--model-alias", alias, *options, *more))

    @classmethod
    def double(
        cls, *, models: tuple[str, ...] = ("double",), face: str = "openai", port: int = 0, latency: float = 0.0
    ) -> DemoProvider:
        options = ("--models", ",".join(models), "--face", face, "--port", str(port), "--latency", str(latency))
        return cls._start(("double", *options))

    @classmethod
    def _start(cls, arguments: tuple[str, ...], timeout: float = 20.0) -> DemoProvider:
        process = subprocess.Popen(
            [sys.executable, "-m", "aiops.demo", *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env={**os.environ, "OPENBLAS_NUM_THREADS": "1"},
        )
        deadline = time.monotonic() + timeout
        # What does not say "ready" in time, or dies first, is killed and reported: no child is left behind.
        output = cast("IO[str]", process.stdout)
        while (left := deadline - time.monotonic()) > 0:
            if select.select([output], [], [], left)[0]:
                line = output.readline()
                if line.startswith("ready "):
                    return cls(process, line.split()[1], arguments)
                if not line:
                    break
        process.kill()
        process.wait()
        command = " ".join(("python -m aiops.demo", *arguments))
        raise Precondition(f"the demo provider did not become ready: {command}", "run it by hand to see why")

    @property
    def port(self) -> int:
        return int(self.url.rsplit(":", 1)[1])

    def control(self, **wanted: Any) -> dict[str, Any]:
        """Change the double's state (see ``aiops.demo.control.Control``) and return it. Raise on an unknown key."""
        return cast("dict[str, Any]", self._ask("PUT", "/_control", wanted))

    def requests(self) -> list[dict[str, Any]]:
        """What the double received, oldest first: method, path, headers, body."""
        return cast("list[dict[str, Any]]", self._ask("GET", "/_requests")["requests"])

    def forget_requests(self) -> None:
        self._ask("DELETE", "/_requests")

    def kill(self) -> None:
        """SIGKILL: no good-bye on any connection."""
        self.process.kill()
        self.process.wait()

    def stop(self) -> None:
        """SIGTERM, then SIGKILL for one that does not leave within five seconds."""
        self.process.terminate()
        try:
            self.process.wait(5)
        except subprocess.TimeoutExpired:
            self.kill()
        cast("IO[str]", self.process.stdout).close()

    def restarted(self) -> DemoProvider:
        """The same provider on the same port, after ``kill`` or ``stop``."""
        arguments = list(self._arguments)
        arguments[arguments.index("--port") + 1] = str(self.port)
        return self._start(tuple(arguments))

    def __enter__(self) -> DemoProvider:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _ask(self, method: str, path: str, body: object = None) -> Any:
        import httpx

        response = httpx.request(method, self.url + path, json=body, timeout=10, trust_env=False, verify=_tls())
        if response.status_code != 200:
            raise ValueError(response.json().get("error", response.text))
        return response.json()


@functools.cache
def _tls() -> ssl.SSLContext:
    """httpx makes one for each request, which costs 20 ms, also where nothing is encrypted."""
    import httpx

    return httpx.create_ssl_context(trust_env=False)
