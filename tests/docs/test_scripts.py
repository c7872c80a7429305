"""The scripts people run: the environment, the quickstart and its parts, the wrappers under older names."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from aiops.demo.child import DemoProvider
from aiops.host.process import command_line, is_alive
from tests.kit.waiting import free_port
from tests.kit.warm.product import BIN, ROOT

SCRIPTS = ROOT / "scripts"


def run(*command: str | Path, timeout: float = 120, **env: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        list(command), capture_output=True, text=True, timeout=timeout, check=False, env={**os.environ, **env}
    )


# --- the environment


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A copy of what the scripts need, without an environment."""
    for name in ("pyproject.toml", "uv.lock", "README.md"):
        shutil.copy(ROOT / name, tmp_path)
    shutil.copytree(SCRIPTS, tmp_path / "scripts")
    shutil.copytree(ROOT / "aiops", tmp_path / "aiops", ignore=shutil.ignore_patterns("__pycache__"))
    (tmp_path / "tests/unit").mkdir(parents=True)
    return tmp_path


def test_a_current_environment_is_not_made_again() -> None:
    prepare = f". {SCRIPTS}/lib/env.sh; prepare_environment"
    assert run("bash", "-c", prepare, timeout=600).returncode == 0
    ready = run("bash", "-c", prepare)
    assert (ready.returncode, ready.stderr) == (0, "")


def test_a_machine_without_a_fitting_python_is_told_what_to_install(checkout: Path, tmp_path: Path) -> None:
    tools = tmp_path / "tools"
    tools.mkdir()
    for name in ("bash", "cat", "cut", "dirname", "sed", "mkdir", "env", "git"):
        (tools / name).symlink_to(shutil.which(name) or "")
    refused = run(checkout / "scripts/test", "lint", PATH=str(tools), AIOPS_PYTHON="")
    assert refused.returncode == 4
    assert "error: no Python from 3.11 to 3.14 here" in refused.stderr
    assert "apt install python3 python3-venv" in refused.stderr


def test_a_lock_that_does_not_belong_to_the_project_is_refused(checkout: Path) -> None:
    project = checkout / "pyproject.toml"
    project.write_text(project.read_text().replace('"click>=8.3"', '"click>=8.3.9999"'))
    refused = run(checkout / "scripts/test", "lint")
    assert refused.returncode == 4
    assert "error: uv.lock does not belong to this pyproject.toml" in refused.stderr
    assert not (checkout / ".venv/.made-from").exists()


def test_a_part_that_does_not_exist_is_refused_with_the_ones_that_do() -> None:
    refused = run(SCRIPTS / "test", "unti")
    assert refused.returncode == 2
    assert "error: there is no part `unti`" in refused.stderr
    assert " unit" in refused.stderr


def test_uv_is_pinned_by_hash() -> None:
    pins = (SCRIPTS / "uv-requirements.txt").read_text()
    assert pins.count("--hash=sha256:") > 1
    assert "uv==" in pins


def test_no_compromised_release_can_be_locked() -> None:
    lock = tomllib.loads((ROOT / "uv.lock").read_text())
    versions = {package["name"]: package["version"] for package in lock["package"]}
    assert versions["litellm"] not in {"1.82.7", "1.82.8"}
    assert {"name": "litellm", "specifier": "!=1.82.7,!=1.82.8"} in lock["manifest"]["constraints"]
    assert "litellm-enterprise" not in versions or "litellm-enterprise" not in _installed()


def _installed() -> set[str]:
    listed = run(BIN / "python", "-c", "from importlib.metadata import distributions as d\nfor x in d(): print(x.name)")
    return set(listed.stdout.split())


# --- the parts of the quickstart


@pytest.fixture
def demo_directory(tmp_path: Path) -> Iterator[Path]:
    yield tmp_path / "demo"
    demo("stop", tmp_path / "demo")


def demo(action: str, directory: Path) -> subprocess.CompletedProcess[str]:
    done = run(sys.executable, SCRIPTS / "lib/demo_provider.py", action, directory)
    assert done.returncode == 0, done.stderr
    return done


def test_a_model_server_is_known_by_what_it_answers_not_by_its_port(tmp_path: Path) -> None:
    with (
        DemoProvider.llama_cpp(directory=tmp_path) as llama_cpp,
        DemoProvider.double(face="vllm", models=("a", "b")) as vllm,
        DemoProvider.double(face="ollama", models=("a",)) as ollama,
        DemoProvider.double(face="openai") as something_else,
    ):
        urls = [server.url for server in (llama_cpp, vllm, ollama, something_else)]
        ports = [url.rpartition(":")[2] for url in urls]
        found = run(sys.executable, SCRIPTS / "lib/local_providers.py", *ports, str(free_port()))
    assert found.stdout.splitlines() == [f"llama_cpp\t{urls[0]}\t1", f"vllm\t{urls[1]}\t2", f"ollama\t{urls[2]}\t1"]


def test_the_demo_provider_starts_once_and_comes_back_on_the_same_port(demo_directory: Path) -> None:
    first = demo("start", demo_directory).stdout
    pid = json.loads((demo_directory / "process.json").read_text())["pid"]
    assert demo("start", demo_directory).stdout == first
    assert json.loads((demo_directory / "process.json").read_text())["pid"] == pid
    demo("stop", demo_directory)
    assert not is_alive(pid)
    assert demo("start", demo_directory).stdout == first


def test_stopping_the_demo_never_ends_a_stranger_that_has_its_process_id(demo_directory: Path) -> None:
    demo_directory.mkdir()
    stranger = subprocess.Popen(["sleep", "60"])
    try:
        record = {"pid": stranger.pid, "started": 1, "url": "http://127.0.0.1:1"}
        (demo_directory / "process.json").write_text(json.dumps(record))
        demo("stop", demo_directory)
        assert stranger.poll() is None
    finally:
        stranger.kill()
        stranger.wait()


# --- the wrappers


@pytest.mark.parametrize(
    ("wrapper", "verb"),
    [
        ("generate-litellm-config.py", "generate"),
        ("validate-config-schema.py", "validate"),
        ("validate-unified-backend.sh", "verify"),
    ],
)
def test_a_wrapper_is_its_verb_arguments_and_exit_code_included(tmp_path: Path, wrapper: str, verb: str) -> None:
    (tmp_path / "scripts").mkdir()
    (tmp_path / ".venv/bin").mkdir(parents=True)
    shutil.copy(SCRIPTS / wrapper, tmp_path / "scripts")
    missing = run(tmp_path / "scripts" / wrapper)
    assert (missing.returncode, "scripts/quickstart" in missing.stderr) == (4, True)
    aiops = tmp_path / ".venv/bin/aiops"
    aiops.write_text('#!/bin/sh\nprintf "%s\\n" "$@"\nexit 3\n')
    aiops.chmod(0o755)
    done = run(tmp_path / "scripts" / wrapper, "--out", "a b")
    assert (done.returncode, done.stdout.splitlines()) == (3, [verb, "--out", "a b"])


# --- the first README command


@pytest.fixture
def quickstart_home(short_directory: Path) -> Iterator[Path]:
    home = short_directory / "quickstart"
    yield home
    run(SCRIPTS / "quickstart", "--home", str(home), "--down")


def test_the_quickstart_answers_runs_twice_and_leaves_nothing_behind(quickstart_home: Path) -> None:
    command = (SCRIPTS / "quickstart", "--home", str(quickstart_home), "--port", str(free_port()), "--demo")
    first = run(*command)
    assert first.returncode == 0, first.stderr
    assert "Answer: " in first.stdout
    assert "$ aiops --yes add-provider demo" in first.stderr
    assert "noise" in first.stderr
    second = run(*command)
    assert second.returncode == 0, second.stderr
    assert "it is there already" in second.stderr.lower()
    assert "add-provider" not in second.stderr
    mine = processes_of(quickstart_home)
    assert mine, "the gateway and the demo server run"
    down = run(SCRIPTS / "quickstart", "--home", str(quickstart_home), "--down")
    assert down.returncode == 0, down.stderr
    assert processes_of(quickstart_home) == {}
    again = run(SCRIPTS / "quickstart", "--home", str(quickstart_home), "--down")
    assert again.returncode == 0, again.stderr


def processes_of(home: Path) -> dict[int, str]:
    """Processes with ``home`` in their command line, and that line."""
    pids = (int(entry.name) for entry in Path("/proc").glob("[0-9]*"))
    return {pid: line for pid in pids if str(home) in (line := command_line(pid))}


def test_the_quickstart_names_the_owner_of_a_taken_port(short_directory: Path) -> None:
    with DemoProvider.double() as owner:
        home = short_directory / "taken"
        refused = run(SCRIPTS / "quickstart", "--home", str(home), "--port", owner.url.rpartition(":")[2])
    assert refused.returncode == 4
    assert f"{owner.process.pid}" in refused.stderr
    assert "--port" in refused.stderr


@pytest.mark.parametrize("arguments", [("--prot", "1"), ("--port",), ("--port", "x")])
def test_the_quickstart_refuses_what_it_does_not_know(arguments: tuple[str, ...]) -> None:
    assert run(SCRIPTS / "quickstart", *arguments).returncode == 2


def test_stopping_a_quickstart_that_never_was_is_no_error(tmp_path: Path) -> None:
    done = run(SCRIPTS / "quickstart", "--home", str(tmp_path / "nowhere"), "--down")
    assert done.returncode == 0
    assert "Nothing to stop" in done.stderr
