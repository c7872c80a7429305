"""Where an instance keeps its things: under one home, or in the XDG directories."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path

from aiops.errors import InvalidState, Precondition, Problem
from aiops.host.runtime_directory import runtime_directory
from aiops.spec.sources import FILES, REQUIRED, SETTINGS, Sources

GENERATED = "litellm-unified.yaml"
MAX_SOURCE_BYTES = 16 * 1024 * 1024
# sun_path holds 108 bytes; the longest name below `run` is `.PID.http`.
LONGEST_SOCKET_DIRECTORY = 85


@dataclass(frozen=True)
class Instance:
    """Directories of one gateway. ``home`` is None when they are the XDG ones."""

    home: Path | None
    config: Path
    state: Path
    run: Path
    logs: Path
    secrets: Path

    @property
    def exists(self) -> bool:
        return (self.config / SETTINGS).exists()

    @property
    def generated(self) -> Path:
        """The copy of the rendered configuration that people look at."""
        return self.config / GENERATED

    @property
    def master_key(self) -> Path:
        """The key that ``init`` makes."""
        return self.key_file(None)

    def key_file(self, written: str | None) -> Path:
        """Where a key is, given what the files say of it; None: the gateway's own, of which they say nothing."""
        return self.secrets / Path(written or "master_key").expanduser()

    @property
    def env_file(self) -> Path:
        return self.secrets / "env"

    @property
    def log(self) -> Path:
        return self.logs / "gateway.log"

    @property
    def audit_log(self) -> Path:
        return self.logs / "audit.jsonl"

    @property
    def incidents(self) -> Path:
        return self.state / "incidents"

    @property
    def command(self) -> str:
        """How to call aiops for this instance, for hints."""
        return f"aiops --home {self.home}" if self.home and os.environ.get("AIOPS_HOME") != str(self.home) else "aiops"

    def require(self) -> None:
        """Raises Precondition when there is no instance here."""
        if not self.exists:
            raise Precondition(f"there is no instance in {self.config}", f"`{self.command} init` makes one")

    def make_directories(self) -> None:
        """Raises OSError."""
        for directory in (self.config, self.state, self.run, self.logs, self.secrets):
            directory.mkdir(parents=True, exist_ok=True)
        for private in (self.state, self.run, self.logs, self.secrets):
            private.chmod(0o700)


def locate(home: Path | None) -> Instance:
    """The instance under ``home``, or the user's own in the XDG directories."""
    if home is not None:
        home = Path(os.path.abspath(os.path.expanduser(home)))  # noqa: PTH100, PTH111 — links are kept as written
        return Instance(home, home / "config", home / "state", _short(home / "run"), home / "logs", home / "secrets")
    config = _xdg("XDG_CONFIG_HOME", ".config")
    state = _xdg("XDG_STATE_HOME", ".local/state")
    runtime = runtime_directory()
    run = runtime / "aiops" if runtime else state / "run"
    return Instance(None, config, state, _short(run), state / "logs", config / "secrets")


def _xdg(variable: str, default: str) -> Path:
    base = os.environ.get(variable)
    return (Path(base) if base else Path.home() / default) / "aiops"


def _short(run: Path) -> Path:
    """A directory whose sockets the kernel can name: ``run``, or one in the temporary directory standing for it."""
    if len(os.fsencode(run)) <= LONGEST_SOCKET_DIRECTORY:
        return run
    import tempfile

    name = hashlib.sha256(os.fsencode(run)).hexdigest()[:12]
    short = Path(tempfile.gettempdir()) / f"aiops-{os.getuid()}-{name}"
    if short.exists() and (short.is_symlink() or short.stat().st_uid != os.getuid()):
        raise Precondition(f"{short} belongs to somebody else", f"choose a home with a path shorter than {run}")
    return short


def read_sources(instance: Instance) -> Sources:
    """The operator's files. Raises InvalidState naming every file that cannot be read."""
    sources: dict[str, bytes] = {}
    problems: list[Problem] = []
    for name in FILES:
        path = instance.config / name
        try:
            if path.stat().st_size > MAX_SOURCE_BYTES:
                size = path.stat().st_size / 1024 / 1024
                problems.append(Problem(name, 0, f"the file has {size:.0f} MiB; more than 16 MiB is refused"))
                continue
            sources[name] = path.read_bytes()
        except FileNotFoundError:
            if name in REQUIRED:
                problems.append(Problem(name, 0, "the file is missing", f"`{instance.command} init` writes a new one"))
        except OSError as error:
            problems.append(Problem(name, 0, f"cannot be read: {error.strerror}"))
    if problems:
        raise InvalidState(problems)
    return sources
