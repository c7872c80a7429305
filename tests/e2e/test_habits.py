"""What hands expect of a command line, on a gateway that runs: names that complete, lists, a question."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from aiops.demo.child import DemoProvider
from tests.kit.gateway import Gateway
from tests.kit.warm.product import AIOPS

PROGRAM = [sys.executable, "-m", "aiops"]


# --- completion -----------------------------------------------------------------------------------------------------


def completed(shell: str, *words: str, home: Path | None) -> list[str]:
    """What a shell is told that may stand in the last of ``words``."""
    line = ["aiops", *(["--home", str(home)] if home else []), *words]
    asked = {
        "bash": {"COMP_WORDS": " ".join(line), "COMP_CWORD": str(len(line) - 1)},
        "zsh": {"COMP_WORDS": " ".join(line), "COMP_CWORD": str(len(line) - 1)},
        "fish": {"COMP_WORDS": " ".join(line[:-1]), "COMP_CWORD": line[-1]},
    }[shell]
    clean = {name: value for name, value in os.environ.items() if name != "AIOPS_HOME"}
    done = subprocess.run(
        PROGRAM,
        env={**clean, "_AIOPS_COMPLETE": f"{shell}_complete", **asked},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines() if done.stdout.strip() else []  # click ends an empty list with a line
    if shell == "zsh":  # three lines for each: type, value, help
        return lines[1::3]
    return [line.partition(",")[2].partition("\t")[0] for line in lines]


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_names_complete_in_every_shell(gateway: Gateway, shell: str) -> None:
    assert completed(shell, "disable", "", home=gateway.home) == ["one"]


@pytest.mark.parametrize(
    ("words", "wanted"),
    [
        (["remove-provider", "o"], ["one"]),
        (["remove-provider", "x"], []),
        (["provider", "status", ""], ["one"]),
        (["switch", "one", ""], ["one"]),
        (["route", "explain", ""], ["alpha", "beta"]),
        (["route", "explain", "al"], ["alpha"]),
        (["remove-model", "one", "b"], ["beta"]),
        (["rollback", ""], ["2", "1"]),
        (["show", "1"], ["1"]),
        (["diff", "1", ""], ["2", "1"]),
        (["list", "m"], ["models"]),
        (["help", "rout"], ["route"]),
        (["help", "route", "ex"], ["explain"]),
        (["statu"], ["status"]),
    ],
    ids=lambda words: " ".join(words),
)
def test_what_may_come_next(running: Gateway, words: list[str], wanted: list[str]) -> None:
    assert completed("bash", *words, home=running.home) == wanted


def test_the_home_may_stand_behind_the_verb(running: Gateway) -> None:
    assert completed("bash", "disable", "--home", str(running.home), "", home=None) == ["one"]


@pytest.mark.parametrize(
    "words", [["disable", ""], ["route", "explain", ""], ["rollback", ""], ["remove-model", "x", ""]]
)
def test_without_an_instance_nothing_completes_and_nothing_fails(words: list[str], tmp_path: Path) -> None:
    assert completed("bash", *words, home=tmp_path) == []


def test_before_the_first_generation_providers_come_from_the_files(empty: Gateway) -> None:
    path = empty.source("providers.yaml")
    kept = path.read_bytes()
    try:
        path.write_text("providers:\n  lab: {type: vllm, base_url: 'http://127.0.0.1:1', models: [m]}\n")
        assert completed("bash", "disable", "", home=empty.home) == ["lab"]
        assert completed("bash", "remove-model", "lab", "", home=empty.home) == ["m"]
        path.write_text("providers: [")
        assert completed("bash", "disable", "", home=empty.home) == []
    finally:
        path.write_bytes(kept)


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_shell_takes_the_script_and_completes_with_it(running: Gateway, shell: str) -> None:
    """Bash for real; the others where they are installed, which is where anybody would use them."""
    script = subprocess.run([*PROGRAM, "completion", shell], capture_output=True, text=True, timeout=30, check=True)
    assert script.stderr == ""
    assert "_AIOPS_COMPLETE" in script.stdout
    if shell == "bash":
        asks = 'COMP_WORDS=(aiops disable "") COMP_CWORD=2; _aiops_completion aiops; echo "${COMPREPLY[@]}"'
        env = {**os.environ, "PATH": f"{AIOPS.parent}:{os.environ['PATH']}", "AIOPS_HOME": str(running.home)}
        done = subprocess.run(
            ["bash", "--norc", "-c", f"{script.stdout}\n{asks}"],
            env=env, capture_output=True, text=True, timeout=30, check=False,
        )  # fmt: skip
        assert done.stdout.split() == ["one"], done.stderr
    elif program := shutil.which(shell):
        read = subprocess.run(
            [program, "-n"], input=script.stdout, capture_output=True, text=True, timeout=30, check=False
        )
        assert read.returncode == 0, read.stderr


# --- list -----------------------------------------------------------------------------------------------------------


def test_the_columns_of_a_list_are_aligned(running: Gateway) -> None:
    head, *rows = running.say("list", "models").out.splitlines()
    assert head.split() == ["NAME", "MODE", "ANSWERED", "BY", "FALLBACKS"]
    at = head.index("ANSWERED")
    assert [row[at:].split()[0] for row in rows] == ["one/alpha", "one/beta"]
    assert [row.split()[0] for row in rows] == ["alpha", "beta"]


def test_a_list_without_a_kind_has_all_of_them(running: Gateway, one: DemoProvider) -> None:
    data = running.must("list")
    assert list(data) == ["providers", "models", "generations"]
    assert data["providers"] == [
        {"name": "one", "type": "openai_compatible", "status": "active", "models": 2, "address": one.url}
    ]
    assert [row["number"] for row in data["generations"] if row["serves"]] == [running.generation]
    blocks = running.say("list").out.split("\n\n")
    assert [block.splitlines()[0].split()[:2] for block in blocks] == [
        ["NAME", "TYPE"], ["NAME", "MODE"], ["SERVES", "NUMBER"],
    ]  # fmt: skip


def test_one_kind_alone_is_printed_alone(running: Gateway) -> None:
    assert list(running.must("list", "generations")) == ["generations"]


def test_a_list_before_the_first_generation_is_what_the_files_say(empty: Gateway) -> None:
    assert empty.must("list") == {"providers": [], "models": [], "generations": []}
    assert empty.say("list").out.split("\n\n") == ["no providers\n".strip(), "no models", "no generations\n"]


def test_a_list_says_when_the_files_are_something_else(gateway: Gateway) -> None:
    gateway.edit("providers.yaml", "beta", "gamma")
    try:
        shown = gateway.say("list", "models")
    finally:
        gateway.edit("providers.yaml", "gamma", "beta")
    assert "gamma" not in shown.out
    assert "note: providers.yaml edited since generation" in shown.err


def test_version_says_what_the_gateway_runs(running: Gateway) -> None:
    found = running.must("version")
    assert found["gateway"] == {"aiops": found["aiops"], "litellm": found["litellm"]}
    assert json.loads(json.dumps(found)) == found
