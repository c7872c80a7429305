"""The one place that names the modules of aiops which are imported in advance, and what a command line calls."""

from __future__ import annotations

import importlib
import os
import pkgutil
import signal
import subprocess
import sys
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

ROOT = Path(__file__).resolve().parents[3]
BIN = Path(sys.executable).parent
AIOPS = BIN / "aiops"
MASTER = "aiops.gateway"
KEEPER = "aiops.gateway.keeper"
# What LiteLLM and the interpreter read once, at their start: a program with other values of it starts for real.
READ_AT_START = ("PYTHON", "LC_", "LANG", "LD_", "LITELLM_", "OPENAI_", "AIOHTTP_", "OTEL_")


@dataclass(frozen=True)
class Program:
    """What a command line runs. ``warm``: which of the warm processes has it imported."""

    warm: str
    module: str

    @staticmethod
    def of(argv: Sequence[Any]) -> Program | None:
        """None: a program that no warm process can become."""
        words = [str(each) for each in argv]
        if words[:1] == [str(AIOPS)] or words[:3] == [sys.executable, "-m", "aiops"]:
            return Program("commands", "aiops.cli")
        if words[:3] == [sys.executable, "-m", MASTER]:
            return Program("masters", f"{MASTER}.__main__")
        if words[:3] == [sys.executable, "-m", KEEPER]:
            return Program("masters", KEEPER)
        if words[:3] == [sys.executable, "-m", "tests.faults.runner"]:
            return Program("commands", "tests.faults.runner")
        return None


def preload_commands() -> None:
    """All that a verb may import on its way, which LiteLLM and the servers are not."""
    package = importlib.import_module("aiops")
    for found in pkgutil.walk_packages(package.__path__, "aiops."):
        # Migrations are run by Alembic, and are nothing to import.
        skipped = found.name.startswith((MASTER, "aiops.demo")) or ".migrations." in f"{found.name}."
        if not skipped and not found.name.endswith("__main__"):
            importlib.import_module(found.name)
    if "litellm" in sys.modules:
        raise AssertionError("a command line does not import LiteLLM")


def preload_masters() -> None:
    """LiteLLM, the way a master imports it."""
    from aiops.gateway.master import scout
    from aiops.gateway.worker import runtime

    runtime.prepare_environment()
    scout.warm_up()


PRELOADS: dict[str, Callable[[], None]] = {"commands": preload_commands, "masters": preload_masters}


def main_of(module: str) -> Callable[[], Any]:
    found: Callable[[], Any] = importlib.import_module(module).main
    return found


def arguments_of(argv: Sequence[str], module: str) -> list[str]:
    """``sys.argv`` as that program finds it."""
    if argv[1:2] == ["-m"]:
        return [str(sys.modules[module].__file__), *argv[3:]]
    return list(argv)


def let_fork(starts: type[subprocess.Popen[Any]]) -> None:
    """In a command line: whatever it starts is started by ``starts``, which forks masters and other command lines."""
    subprocess.Popen = starts  # type: ignore[misc]


def let_become_master() -> None:
    """In a keeper: the master that it spawns is its own fork, which has imported what a master imports."""
    real = os.posix_spawn

    def spawn(path: str, argv: list[str], env: Mapping[str, str], *, setsigmask: Collection[int]) -> int:
        pid = os.fork()
        if pid == 0:
            os.posix_spawn = real
            _be_master(argv, setsigmask)
        return pid

    os.posix_spawn = spawn  # type: ignore[assignment]


def _be_master(argv: list[str], signals_to_block: Collection[int]) -> NoReturn:
    from tests.kit.warm.identity import finish, show  # what `aiops` of a shell, which reads this, does without

    for number, theirs in ((signal.SIGTERM, signal.SIG_DFL), (signal.SIGINT, signal.default_int_handler)):
        signal.signal(number, theirs)  # as after exec
    signal.pthread_sigmask(signal.SIG_SETMASK, signals_to_block)
    show(argv)
    module = f"{MASTER}.__main__"
    called = main_of(module)
    sys.orig_argv, sys.argv = list(argv), arguments_of(argv, module)
    finish(called)


def same_start(environment: dict[str, str]) -> bool:
    """Whether a program started with ``environment`` would have imported what the session's has."""

    def read_at_start(variables: Any) -> dict[str, str]:
        ignored = ("PYTHONDONTWRITEBYTECODE", "LITELLM_LOCAL_MODEL_COST_MAP", "PYTHONPATH")
        return {name: variables[name] for name in variables if name.startswith(READ_AT_START) and name not in ignored}

    return read_at_start(environment) == read_at_start(os.environ)
