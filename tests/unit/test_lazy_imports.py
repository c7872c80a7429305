"""What people do not wait for: `--help` of any verb, and looking: `status`, `list`, completed names. And what checking
the files and planning a change do without. Lists of imports, no seconds: `scripts/bench cli` measures these."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SLOW = {
    "pydantic", "yaml", "httpx", "rich", "pyinfra", "litellm", "re2", "prometheus_client",
    "sqlalchemy", "alembic", "psycopg", "lmdb", "redis",
}  # fmt: skip
# What people wait for while they look, or while they type.
LOOKING = [
    "aiops.cli",
    "aiops.actions.service.status",
    "aiops.actions.service.list",
    "aiops.actions.service.ask",
    "aiops.actions.about.help",
    "aiops.actions.about.names",
    "aiops.actions.about.version",
    "aiops.actions.about.completion",
]


def slow_after(*modules: str) -> list[str]:
    """Which of the slow ones a fresh interpreter has imported after these modules."""
    code = (
        "import importlib, sys\n"
        f"for module in {modules!r}: importlib.import_module(module)\n"
        f"print(*sorted({SLOW!r} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    return done.stdout.split()


@pytest.mark.parametrize("module", LOOKING)
def test_what_is_looked_at_often_imports_nothing_slow(module: str) -> None:
    assert slow_after(module) == []


def test_no_verb_imports_anything_slow_for_its_help() -> None:
    """What is slow is imported by a verb that is called, so the modules themselves need none of it."""
    files = sorted((ROOT / "aiops" / "commands").rglob("*.py"))
    modules = [".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__") for path in files]
    assert len(modules) > 30
    assert slow_after(*modules) == []


# What a whole command line may not have imported when it ends, each for what it costs or drags along.
HTTP = {"http.client", "ssl", "httpx", "concurrent.futures"}
NOT_TO_READ = HTTP | {"rich", "pyinfra", "litellm", "prometheus_client", "re2", "difflib", "logging", "argparse"}
OF_A_CHANGE = {"aiops.apply.transaction", "aiops.actions.change.proofs", "aiops.verify.suites", "aiops.host.deploy"}
OF_A_PLAN = {"aiops.actions.change.prepare", "aiops.plan.plan", "aiops.render.litellm", "aiops.spec.edit.edit"}
OF_THE_MASTER = {"aiops.host.master", "aiops.gateway.shared.messages", "aiops.supervise.runtimes", "subprocess"}
OTHER_VERBS = {"aiops.actions.provider.discover", "aiops.importing.importer", "aiops.supervise.container"}
ADD = ["add-provider", "one", "--type", "openai_compatible", "--base-url", "http://127.0.0.1:9", "--model", "one"]
VERBS = [
    (["--help"], NOT_TO_READ | {"pydantic", "yaml", "aiops.host.instance", "json"}),
    (["status"], NOT_TO_READ | OF_A_CHANGE | OF_A_PLAN | OTHER_VERBS | {"pydantic", "importlib.metadata", "secrets"}),
    (["validate", "--offline"], NOT_TO_READ | OF_A_CHANGE | OF_A_PLAN | OF_THE_MASTER | OTHER_VERBS),
    ([*ADD, "--dry-run"], NOT_TO_READ | OF_A_CHANGE | OTHER_VERBS),
]


def imported_by(home: Path, words: list[str]) -> set[str]:
    """Every module that a command line has imported by its end, in an instance at ``home``."""
    code = (
        "import os, sys\n"
        "leave = os._exit\n"
        "def told(code):\n"
        "    print(code, *sys.modules, file=sys.stderr, flush=True)\n"
        "    leave(0)\n"
        "os._exit = told\n"
        "from aiops.__main__ import main\n"
        "main()\n"
    )
    argv = [sys.executable, "-c", code, "--home", str(home), *words]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=60, env={**os.environ, "AIOPS_HOME": ""})
    exit_code, *modules = done.stderr.splitlines()[-1].split()
    assert exit_code == "0", done.stderr
    return set(modules)


@pytest.mark.parametrize(("words", "without"), VERBS, ids=lambda value: value[0] if isinstance(value, list) else "")
def test_a_verb_imports_nothing_that_it_does_not_use(tmp_path: Path, words: list[str], without: set[str]) -> None:
    imported_by(tmp_path, ["init", "--supervisor", "process"])
    assert sorted(imported_by(tmp_path, words) & without) == []


@pytest.mark.parametrize("name", sorted(OF_A_CHANGE | OF_A_PLAN | OF_THE_MASTER | OTHER_VERBS))
def test_what_is_not_to_be_imported_is_there(name: str) -> None:
    """A module that moved would be missed by nobody."""
    assert importlib.util.find_spec(name) is not None


def test_shapes_are_built_for_what_is_written_alone(tmp_path: Path) -> None:
    """A validator takes a millisecond: the thirty shapes of files that hold little are not all built."""
    code = (
        "from aiops.spec.load.load import load\n"
        "from aiops.spec.shapes.shape import Shape\n"
        "load({'aiops.yaml': b'gateway: {port: 4000}', 'providers.yaml': b'providers: {}'}, {})\n"
        "def below(kind): return {each for sub in kind.__subclasses__() for each in (sub, *below(sub))}\n"
        "print(*sorted(each.__name__ for each in below(Shape) if each.__pydantic_complete__))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.split() == ["Settings"]
