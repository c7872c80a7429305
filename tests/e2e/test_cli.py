"""The command line: help, exit codes, one JSON object and nothing else, and the lock."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import click
import pytest

from aiops.apply import lock
from aiops.cli import VERBS, group
from aiops.commands._lazy import LazyGroup
from tests.kit.gateway import Answer, Gateway
from tests.kit.warm.product import AIOPS, ROOT

ANSI = re.compile(r"\x1b\[")


def aiops(*arguments: str, home: Path | None = None, **env: str) -> Answer:
    began = time.monotonic()
    clean = {name: value for name, value in os.environ.items() if name != "AIOPS_HOME"}
    place = ["--home", str(home)] if home else []
    done = subprocess.run(
        [str(AIOPS), *place, *arguments],
        env={**clean, **env},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return Answer(done.returncode, done.stdout, done.stderr, time.monotonic() - began)


# --- help -----------------------------------------------------------------------------------------------------------


def test_help_all_lists_every_verb_with_its_line() -> None:
    shown = aiops("help", "--all")
    assert shown.code == 0
    words = " ".join(shown.out.split())
    for verb, line in VERBS.items():
        assert f"{verb} {line}" in words


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_has_help_of_its_own_that_begins_like_the_list(verb: str) -> None:
    command = group.get_command(click.Context(group), verb)
    assert command is not None
    assert command.name == verb
    assert command.help
    shown = aiops(verb, "--help")
    assert shown.code == 0
    assert shown.err == ""


def test_every_module_of_commands_is_a_verb() -> None:
    """Or a folder of them is a group."""
    modules = {path.stem.replace("_", "-") for path in (ROOT / "aiops/commands").glob("[!_]*")}
    assert modules == set(VERBS)


@pytest.mark.parametrize("verb", ["provider", "route"])
def test_every_module_of_a_group_is_one_of_its_verbs(verb: str) -> None:
    found = group.get_command(click.Context(group), verb)
    assert isinstance(found, LazyGroup)
    assert {path.stem for path in (ROOT / "aiops/commands" / verb).glob("[!_]*.py")} == set(found.verbs)
    for name, line in found.verbs.items():
        command = found.get_command(click.Context(found), name)
        assert command is not None
        assert command.name == name
        assert (command.help or "").startswith(line.split(",")[0].rstrip("."))


@pytest.mark.parametrize(
    ("typed", "meant"), [("stauts", "status"), ("rolback", "rollback"), ("add-provder", "add-provider")]
)
def test_a_verb_that_does_not_exist_is_answered_with_the_nearest(typed: str, meant: str) -> None:
    refused = aiops(typed)
    assert refused.code == 2
    assert f"there is no verb `{typed}`; did you mean `aiops {meant}`?" in refused.err


def test_a_verb_like_no_other_is_answered_with_where_the_list_is() -> None:
    refused = aiops("xyzzy")
    assert refused.code == 2
    assert "`aiops --help` lists the verbs" in refused.err


# --- what is refused, and how ---------------------------------------------------------------------------------------

WITHOUT_INSTANCE = [
    ["up"], ["down"], ["restart"], ["status"], ["env"], ["logs"], ["validate"], ["generate"], ["plan"], ["apply"],
    ["history"], ["show", "1"], ["diff", "1", "2"], ["verify"], ["doctor"], ["disable", "x"], ["enable", "x"],
    ["rollback", "--reason", "x"], ["remove-provider", "x"], ["add-model", "x", "y"], ["remove-model", "x", "y"],
    ["route", "direct"], ["route", "explain", "x"], ["switch", "x", "y"], ["upgrade"], ["provider", "status"],
    ["provider", "start", "x"], ["provider", "stop", "x"], ["provider", "install", "x"], ["provider", "discover", "x"],
    ["list"], ["ask", "x", "y"], ["edit"],
    ["add-provider", "x", "--type", "vllm", "--base-url", "http://127.0.0.1:1", "--model", "m"],
]  # fmt: skip


@pytest.mark.parametrize("argv", WITHOUT_INSTANCE, ids=" ".join)
def test_without_an_instance_every_verb_says_how_to_make_one(argv: list[str], tmp_path: Path) -> None:
    refused = aiops("--json", *argv, home=tmp_path / "nothing")
    assert refused.code == 4
    assert refused.message == f"there is no instance in {tmp_path}/nothing/config"
    assert refused.hint == f"`aiops --home {tmp_path}/nothing init` makes one"
    assert not (tmp_path / "nothing").exists()


def test_init_twice_changes_nothing(empty: Gateway) -> None:
    before = {path: path.read_bytes() for path in (empty.home / "config").iterdir()}
    assert empty.must("init", "--port", "1")["outcome"] == "unchanged"
    assert {path: path.read_bytes() for path in (empty.home / "config").iterdir()} == before


BAD_KEYS = {
    "sk-1234": "it has 7 characters, at least 20 are needed",
    "": "it is empty",
    "password-password-password": "it does not begin with sk-",
    f"sk-{'a' * 24}": "it repeats the same few characters",
}


@pytest.mark.parametrize("key", BAD_KEYS)
def test_a_weak_master_key_is_refused_before_anything_starts(empty: Gateway, key: str) -> None:
    path = empty.home / "secrets" / "master_key"
    kept = path.read_text()
    path.write_text(key + "\n")
    try:
        refused = empty.cli("up")
    finally:
        path.write_text(kept)
    assert refused.code == 3
    assert f"the master key is weak: {BAD_KEYS[key]}" in refused.message
    assert not key or key not in refused.out + refused.err
    assert empty.pids() == []


def test_a_master_key_that_others_can_read_is_refused(empty: Gateway) -> None:
    path = empty.home / "secrets" / "master_key"
    path.chmod(0o644)
    try:
        refused = empty.cli("up")
    finally:
        path.chmod(0o600)
    assert refused.code == 3
    assert "others can read the master key" in refused.message
    assert f"chmod 600 {path}" in refused.message


def test_a_master_key_that_is_missing_is_refused(empty: Gateway) -> None:
    path = empty.home / "secrets" / "master_key"
    kept = path.rename(path.with_suffix(".kept"))
    try:
        refused = empty.cli("up")
    finally:
        kept.rename(path)
    assert refused.code == 3
    assert "the master key cannot be read: No such file or directory" in refused.message


def test_a_source_that_is_a_symlink_loop_is_refused(empty: Gateway) -> None:
    path = empty.source("providers.yaml")
    kept = path.rename(path.with_suffix(".kept"))
    path.symlink_to(path.name)
    try:
        refused = empty.cli("validate")
    finally:
        path.unlink()
        kept.rename(path)
    assert refused.code == 3
    assert "providers.yaml: cannot be read: Too many levels of symbolic links" in refused.message


def test_a_file_of_50_megabytes_is_refused_without_reading_it(empty: Gateway) -> None:
    path = empty.source("providers.yaml")
    kept = path.read_bytes()
    with path.open("wb") as file:
        file.truncate(50 * 1024 * 1024)
    try:
        refused = empty.cli("validate")
    finally:
        path.write_bytes(kept)
    assert refused.code == 3
    assert "providers.yaml: the file has 50 MiB; more than 16 MiB is refused" in refused.message
    assert refused.seconds < 3


def test_a_change_without_a_terminal_does_not_ask(empty: Gateway) -> None:
    """There is no gateway here, so it goes as far as that: past the question."""
    refused = empty.cli(*empty.adding("one", "http://127.0.0.1:1", "m"))
    assert (refused.code, refused.message) == (4, "the gateway is not running")


# --- one JSON object and nothing else -------------------------------------------------------------------------------

OUTCOMES = {
    "success": (["validate"], 0),
    "success with words": (["history"], 0),
    "an unknown verb": (["stauts"], 2),
    "an unknown option": (["status", "--nonsense"], 2),
    "a missing argument": (["disable"], 2),
    "a value of the wrong type": (["show", "seven"], 2),
    "a usage error of ours": (["rollback"], 2),
    "an unknown provider": (["disable", "nobody"], 2),
    "an invalid change": (["add-provider", "x", "--type", "nonsense", "--model", "m"], None),
    "a precondition": (["verify"], 4),
    "not running": (["add-provider", "x", "--type", "vllm", "--base-url", "http://127.0.0.1:1", "--model", "m"], 4),
    "a provider that cannot be asked": (
        ["add-provider", "x", "--type", "vllm", "--base-url", "http://127.0.0.1:1", "--discover"], 7,
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", OUTCOMES)
def test_json_prints_exactly_one_object_and_nothing_else(empty: Gateway, name: str) -> None:
    argv, code = OUTCOMES[name]
    done = empty.cli(*argv)
    assert done.code == code if code is not None else done.code in (2, 3)
    assert isinstance(json.loads(done.out), dict)
    assert done.out.endswith("}\n")
    assert done.err == ""
    assert not ANSI.search(done.out)
    if done.code:
        assert set(done.data["error"]) == {"code", "message", "hint"}
        assert done.data["outcome"] in ("refused", "rolled_back")
        assert done.message


@pytest.mark.parametrize("name", OUTCOMES)
def test_for_people_the_result_is_on_stdout_and_errors_are_on_stderr(empty: Gateway, name: str) -> None:
    argv, _ = OUTCOMES[name]
    done = empty.say(*argv)
    if done.code:
        assert done.out == ""
        assert re.search("^(error|Error): ", done.err, re.MULTILINE)
        assert "Traceback" not in done.err
    else:
        assert done.out
    assert not ANSI.search(done.out + done.err)


def test_aiops_home_is_the_same_as_the_option(empty: Gateway) -> None:
    by_variable = aiops("--json", "history", AIOPS_HOME=str(empty.home))
    assert by_variable.data == empty.must("history")


# --- the lock -------------------------------------------------------------------------------------------------------

IMPATIENT = textwrap.dedent(
    """
    import sys
    import aiops.actions.instance.held, aiops.cli
    aiops.actions.instance.held.LOCK_PATIENCE_SECONDS = 0.3
    sys.exit(aiops.cli.run(sys.argv[1:]))
    """
)


def impatient(empty: Gateway, *arguments: str) -> subprocess.CompletedProcess[str]:
    argv = [sys.executable, "-c", IMPATIENT, "--home", str(empty.home), *arguments]
    return subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, timeout=30, check=False)


@pytest.mark.parametrize("argv", [["down"], ["apply"], ["disable", "x"]], ids=lambda argv: argv[0])
def test_a_second_verb_gives_up_after_a_while_naming_who_holds_the_lock(empty: Gateway, argv: list[str]) -> None:
    with lock.held(empty.home / "state", "rollback", 1, lambda _: None):
        refused = impatient(empty, "--json", *argv)
    assert refused.returncode == 4
    message = json.loads(refused.stdout)["error"]["message"]
    assert message.startswith("another change is going on: `aiops rollback` by ")
    assert f"(pid {os.getpid()}, since " in message


def test_a_second_verb_says_whom_it_waits_for_and_then_goes_on(empty: Gateway) -> None:
    with lock.held(empty.home / "state", "rollback", 1, lambda _: None):
        waiting = subprocess.Popen(
            empty.argv("down"), env=empty.env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        assert waiting.stderr is not None
        said = waiting.stderr.readline()
        assert said.startswith(f"waiting for `aiops rollback` by {lock.holder(empty.home / 'state').who}")  # type: ignore[union-attr]
        assert waiting.poll() is None
    out, _ = waiting.communicate(timeout=20)
    assert waiting.returncode == 0
    assert "was not running" in out


def test_reading_needs_no_lock_and_status_says_that_a_change_is_going_on(empty: Gateway) -> None:
    with lock.held(empty.home / "state", "rollback", 1, lambda _: None):
        status = empty.status
    (note,) = status["notes"]
    assert note.startswith("a change is going on: `aiops rollback` by ")
    assert empty.status["notes"] == []
