"""One throw-away gateway for tests: the real command line, the real processes, and nothing left afterwards."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import signal
import subprocess
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from tests.kit.tls import TLS
from tests.kit.waiting import free_port, until
from tests.kit.warm.product import AIOPS
from tests.kit.warm.session import starts

GENERATION = "x-aiops-generation"


@dataclass(frozen=True)
class Answer:
    """How a command ended. ``data``: the JSON object on its stdout, when it was asked for one."""

    code: int
    out: str
    err: str
    seconds: float

    @property
    def data(self) -> dict[str, Any]:
        data = json.loads(self.out)
        assert isinstance(data, dict)
        return data

    @property
    def message(self) -> str:
        return str(self.data["error"]["message"])

    @property
    def hint(self) -> str:
        return str(self.data["error"]["hint"])

    @property
    def failed(self) -> list[str]:
        """The checks that failed, as ``id: detail``."""
        return [f"{check['id']}: {check['detail']}" for check in self.data["checks"] if check["status"] == "fail"]


class Gateway:
    """A home of its own under a short path, because unix sockets live in it."""

    def __init__(self, home: Path | None = None) -> None:
        self.home = home or Path(tempfile.mkdtemp(prefix="aiops-t-"))
        self.port = free_port()
        self.env: dict[str, str] = {
            name: value for name, value in os.environ.items() if name not in ("AIOPS_HOME", "PYTHONDONTWRITEBYTECODE")
        }

    # --- the command line -------------------------------------------------------------------------------------

    def argv(self, *arguments: object) -> list[str]:
        return [str(AIOPS), "--home", str(self.home), *map(str, arguments)]

    def cli(self, *arguments: object, env: Mapping[str, str] | None = None, timeout: float = 120) -> Answer:
        """``aiops --json VERB …``, whatever comes of it."""
        return self._run(self.argv("--json", *arguments), env, timeout)

    def say(self, *arguments: object) -> Answer:
        """``aiops VERB …`` as a person sees it."""
        return self._run(self.argv(*arguments), None, 120)

    def must(self, *arguments: object, env: Mapping[str, str] | None = None, timeout: float = 120) -> dict[str, Any]:
        """A verb that has to succeed; its JSON."""
        answer = self.cli(*arguments, env=env, timeout=timeout)
        assert answer.code == 0, f"aiops {' '.join(map(str, arguments))}: exit {answer.code}\n{answer.out}{answer.err}"
        return answer.data

    def _run(self, argv: list[str], env: Mapping[str, str] | None, timeout: float) -> Answer:
        started = time.monotonic()
        done = starts.run(
            argv,
            timeout,
            env={**self.env, **(env or {})},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        return Answer(done.returncode, done.stdout, done.stderr, time.monotonic() - started)

    def init(self) -> None:
        self.must("init", "--port", self.port)

    def up(self) -> None:
        self.must("up")

    def add(self, name: str, url: str, *models: str, kind: str = "openai_compatible", **options: str) -> dict[str, Any]:
        return self.must(*self.adding(name, url, *models, kind=kind, **options))

    @staticmethod
    def adding(name: str, url: str, *models: str, kind: str = "openai_compatible", **options: str) -> list[str]:
        """The arguments of ``add-provider``."""
        argv = ["add-provider", name, "--type", kind, "--base-url", url]
        for model in models:
            argv += ["--model", model]
        for option, value in options.items():
            argv += [f"--{option.replace('_', '-')}", value]
        return argv

    # --- what it serves ---------------------------------------------------------------------------------------

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def key(self) -> str:
        return (self.home / "secrets" / "master_key").read_text().strip()

    @property
    def auth(self) -> dict[str, str]:
        return {"authorization": f"Bearer {self.key}"}

    @property
    def status(self) -> dict[str, Any]:
        return self.must("status")

    @property
    def generation(self) -> int:
        """What answers on the public port right now."""
        return int(self.get("/_health/ready").headers[GENERATION])

    def get(self, path: str, headers: Mapping[str, str] | None = None) -> httpx.Response:
        return httpx.get(
            self.url + path, headers=self.auth if headers is None else headers, trust_env=False, verify=TLS
        )

    def ask(self, model: str, **more: Any) -> httpx.Response:
        body = {"model": model, "messages": [{"role": "user", "content": "hello"}], "max_tokens": 4, **more}
        return httpx.post(
            f"{self.url}/v1/chat/completions", json=body, headers=self.auth, timeout=30, trust_env=False, verify=TLS
        )

    def models(self) -> list[str]:
        return sorted(item["id"] for item in self.get("/v1/models").json()["data"])

    # --- what is on disk and in memory ------------------------------------------------------------------------

    def source(self, name: str) -> Path:
        return self.home / "config" / name

    def edit(self, name: str, old: str, new: str) -> None:
        """A hand edit, as an editor makes it."""
        text = self.source(name).read_text()
        assert old in text, f"{old!r} is not in {name}"
        self.source(name).write_text(text.replace(old, new, 1))

    def snapshot(self) -> dict[str, str]:
        """A digest of everything that a refused change must leave as it is."""
        seen = {"current": str((self.home / "state" / "current").readlink())}
        for below in ("config", "secrets", "state/generations"):
            for path in sorted((self.home / below).rglob("*")):
                if path.is_file():
                    seen[str(path.relative_to(self.home))] = hashlib.sha256(path.read_bytes()).hexdigest()
        return seen

    def pids(self) -> list[int]:
        """Every process whose command line names this home, the commands of this test excluded."""
        return processes(str(self.home / "state"))

    @property
    def master(self) -> int:
        return int((self.home / "run" / "master.pid").read_text())

    def workers(self) -> list[int]:
        """Those that serve the public port, by what the master says."""
        groups = self.status["gateway"]["groups"]
        return [worker["pid"] for group in groups if group["role"] == "serving" for worker in group["workers"]]

    def end(self) -> None:
        """Leave no process behind, whatever the test did."""
        if (self.home / "config" / "aiops.yaml").exists():
            with suppress(subprocess.TimeoutExpired):
                self.cli("down", "--drain", "0", timeout=30)
        for pid in self.pids():
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def destroy(self) -> None:
        """Leave nothing behind at all."""
        self.end()
        shutil.rmtree(self.home, ignore_errors=True)


def processes(text: str) -> list[int]:
    """Living processes with ``text`` in their command line."""
    found = []
    for path in Path("/proc").iterdir():
        if path.name.isdigit() and int(path.name) != os.getpid():
            with suppress(OSError):
                state = (path / "stat").read_text().rpartition(")")[2].split()[0]
                if state not in "ZX" and text.encode() in (path / "cmdline").read_bytes():
                    found.append(int(path.name))
    return sorted(found)


class Poller:
    """Asks the public port again and again, each time on a new connection, while a ``with`` block runs."""

    def __init__(self, gateway: Gateway, model: str | None = None, pause: float = 0.01) -> None:
        self.statuses: Counter[str] = Counter()
        self.generations: list[str] = []
        self._gateway, self._model, self._pause = gateway, model, pause
        self._auth = gateway.auth
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._work, daemon=True)

    @property
    def seen(self) -> set[int]:
        return {int(generation) for generation in self.generations}

    @property
    def clean(self) -> bool:
        return set(self.statuses) == {"200"}

    def _work(self) -> None:
        while not self._stop.wait(self._pause):
            try:
                answer = self._ask()
            except httpx.HTTPError as error:
                self.statuses[repr(error)] += 1
                continue
            self.statuses[str(answer.status_code)] += 1
            self.generations.append(answer.headers[GENERATION])

    def _ask(self) -> httpx.Response:
        url = f"{self._gateway.url}/v1"
        if self._model is None:
            return httpx.get(f"{url}/models", headers=self._auth, timeout=20, trust_env=False, verify=TLS)
        body = {"model": self._model, "messages": [{"role": "user", "content": "public"}]}
        return httpx.post(
            f"{url}/chat/completions", json=body, headers=self._auth, timeout=20, trust_env=False, verify=TLS
        )

    def __enter__(self) -> Poller:
        self._thread.start()
        until(lambda: self.statuses, 10, "a first answer")
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()


@contextmanager
def serving(url: str, *models: str, workers: int = 1, more: str = "") -> Iterator[Gateway]:
    """A gateway that serves these models of the provider `one`, taken down afterwards. ``more``: lines of that provider
    in providers.yaml."""
    gateway = Gateway()
    try:
        gateway.init()
        if workers != 1:
            gateway.edit("aiops.yaml", "  # workers: 1\n", f"  workers: {workers}\n")
        gateway.up()
        gateway.add("one", url, *models)
        if more:
            written = f"    base_url: {url}\n"
            gateway.edit("providers.yaml", written, written + more)
            gateway.must("apply")
        yield gateway
    finally:
        gateway.destroy()
