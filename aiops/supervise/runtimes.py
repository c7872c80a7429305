"""Runtimes: an immutable environment for each pair of LiteLLM and aiops, beside the one that serves.

    state/runtimes/ID/               a virtual environment
    state/runtimes/ID/requirements.txt   what it was made from, with hashes
    state/runtimes/ID/runtime.json   what it is; written last, so that an unfinished one is never taken for whole

It is built in its final place, because compiled modules and scripts hold its path.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import sys
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import aiops
from aiops.errors import Precondition, VerificationFailed
from aiops.gateway.shared.installed import MANIFEST, RUNTIMES, code_digest, python_of
from aiops.host import clock, files, process
from aiops.supervise import bytecode, requirements
from aiops.supervise.requirements import Source

NEEDED_BYTES = 1_500_000_000  # 400 MB for the environment, the rest for what uv unpacks
INSTALL_SECONDS = 1800.0
CHECK_SECONDS = 300.0  # importing LiteLLM from a cold disk, on a slow machine

Say = Callable[[str], None]


@dataclass(frozen=True)
class Runtime:
    """What a runtime is. ``code`` is the digest of aiops' modules in it; ``created`` is UTC, ISO 8601."""

    id: str
    litellm: str
    aiops: str
    code: str
    python: str
    created: str


def package() -> Path:
    return Path(aiops.__file__).resolve().parent


def our_code() -> str:
    """The digest of the aiops that this command is."""
    return code_digest(package())


class Runtimes:
    def __init__(self, state: Path) -> None:
        self._state = state
        self._directory = state / RUNTIMES

    def ids(self) -> list[str]:
        """Whole or not, oldest name first."""
        if not self._directory.is_dir():
            return []
        return sorted(path.name for path in self._directory.iterdir() if path.is_dir() and path.name[0] != ".")

    def get(self, identity: str) -> Runtime | None:
        """None when there is no such runtime, or it was never finished."""
        try:
            data = json.loads((self._directory / identity / MANIFEST).read_bytes())
            return Runtime(**{name: data[name] for name in Runtime.__dataclass_fields__})
        except (OSError, ValueError, KeyError):
            return None

    def python(self, identity: str) -> Path:
        """Raises Precondition when it is gone."""
        found = python_of(self._state, identity)
        if found is None:
            version = identity.partition("-")[0]
            raise Precondition(f"the runtime {identity} is gone", f"`aiops upgrade {version}` builds it again")
        return found

    @contextmanager
    def held(self, wait: bool = True) -> Iterator[bool]:
        """Nobody else builds or prunes meanwhile. Yields False when somebody does and ``wait`` is not wanted."""
        self._directory.mkdir(parents=True, exist_ok=True)
        with (self._directory / ".lock").open("a") as file:
            try:
                fcntl.flock(file.fileno(), fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
            except BlockingIOError:
                yield False
            else:
                yield True

    def build(self, version: str, source: Source, say: Say) -> Runtime:
        """The runtime with this LiteLLM and the aiops of this installation; made unless it is there.

        Raises UsageError, Precondition; nothing half made is left.
        """
        pins = requirements.resolve(version, source)
        code = our_code()
        short = requirements.digest(pins, code, sys.version)
        identity = f"{version}-{aiops.__version__}-{short}"
        if (there := self.get(identity)) is not None:
            say(f"the runtime {identity} is there already")
            return there
        directory = self._directory / identity
        if (free := shutil.disk_usage(self._directory).free) < NEEDED_BYTES:
            needed = f"{NEEDED_BYTES / 1e9:.1f} GB are needed"
            raise Precondition(f"{free / 1e9:.1f} GB are free in {self._directory}, {needed}", "make room, then again")
        say(f"building the runtime {identity}: {requirements.count(pins)} packages, about 400 MB")
        files.remove_tree(directory)
        try:
            self._install(directory, pins, source)
            made = Runtime(identity, version, aiops.__version__, code, sys.version.split()[0], clock.now())
            os.sync()  # the manifest must not reach the disk before what it vouches for
            files.write(directory / MANIFEST, (json.dumps(asdict(made), indent=2) + "\n").encode(), 0o444)
        except BaseException:
            shutil.rmtree(directory, ignore_errors=True)
            raise
        return made

    def _install(self, directory: Path, pins: str, source: Source) -> None:
        uv, environment = requirements.command(), requirements.environment()
        base = str(Path(sys._base_executable).resolve())  # type: ignore[attr-defined]  # of no environment
        _run([*uv, "venv", "--quiet", "--python", base, str(directory)], environment)
        listed = directory / "requirements.txt"
        listed.write_text(pins)
        python = str(directory / "bin" / "python")
        argv = [*uv, "pip", "install", "--quiet", "--python", python, "--require-hashes"]
        argv += ["--index-strategy", "unsafe-best-match"]  # the hashes say what is what, wherever it comes from
        _run([*argv, *source.options(), "--requirement", str(listed)], environment)
        (site,) = directory.glob("lib/python*/site-packages")
        shutil.copytree(package(), site / "aiops", ignore=shutil.ignore_patterns("__pycache__"))
        self._compile(directory, site, python, environment)

    def _compile(self, directory: Path, site: Path, python: str, environment: dict[str, str]) -> None:
        """Bytecode halves the gateway's start, and nobody may write it later. Most of it is there already."""
        whole = [self._directory / identity for identity in reversed(self.ids()) if self.get(identity) is not None]
        others = [bytecode.site_packages(environment) for environment in (Path(sys.prefix), *whole)]
        left = bytecode.take_over(site, [package().parent, *(other for other in others if other is not None)])
        if not left:
            return
        listed = directory / "to-compile.txt"
        listed.write_text("".join(f"{module}\n" for module in left))
        # Templates and other Pythons' modules, which packages bring along, cannot be compiled: that is code 1.
        _run([python, "-P", "-m", "compileall", "-qq", "-j", "0", "-i", str(listed)], environment, (0, 1))
        listed.unlink()

    def check(self, runtime: Runtime) -> dict[str, Any]:
        """Import LiteLLM there and answer a mocked request. Raises VerificationFailed, with nothing touched."""
        argv = [str(self.python(runtime.id)), "-P", "-m", "aiops.gateway", "--check"]
        done = process.run(argv, CHECK_SECONDS, requirements.environment())
        if not done.ok:
            raise VerificationFailed(
                f"LiteLLM {runtime.litellm} does not work in {runtime.id}: {done.reason}",
                "nothing was changed, and users noticed nothing",
            )
        found: dict[str, Any] = json.loads(done.out.strip().splitlines()[-1])
        if (found["litellm"], found["runtime"]) != (runtime.litellm, runtime.id):
            raise VerificationFailed(f"{runtime.id} holds LiteLLM {found['litellm']}, not {runtime.litellm}")
        return found

    def prune(self, needed: Collection[str | None]) -> list[str]:
        """Remove the runtimes no generation needs. Needs the lock of ``held``. Returns what went."""
        gone = [identity for identity in self.ids() if identity not in needed]
        for identity in gone:
            files.remove_tree(self._directory / identity)
        return gone


def _run(argv: list[str], environment: dict[str, str], fine: Collection[int] = (0,)) -> None:
    done = process.run(argv, INSTALL_SECONDS, environment)
    if done.code not in fine:
        said = "\n".join(f"  {line}" for line in (done.err or done.out).strip().splitlines()[-12:])
        raise Precondition(f"the runtime could not be made (`{' '.join(argv[:5])} …`):\n{said}", "nothing was changed")
