"""The shape of the code, as docs/architecture.md promises it. Read from the source, nothing is imported."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "aiops"
LONGEST_MODULE = 400

# Who may import whom, by the first name under aiops/. Every part may import itself, `aiops` and `errors`.
MAY_IMPORT: dict[str, set[str]] = {
    "errors": set(),
    "output": set(),
    "spec": set(),
    "render": {"spec"},
    "plan": {"spec", "render"},
    "importing": {"spec"},
    "host": {"spec"},  # the names of the files; spec imports nothing, so there is no way round
    "apply": {"spec", "render", "plan", "host", "verify"},  # the checks that decide whether a change goes on
    "verify": {"spec", "render", "host"},
    "gateway": {"spec"},
    "demo": set(),
    "__main__": {"cli"},
}
# Use-cases are modules of their own, between the verbs and the parts. They build on one another, `preparation` first.
USE_CASES = {
    "change",
    "diagnosis",
    "discover",
    "image_upgrade",
    "moving",
    "explanation",
    "live_routes",
    "port_findings",
    "preparation",
    "proof",
    "prover",
    "provider_findings",
    "provider_install",
    "provider_service",
    "provider_wait",
    "pull",
    "runtime_choice",
    "service",
    "situation",
    "strategy_change",
    "supervision",
    "switch",
    "takeover",
    "unit_findings",
    "upgrade",
}
PARTS = {"spec", "render", "plan", "importing", "apply", "verify", "host", "output"}
MAY_IMPORT |= dict.fromkeys(USE_CASES, PARTS | USE_CASES)
MAY_IMPORT["commands"] = PARTS | USE_CASES | {"cli"}  # `cli` for the type of what every verb is given
MAY_IMPORT["cli"] = {"commands", "change", "host", "output"}
# The words the gateway process and the rest say to each other: both sides may know them, and they import nothing.
SHARED_WITH_GATEWAY = {
    "aiops.gateway.protocol",
    "aiops.gateway.pointer",
    "aiops.gateway.installed",
    "aiops.gateway.journal",
}
SHARED_BY = {"host", "apply", "verify"}

PURE = ("spec", "render", "plan", "importing")
IMPURE_MODULES = {
    "asyncio", "glob", "httpx", "multiprocessing", "os", "random", "secrets", "shutil", "signal", "socket",
    "subprocess", "tempfile", "threading", "time", "urllib.request", "uuid",
}  # fmt: skip
IMPURE_METHODS = {"read_text", "read_bytes", "write_text", "write_bytes", "unlink", "mkdir", "today", "now", "utcnow"}
OS_MODULES = {"glob", "httpx", "os", "shutil", "signal", "socket", "subprocess", "tempfile", "time", "urllib.request"}


@dataclass(frozen=True)
class Module:
    path: Path

    @property
    def name(self) -> str:
        parts = self.path.relative_to(ROOT).with_suffix("").parts
        return ".".join(part for part in parts if part != "__init__")

    @property
    def part(self) -> str:
        return (*self.name.split("."), "aiops")[1]

    @property
    def tree(self) -> ast.Module:
        return ast.parse(self.path.read_text())

    def imports(self) -> Iterator[tuple[int, str]]:
        """Line and dotted name of every import, those inside functions too; type-checking imports count."""
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Import):
                yield from ((node.lineno, alias.name) for alias in node.names)
            elif isinstance(node, ast.ImportFrom):
                base = node.module or ""
                assert node.level == 0, f"{self.name}:{node.lineno}: relative import; names are written out here"
                # `from aiops.gateway import protocol` is an import of aiops.gateway.protocol.
                for alias in node.names:
                    deeper = f"{base}.{alias.name}"
                    yield node.lineno, deeper if is_module(deeper) else base

    def calls(self) -> Iterator[tuple[int, str]]:
        """Line and last name of every call: `open`, `read_text`, …"""
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Call):
                name = getattr(node.func, "id", None) or getattr(node.func, "attr", None)
                if name:
                    yield node.lineno, name


def is_module(dotted: str) -> bool:
    path = ROOT.joinpath(*dotted.split("."))
    return path.is_dir() or path.with_suffix(".py").exists()


def is_in(name: str, modules: set[str]) -> bool:
    return any(name == module or name.startswith(f"{module}.") for module in modules)


MODULES = [Module(path) for path in sorted(PACKAGE.rglob("*.py")) if "data" not in path.relative_to(PACKAGE).parts]
every_module = pytest.mark.parametrize("module", MODULES, ids=lambda module: module.name)


@every_module
def test_imports_point_one_way(module: Module) -> None:
    if module.part == "aiops":
        return
    assert module.part in MAY_IMPORT, (
        f"aiops/{module.part} is new: say here, and in docs/architecture.md, what it may import"
    )
    allowed = MAY_IMPORT[module.part] | {module.part, "errors"}
    wrong = [
        f"{module.path.relative_to(ROOT)}:{line} imports {name}"
        for line, name in module.imports()
        if name.startswith("aiops.")
        and name.split(".")[1] not in allowed
        and not (name in SHARED_WITH_GATEWAY and module.part in SHARED_BY)
    ]
    assert not wrong


@pytest.mark.parametrize("name", sorted(SHARED_WITH_GATEWAY))
def test_what_the_gateway_shares_drags_nothing_along(name: str) -> None:
    module = next(module for module in MODULES if module.name == name)
    assert not [imported for _, imported in module.imports() if imported.startswith("aiops")]


@pytest.mark.parametrize("module", [m for m in MODULES if m.part in PURE], ids=lambda module: module.name)
def test_the_pure_parts_know_no_clock_disk_network_or_environment(module: Module) -> None:
    imported = [f"line {line}: {name}" for line, name in module.imports() if is_in(name, IMPURE_MODULES)]
    called = [f"line {line}: {name}()" for line, name in module.calls() if name in IMPURE_METHODS | {"open", "print"}]
    assert not imported + called


@pytest.mark.parametrize("module", [m for m in MODULES if m.part == "commands"], ids=lambda module: module.name)
def test_a_command_leaves_the_machine_to_the_host(module: Module) -> None:
    imported = [f"line {line}: {name}" for line, name in module.imports() if is_in(name, OS_MODULES)]
    called = [f"line {line}: {name}()" for line, name in module.calls() if name in {"open", "print"}]
    assert not imported + called


def test_only_one_module_starts_processes() -> None:
    # The gateway forks its own workers and may not depend on host; the demo must run without the rest of aiops.
    users = {module.name for module in MODULES for _, name in module.imports() if is_in(name, {"subprocess"})}
    elsewhere = {name for name in users if not name.startswith(("aiops.gateway", "aiops.demo"))}
    assert elsewhere <= {"aiops.host.process"}


@every_module
def test_a_module_is_one_thing(module: Module) -> None:
    assert len(module.path.read_text().splitlines()) <= LONGEST_MODULE


def test_a_verb_its_module_and_its_runbook_bear_the_same_name() -> None:
    verbs = {path.stem.replace("_", "-") for path in (PACKAGE / "commands").glob("[!_]*.py")}
    pages = {path.stem for path in (ROOT / "runbooks").glob("*.md")} - {"README"}
    assert verbs == pages
