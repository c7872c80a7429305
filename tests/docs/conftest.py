"""One running instance for all pages: a gateway, a provider `demo`, and servers that pages may add."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from aiops.demo.child import DemoProvider
from tests.kit.gateway import Gateway
from tests.kit.warm.product import AIOPS, BIN
from tests.kit.warm.session import starts


class Instance(Gateway):
    """What the commands of a page find: ``env`` has AIOPS_HOME, DEMO_URL, OLLAMA_URL and aiops on PATH."""

    def __init__(self, home: Path, env: dict[str, str]) -> None:
        super().__init__(home)
        self.env = {**self.env, "PATH": f"{starts.path(BIN)}:{os.environ['PATH']}", "AIOPS_HOME": str(home), **env}

    def aiops(self, *arguments: str) -> str:
        """Run a verb that must succeed; its stdout."""
        done = starts.run(
            [AIOPS, *arguments], 120, env=self.env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        assert done.returncode == 0, f"aiops {' '.join(arguments)}: exit {done.returncode}\n{done.stdout}{done.stderr}"
        return done.stdout


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
        DemoProvider.double(face="ollama", models=("llama3.2:1b", "gemma3:1b")) as ollama,
    ):
        instance = Instance(short_directory / "home", {"DEMO_URL": second.url, "OLLAMA_URL": ollama.url})
        instance.aiops("--yes", "init", "--supervisor", "process", "--port", str(instance.port))
        try:
            instance.aiops("--yes", "up")
            instance.aiops(
                "--yes", "add-provider", "demo", "--type", "llama_cpp", "--base-url", demo.url, "--model", "tiny-random"
            )
            yield instance
        finally:
            instance.end()
