"""What a runtime is made from: every package with its version and its hashes, before anything is downloaded."""

from __future__ import annotations

import hashlib
import os
import pwd
import re
import shutil
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import aiops
from aiops.errors import Precondition, UsageError
from aiops.gateway.shared.installed import COMPROMISED
from aiops.host import process
from aiops.supervise.left_out import LEFT_OUT

# An impossible marker keeps them out of whatever another LiteLLM's `proxy` asks for.
OVERRIDES = "".join(f"{name} ; sys_platform == 'never'\n" for name in LEFT_OUT)
VERSION = re.compile(r"\d+(\.\d+)+((a|b|rc|\.post|\.dev)\d+)*")  # the final form of PEP 440, which LiteLLM uses
RESOLVE_SECONDS = 300.0
# They would make a runtime find what is not in it, or start at half its speed.
FOREIGN = ("VIRTUAL_ENV", "PYTHONHOME", "PYTHONPATH", "PYTHONDONTWRITEBYTECODE")


@dataclass(frozen=True)
class Source:
    """Where packages come from: uv's own settings, or a directory of files. ``offline``: no network at all."""

    find_links: Path | None = None
    offline: bool = False

    def options(self) -> list[str]:
        found = ["--no-index", "--find-links", str(self.find_links)] if self.find_links else []
        return [*found, *(["--offline"] if self.offline else [])]


def require_acceptable(version: str) -> None:
    """Raises UsageError for what is no version, Precondition for a release that carries malware."""
    if not VERSION.fullmatch(version):
        raise UsageError(f"`{version}` is no version of LiteLLM", "for example: aiops upgrade 1.106.2")
    if version in COMPROMISED:
        raise Precondition(
            f"LiteLLM {version} is a known-compromised release; nothing was downloaded",
            "choose another version; if it ever ran here, change every key this machine knows",
        )


def installed_version() -> str | None:
    """The LiteLLM of the environment this very command runs in."""
    from importlib.metadata import PackageNotFoundError, version  # 15 ms, for what most verbs need not know

    try:
        return version("litellm")
    except PackageNotFoundError:
        return None


def find_uv() -> Path:
    """The tool that resolves and installs: on PATH, next to this Python, or in the checkout's .tools."""
    checkouts = {_root(), Path(sys.prefix).parent}  # of this code, and of the environment it runs in
    tools = [uv for checkout in checkouts for uv in checkout.glob(".tools/uv-*/bin/uv")]
    beside = [Path(sys.prefix) / "bin" / "uv", *sorted(tools, reverse=True)]
    on_path = shutil.which("uv")
    for candidate in [*([Path(on_path)] if on_path else []), *beside]:
        if os.access(candidate, os.X_OK):
            return candidate
    raise Precondition("`uv` is not there, which makes the new environment", "`pip install uv` into this environment")


def command() -> list[str]:
    """uv, away from any project: it would read the settings of whatever checkout it is started in."""
    return [str(find_uv()), "--directory", "/"]


def environment() -> dict[str, str]:
    """For uv: this shell's, and pip's settings where uv has none of its own."""
    clean = {name: value for name, value in os.environ.items() if name not in FOREIGN}
    if os.geteuid() != os.getuid():
        clean = _as_owner(clean)
    clean["UV_PYTHON_DOWNLOADS"] = "never"
    if "UV_DEFAULT_INDEX" not in clean and "UV_INDEX_URL" not in clean and "PIP_INDEX_URL" in clean:
        clean["UV_DEFAULT_INDEX"] = clean["PIP_INDEX_URL"]
    if "SSL_CERT_FILE" not in clean and "PIP_CERT" in clean:
        clean["SSL_CERT_FILE"] = clean["PIP_CERT"]
    return clean


def _as_owner(shell: dict[str, str]) -> dict[str, str]:
    """Root's shell, when root acts as the owner of an instance: nothing of root's is read or written."""
    kept = {name: value for name, value in shell.items() if not name.startswith("XDG_")}
    home = pwd.getpwuid(os.geteuid()).pw_dir
    if not os.access(home, os.W_OK, effective_ids=True):
        kept["UV_NO_CACHE"] = "1"  # a user for services alone often has no home
    return {**kept, "HOME": home}


def resolve(version: str, source: Source) -> str:
    """Hash-locked requirements for LiteLLM ``version``: from the lock of this aiops if it has that version.

    Raises UsageError, Precondition.
    """
    require_acceptable(version)
    uv = find_uv()
    locked = _exported(uv)
    if f"litellm=={version}" in (line.split()[0] for line in _pins(locked)):
        return locked
    with tempfile.TemporaryDirectory(prefix="aiops-resolve-") as directory:
        place = Path(directory)
        wanted = "\n".join([*_ours(), f"litellm[proxy]=={version}", ""])
        texts = {"in": wanted, "overrides": OVERRIDES, "constraints": _constraint(), "out": locked}
        for name, text in texts.items():
            (place / name).write_text(text)
        # What is in `out` already is preferred: only what the other version needs becomes another one.
        argv = [*command(), "pip", "compile", "--quiet", "--generate-hashes", "--no-header", "--no-annotate"]
        argv += ["--python", sys.executable, "--overrides", str(place / "overrides")]
        argv += ["--constraints", str(place / "constraints"), "--output-file", str(place / "out")]
        done = process.run([*argv, *source.options(), str(place / "in")], RESOLVE_SECONDS, environment())
        if not done.ok:
            raise Precondition(
                f"there is no set of packages with LiteLLM {version}:\n{_indented(done.err or done.out)}",
                "`pip index versions litellm` lists the versions; without a network: --find-links DIR",
            )
        return (place / "out").read_text()


def digest(requirements: str, *more: str) -> str:
    """Short, of the pins alone: comments and order of hashes do not count."""
    text = "\n".join([*sorted(_pins(requirements)), *more])
    return hashlib.sha256(text.encode()).hexdigest()[:10]


def count(requirements: str) -> int:
    return sum(1 for _ in _pins(requirements))


def _root() -> Path:
    """The checkout, when there is one."""
    return Path(aiops.__file__).resolve().parents[1]


def _exported(uv: Path) -> str:
    """The lock that comes with this aiops, in a checkout or in a wheel; empty when it has none."""
    for place in (_root(), Path(aiops.__file__).parent / "data"):
        if (place / "uv.lock").is_file() and (place / "pyproject.toml").is_file():
            argv = [str(uv), "export", "--quiet", "--frozen", "--project", str(place), "--extra", "gateway"]
            argv += ["--no-dev", "--no-emit-project", "--no-header", "--no-annotate"]
            done = process.run(argv, RESOLVE_SECONDS, environment())
            if done.ok:
                return done.out
    return ""


def _ours() -> Iterator[str]:
    """What aiops itself needs where a gateway runs, from its own metadata: not LiteLLM, of which another is wanted."""
    from importlib.metadata import requires

    extras: dict[str, list[str]] = {}
    for line in requires("aiops") or []:
        requirement, _, marker = (part.strip() for part in line.partition(";"))
        extras.setdefault(marker.replace('"', "'").removeprefix("extra == ").strip("'"), []).append(requirement)
    yield from extras.get("", [])
    # Some build tools write the extra `litellm` out where `gateway` names it.
    for requirement in extras.get("gateway", []):
        if requirement not in extras.get("litellm", []) and not requirement.startswith("aiops["):
            yield requirement


def _constraint() -> str:
    return "".join(f"litellm!={version}\n" for version in sorted(COMPROMISED))


def _pins(requirements: str) -> Iterator[str]:
    """``name==version ; marker``, one for each package."""
    for line in requirements.splitlines():
        if "==" in line and not line.startswith((" ", "#", "\t")):
            yield line.rstrip("\\ ")


def _indented(text: str, most: int = 12) -> str:
    return "\n".join(f"  {line}" for line in text.strip().splitlines()[-most:])
