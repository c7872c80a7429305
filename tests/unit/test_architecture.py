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
MOST_ROOMS = 20

# Who may import whom. A room is a folder below aiops/, one level deeper below actions/ and gateway/; a module at the
# top is a room of its own. Each may import itself, `aiops` and `errors`.
BELOW_ACTIONS = {
    "spec", "render", "plan", "importing", "apply", "verify", "supervise", "host", "output", "gateway/shared", "state",
}  # fmt: skip
MAY_IMPORT: dict[str, set[str]] = {
    "errors": set(),
    "output": set(),
    "context": {"host", "output"},
    "spec": set(),
    "render": {"spec"},
    "plan": {"spec", "render"},
    "importing": {"spec"},
    "host": {"spec", "gateway/shared"},  # the names of the files; spec imports nothing, so there is no way round
    "supervise": {"spec", "host", "gateway/shared"},
    "verify": {"spec", "render", "host", "gateway/shared"},
    # `verify` for the type of the checks that decide whether a change goes on
    "apply": {"spec", "render", "plan", "host", "supervise", "verify", "gateway/shared"},
    "actions": BELOW_ACTIONS,
    "actions/instance": BELOW_ACTIONS,
    "actions/change": BELOW_ACTIONS | {"actions/instance"},
    "commands": {"actions", "actions/*", "context", "output"},
    "cli": {"commands", "context", "output"},
    "gateway": {"gateway/*"},
    "gateway/shared": set(),
    "state": {"spec"},
    "gateway/worker": {"gateway/shared", "spec", "state"},
    "gateway/accountant": {"gateway/shared", "spec", "state"},
    "gateway/master": {"gateway/shared", "gateway/worker", "spec"},
    "demo": set(),
    "__main__": {"cli"},
}
# What one noun of actions may know of another, beyond `change` and `instance`, which all of them may.
BETWEEN_NOUNS = {
    ("actions/doctor", "actions/service"),
    ("actions/service", "actions/route"),  # whether providers answer is what the workers say of routes
    ("actions/member", "actions/teams"),  # a member is one of a team
    ("actions/model", "actions/provider"),  # a model is pulled by the provider that will serve it
    ("actions/replicas", "actions/keys"),  # `verify` of replicas does what `keys revoke` does, and reads its receipt
    ("actions/replicas", "actions/usage"),  # and what `usage prove` does
}

# Verbs whose action could not bear their name, with the words that it bears instead.
OTHER_WORDS = {
    "scale-out": "scale_out",  # a direction is no noun: both are what `actions/scale` does
    "scale-in": "scale_in",
    "up": "start",  # a service is started and stopped, and so are the functions that systemd calls
    "down": "stop",
    "import": "take_over",  # a reserved word
    "keys import": "take_over",
    "doctor": "diagnose",  # a person, not something that is done
}

NOUNS = {"scale-out": "scale", "scale-in": "scale"}

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
    def room(self) -> str:
        return room_of(self.name)

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
                # `from aiops.spec import names` is an import of aiops.spec.names.
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


def room_of(name: str) -> str:
    """`actions/change`, `spec`, `cli`, …: the folder a module lives in, or the module itself at the top."""
    path = ROOT.joinpath(*name.split("."))
    inside = (path if path.is_dir() else path.parent).relative_to(PACKAGE).parts
    depth = 2 if inside[:1] in (("actions",), ("gateway",)) else 1
    return "/".join(inside[:depth]) or (*name.split("."), "aiops")[1]


def may_import(room: str) -> set[str]:
    if room.startswith("actions/") and room not in MAY_IMPORT:
        others = {to for noun, to in BETWEEN_NOUNS if noun == room}
        return BELOW_ACTIONS | {"actions/change", "actions/instance"} | others
    return MAY_IMPORT[room]


def is_module(dotted: str) -> bool:
    path = ROOT.joinpath(*dotted.split("."))
    return path.is_dir() or path.with_suffix(".py").exists()


def is_in(name: str, modules: set[str]) -> bool:
    return any(name == module or name.startswith(f"{module}.") for module in modules)


MODULES = [Module(path) for path in sorted(PACKAGE.rglob("*.py")) if "data" not in path.relative_to(PACKAGE).parts]
every_module = pytest.mark.parametrize("module", MODULES, ids=lambda module: module.name)


@every_module
def test_imports_point_one_way(module: Module) -> None:
    if module.room == "aiops":
        return
    assert module.room in MAY_IMPORT or module.room.startswith("actions/"), (
        f"aiops/{module.room} is new: say here, and in docs/architecture.md, what it may import"
    )
    allowed = may_import(module.room) | {module.room, "aiops", "errors"}
    wrong = [
        f"{module.path.relative_to(ROOT)}:{line} imports {name}"
        for line, name in module.imports()
        if name.split(".")[0] == "aiops"
        and room_of(name) not in allowed
        and f"{room_of(name).split('/')[0]}/*" not in allowed
    ]
    assert not wrong


def test_there_are_few_rooms() -> None:
    assert len({module.part for module in MODULES}) <= MOST_ROOMS


def test_no_module_imports_itself_by_a_detour() -> None:
    names = {module.name for module in MODULES}
    waiting = {module.name: {name for _, name in module.imports() if name in names} for module in MODULES}
    while leaves := {name for name, needs in waiting.items() if not needs - {name}}:
        waiting = {name: needs - leaves for name, needs in waiting.items() if name not in leaves}
    assert not waiting, f"a circle among {sorted(waiting)}"


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


COMMANDS = PACKAGE / "commands"


def verbs() -> dict[str, Path]:
    """What people type, to the module of it: `status`, `add-provider`, `provider start`."""
    found = {}
    for path in sorted(COMMANDS.rglob("[!_]*.py")):
        words = path.relative_to(COMMANDS).with_suffix("").parts
        found[" ".join(words).replace("_", "-")] = path
    return found


# Runbooks of what is written rather than typed.
OF_A_FILE = {"keys-as-code"}


def test_a_verb_its_module_and_its_runbook_bear_the_same_name() -> None:
    pages = {path.stem for path in (ROOT / "runbooks").glob("*.md")} - {"README"}
    assert {verb.split()[0] for verb in verbs()} == pages - OF_A_FILE


@pytest.mark.parametrize("verb", verbs())
def test_a_verb_and_its_action_bear_the_same_name(verb: str) -> None:
    """`add-provider` calls `actions/provider/add`; `provider start` a `start` somewhere in `actions/provider`."""
    group, _, last = verb.rpartition(" ")
    act, _, noun = last.partition("-")
    wanted, noun = OTHER_WORDS.get(verb, act), NOUNS.get(verb, noun or group)
    called = [
        (node.module, {node.module.rpartition(".")[2], *(alias.name for alias in node.names)})
        for node in ast.walk(Module(verbs()[verb]).tree)
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("aiops.actions.")
    ]
    fitting = [names for module, names in called if not noun or module.split(".")[2] == noun]
    assert any(wanted in names for names in fitting), f"`{verb}` calls no action of that name, but {called}"


def test_no_verb_is_excused_that_does_not_have_to_be() -> None:
    assert OTHER_WORDS.keys() <= verbs().keys()
    assert not [verb for verb, word in OTHER_WORDS.items() if word == verb.split()[-1]]
