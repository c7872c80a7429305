"""A package mirror for hosts that reach no registry: every wheel of uv.lock, of uv itself, of the build tools, and a
second LiteLLM to upgrade to.

It is a directory that pip and uv read both ways: ``--find-links`` and, under ``simple/``, as a package index.
"""

from __future__ import annotations

import hashlib
import platform
import re
import shutil
import sys
import tomllib
from pathlib import Path

from packaging.markers import Marker

from tests.lab.command import LabError, run
from tests.lab.places import CACHE, CHECKOUT, locked
from tests.lab.progress import making

PYTHON = "3.11.2"  # Debian 12's, with its glibc
GLIBC = 36
FORMAT = "2"
UV = CHECKOUT / "scripts/uv-requirements.txt"
OTHER = CHECKOUT / "tests/lab/other-litellm.txt"


def wheelhouse() -> Path:
    """The mirror for this checkout's lock file; downloaded the first time (about 350 MB). Raises LabError."""
    text = [FORMAT, *(path.read_text() for path in (CHECKOUT / "uv.lock", UV, OTHER)), *_build_tools()]
    made = CACHE / f"wheels-{hashlib.sha256(chr(0).join(text).encode()).hexdigest()[:12]}"
    with locked(CACHE / "wheels.lock"):
        if not made.exists():
            new = made.with_suffix(".new")
            shutil.rmtree(new, ignore_errors=True)
            new.mkdir(parents=True)
            with making("the package mirror"):
                _fill(new)
                _index(new)
            new.rename(made)
    return made


def other_litellm() -> str:
    """The version that the hosts can upgrade to."""
    (version,) = re.findall(r"^litellm==(\S+)", OTHER.read_text(), re.MULTILINE)
    return str(version)


def _fill(target: Path) -> None:
    tools = _tools()
    for name, groups in (("all.txt", []), ("run.txt", ["--no-dev"])):
        export = ["export", "--frozen", "--all-extras", "--no-emit-project", "--quiet", "--no-header", *groups]
        listed = run([str(tools / "uv"), *export, "--project", str(CHECKOUT)], timeout=300)
        (target / name).write_text(listed.out)
    machine = platform.machine()
    platforms = [f"manylinux_2_{minor}_{machine}" for minor in range(GLIBC, 4, -1)]
    platforms += [f"{old}_{machine}" for old in ("manylinux2014", "manylinux2010", "manylinux1", "linux")]
    download = [str(tools / "python"), "-m", "pip", "download", "--quiet", "--dest", str(target)]
    download += ["--only-binary=:all:", "--implementation", "cp", "--python-version", PYTHON.rpartition(".")[0]]
    download += [word for name in platforms for word in ("--platform", name)]
    hashed = ["--no-deps", "--require-hashes", "--requirement"]
    wanted = target / "wanted.txt"
    wanted.write_text(_for_hosts((target / "all.txt").read_text()))
    run([*download, *hashed, str(wanted)], timeout=900)
    wanted.unlink()
    for pinned in (UV, OTHER):
        run([*download, *hashed, str(pinned)], timeout=900)
    run([*download, *_build_tools()], timeout=900)


def _for_hosts(exported: str) -> str:
    """The requirements that apply on a host, without their markers: pip would judge those by the Python it runs on."""
    environment = {
        "python_version": PYTHON.rpartition(".")[0],
        "python_full_version": PYTHON,
        "implementation_name": "cpython",
        "platform_python_implementation": "CPython",
        "sys_platform": "linux",
        "platform_system": "Linux",
        "os_name": "posix",
        "platform_machine": platform.machine(),
    }
    kept: list[str] = []
    for entry in re.split(r"\n(?=\S)", exported):
        requirement, *hashes = entry.split("\n")
        name, _, marker = requirement.rstrip(" \\").partition(" ; ")
        if not name or name.startswith("#") or (marker and not Marker(marker).evaluate(environment)):
            continue
        kept += [f"{name} \\" if hashes else name, *hashes]
    return "\n".join(kept) + "\n"


def _build_tools() -> list[str]:
    build = tomllib.loads((CHECKOUT / "pyproject.toml").read_text())["build-system"]["requires"]
    # hatchling asks for `editables` only once it builds an editable wheel.
    return [*(str(requirement) for requirement in build), "editables", "wheel", "setuptools"]


def _tools() -> Path:
    """The programs of a small environment with pip and the pinned uv, made from this machine's Python."""
    home = CACHE / f"tools-{hashlib.sha256(UV.read_bytes()).hexdigest()[:12]}"
    if not (home / "bin/uv").exists():
        shutil.rmtree(home, ignore_errors=True)
        base = getattr(sys, "_base_executable", sys.executable)
        run([base, "-m", "venv", str(home)], timeout=300)
        pip = [str(home / "bin/python"), "-m", "pip", "install", "--quiet", "--require-hashes"]
        run([*pip, "--requirement", str(UV)], timeout=900)
    return home / "bin"


def _index(target: Path) -> None:
    """Write the pages of a simple package index (PEP 503) next to the wheels."""
    projects: dict[str, list[Path]] = {}
    for wheel in sorted(target.glob("*.whl")):
        name = re.sub(r"[-_.]+", "-", wheel.name.split("-")[0]).lower()
        projects.setdefault(name, []).append(wheel)
    if not projects:
        raise LabError(f"no wheel was downloaded to {target}")
    for name, wheels in projects.items():
        page = target / "simple" / name / "index.html"
        page.parent.mkdir(parents=True)
        links = [
            f'<a href="../../{wheel.name}#sha256={hashlib.sha256(wheel.read_bytes()).hexdigest()}">{wheel.name}</a><br>'
            for wheel in wheels
        ]
        page.write_text("<!DOCTYPE html><html><body>\n" + "\n".join(links) + "\n</body></html>\n")
