"""The two things that are compared: an aiops instance in a home of its own, and stock LiteLLM restarted by hand."""

from __future__ import annotations

import json
import os
import resource
import shlex
import signal
import socket
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import yaml

BIN = Path(sys.executable).parent
ROOT = Path(__file__).resolve().parents[2]
READY_SECONDS, STOP_SECONDS = 120.0, 30.0


class BenchError(Exception):
    """A step the measurement depends on failed; the message has what the program said."""


@dataclass(frozen=True)
class Ran:
    """``seconds`` from exec to exit; ``cpu``: seconds of processor time, user and system."""

    seconds: float
    cpu: float
    code: int
    result: dict[str, Any]
    errors: str


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def environment() -> dict[str, str]:
    """Ours without what would slow Python down or point aiops at another home."""
    dropped = {"PYTHONDONTWRITEBYTECODE", "AIOPS_HOME"}
    return {name: value for name, value in os.environ.items() if name not in dropped}


@dataclass
class Instance:
    """An aiops instance under ``home``. ``run`` is one command line, timed from exec to exit."""

    home: Path
    port: int = field(default_factory=free_port)
    key: str = ""
    variables: dict[str, str] = field(default_factory=dict)  # of the environment, for this instance alone

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def run(self, *words: str, expect: int | None = 0, checkout: Path | None = None) -> Ran:
        """``checkout``: whose aiops, this one's when not given. Raises ``BenchError`` when the exit code is not
        ``expect`` (None: any)."""
        # Named for both: where a package is looked for first is a part of the time.
        given = environment() | self.variables | {"PYTHONPATH": str(checkout or ROOT)}
        argv = [str(BIN / "aiops"), "--home", str(self.home), "--yes", "--json", *words]
        used, began = cpu_of_children(), time.perf_counter()
        done = subprocess.run(argv, capture_output=True, text=True, env=given, stdin=subprocess.DEVNULL)
        seconds, cpu = time.perf_counter() - began, cpu_of_children() - used
        if expect is not None and done.returncode != expect:
            said = (done.stderr + done.stdout)[-1500:]
            raise BenchError(f"aiops {' '.join(words)}: exit {done.returncode}, expected {expect}\n{said}")
        try:
            result = json.loads(done.stdout)
        except ValueError:
            result = {}
        return Ran(seconds, cpu, done.returncode, result if isinstance(result, dict) else {}, done.stderr)

    def create(self, workers: int = 1) -> None:
        self.run("init", "--supervisor", "process", "--port", str(self.port))
        settings = self.home / "config" / "aiops.yaml"
        text = settings.read_text()
        if workers != 1:
            assert "  # workers: 1\n" in text
            settings.write_text(text.replace("  # workers: 1\n", f"  workers: {workers}\n"))

    def start(self) -> None:
        self.run("up")
        shell = subprocess.run(
            [str(BIN / "aiops"), "--home", str(self.home), "env"], capture_output=True, text=True, env=environment()
        )
        for line in shell.stdout.splitlines():
            name, _, value = line.removeprefix("export ").partition("=")
            if name == "OPENAI_API_KEY":
                [self.key] = shlex.split(value)

    def stop(self) -> None:
        if (self.home / "config" / "aiops.yaml").exists():
            self.run("down", expect=None)
        for pid in self.processes():  # down is what we measure: it may not be what leaves a process behind
            os.kill(pid, signal.SIGKILL)

    def add(self, name: str, url: str, model: str, *more: str, expect: int | None = 0) -> Ran:
        options = ("--type", "openai_compatible", "--base-url", url, "--model", model)
        return self.run("add-provider", name, *options, *more, expect=expect)

    def processes(self) -> list[int]:
        """Master and workers of this home: they share the command line, which names it."""
        found = []
        for entry in Path("/proc").glob("[0-9]*"):
            try:
                command = (entry / "cmdline").read_bytes()
            except OSError:
                continue
            if b"aiops.gateway" in command and str(self.home).encode() in command:
                found.append(int(entry.name))
        return sorted(found)

    def workers(self) -> list[int]:
        everyone = set(self.processes())
        return sorted(pid for pid in everyone if parent(pid) in everyone)


@dataclass
class Stock:
    """What people do today: write the YAML, restart ``litellm --config``, poll until it answers."""

    directory: Path
    upstream: str
    port: int = field(default_factory=free_port)
    key: str = "sk-bench-8c4f1e0a92d74b6f"
    process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def write(self, models: list[str]) -> None:
        entries = [
            {
                "model_name": model,
                "litellm_params": {
                    "model": f"openai/{model}",
                    "api_base": f"{self.upstream}/v1",
                    "api_key": "none",
                },
            }
            for model in models
        ]
        self.directory.mkdir(parents=True, exist_ok=True)
        config = {"model_list": entries, "general_settings": {"master_key": self.key}}
        (self.directory / "config.yaml").write_text(yaml.safe_dump(config))

    def start(self) -> None:
        argv = [str(BIN / "litellm"), "--config", "config.yaml", "--host", "127.0.0.1", "--port", str(self.port)]
        with (self.directory / "stock.log").open("ab") as log:
            self.process = subprocess.Popen(
                argv,
                cwd=self.directory,
                env={**environment(), "LITELLM_LOCAL_MODEL_COST_MAP": "True"},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )

    def stop(self) -> None:
        """SIGTERM as ``systemctl restart`` sends it, and wait."""
        if self.process is None:
            return
        self.process.terminate()
        try:
            self.process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process = None

    def change(self, models: list[str]) -> float:
        """Seconds until the last of ``models`` is served after the YAML was written."""
        began = time.perf_counter()
        self.write(models)
        self.stop()
        self.start()
        self.wait_for(models[-1])
        return time.perf_counter() - began

    def wait_for(self, model: str) -> None:
        """Poll ``/v1/models`` every 50 ms until it lists ``model``, then ask the model once."""
        deadline = time.monotonic() + READY_SECONDS
        headers = {"authorization": f"Bearer {self.key}"}
        with httpx.Client(base_url=self.url, headers=headers, timeout=10, trust_env=False) as client:
            while time.monotonic() < deadline:
                try:
                    listed = client.get("/v1/models")
                    if listed.status_code == 200 and model in listed.text and answers(client, model):
                        return
                except httpx.HTTPError:
                    pass
                if self.process and self.process.poll() is not None:
                    break
                time.sleep(0.05)
        raise BenchError(f"stock litellm does not serve {model}; see {self.directory / 'stock.log'}")


def cpu_of_children() -> float:
    """Seconds of processor time of all children that have ended, getrusage(2)."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def answers(client: httpx.Client, model: str) -> bool:
    body = {"model": model, "messages": [{"role": "user", "content": "hi"}], "max_tokens": 1}
    return client.post("/v1/chat/completions", json=body).status_code == 200


def parent(pid: int) -> int:
    try:
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    except (OSError, IndexError):
        return 0


def private_mb(pid: int) -> float:
    """Memory that only this process has (proc(5), smaps_rollup: Private_Clean + Private_Dirty); 0 when it is gone."""
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0.0
    return sum(int(line.split()[1]) for line in lines if line.startswith("Private_")) / 1024
