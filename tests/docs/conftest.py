"""One running instance for all pages: a gateway, a provider `demo`, and servers that pages may add."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from aiops.demo.child import DemoProvider
from tests.kit.warm.product import AIOPS
from tests.kit.warm.session import starts

ROOT = Path(__file__).resolve().parents[2]
BIN = ROOT / ".venv/bin"


@dataclass(frozen=True)
class Instance:
    """What the commands of a page find: ``env`` has AIOPS_HOME, DEMO_URL, OLLAMA_URL and aiops on PATH."""

    home: Path
    env: dict[str, str]

    def aiops(self, *arguments: str) -> str:
        """Run a verb that must succeed; its stdout."""
        done = starts.run(
            [AIOPS, *arguments], 120, env=self.env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        assert done.returncode == 0, f"aiops {' '.join(arguments)}: exit {done.returncode}\n{done.stdout}{done.stderr}"
        return done.stdout

    def status(self) -> dict[str, object]:
        status: dict[str, object] = json.loads(self.aiops("--json", "status"))
        return status


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@pytest.fixture(scope="session")
def short_directory() -> Iterator[Path]:
    """A directory with a short name: the path of a unix socket has room for about a hundred characters."""
    directory = Path(tempfile.mkdtemp(prefix="aiops-docs-"))
    yield directory
    shutil.rmtree(directory, ignore_errors=True)


@pytest.fixture(scope="session")
def instance(short_directory: Path) -> Iterator[Instance]:
    with (
        DemoProvider.llama_cpp(directory=short_directory / "model") as demo,
        DemoProvider.llama_cpp(alias="small-chat", directory=short_directory / "model") as second,
        DemoProvider.double(face="ollama", models=("llama3.2:1b",)) as ollama,
    ):
        home = short_directory / "home"
        env = {
            **os.environ,
            "PATH": f"{BIN}:{os.environ['PATH']}",
            "AIOPS_HOME": str(home),
            "DEMO_URL": second.url,
            "OLLAMA_URL": ollama.url,
        }
        env.pop("PYTHONDONTWRITEBYTECODE", None)
        instance = Instance(home, env)
        instance.aiops("--yes", "init", "--supervisor", "process", "--port", str(free_port()))
        try:
            instance.aiops("--yes", "up")
            instance.aiops(
                "--yes", "add-provider", "demo", "--type", "llama_cpp", "--base-url", demo.url, "--model", "tiny-random"
            )
            yield instance
        finally:
            subprocess.run([BIN / "aiops", "--yes", "down"], env=env, capture_output=True, timeout=60, check=False)
