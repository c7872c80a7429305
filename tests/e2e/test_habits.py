"""What hands expect of a command line, on a gateway that runs: names that complete, lists, a question."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import signal
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


@pytest.mark.parametrize(
    ("line", "wanted"),
    [
        ("aiops remove-model lab ", ["gemma", "llama3.2:1b", "llama3.2:3b"]),
        ("aiops remove-model lab lla", ["llama3.2:1b", "llama3.2:3b"]),
        ("aiops remove-model lab llama3.2:", ["1b", "3b"]),
        ("aiops remove-model lab llama3.2:3", ["3b"]),
        ("aiops remove-model lab x:", []),
    ],
)
def test_bash_completes_names_with_a_colon(empty: Gateway, line: str, wanted: list[str]) -> None:
    """It replaces what is behind the last colon, so what is before it must not come again."""
    path = empty.source("providers.yaml")
    kept = path.read_bytes()
    models = "[gemma, 'llama3.2:1b', 'llama3.2:3b']"
    script = subprocess.run([*PROGRAM, "completion", "bash"], capture_output=True, text=True, timeout=30, check=True)
    asks = (
        f"COMP_LINE='{line}' COMP_POINT={len(line)} COMP_WORDBREAKS=' :'\n"
        '_aiops_completion_of_line aiops; echo "${COMPREPLY[@]}"; complete -p aiops'
    )
    env = {**os.environ, "PATH": f"{AIOPS.parent}:{os.environ['PATH']}", "AIOPS_HOME": str(empty.home)}
    try:
        path.write_text(f"providers:\n  lab: {{type: ollama, base_url: 'http://127.0.0.1:1', models: {models}}}\n")
        done = subprocess.run(
            ["bash", "--norc", "-c", f"{script.stdout}\n{asks}"],
            env=env, capture_output=True, text=True, timeout=30, check=False,
        )  # fmt: skip
    finally:
        path.write_bytes(kept)
    names, registered = done.stdout.splitlines()
    assert names.split() == wanted, done.stderr
    assert registered.endswith("_aiops_completion_of_line aiops")


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


# --- ask ------------------------------------------------------------------------------------------------------------


def test_an_answer_comes_on_stdout_and_who_gave_it_on_stderr(gateway: Gateway) -> None:
    said = gateway.say("ask", "alpha", "how", "are", "you")
    assert said.code == 0
    assert said.out.strip()
    assert re.fullmatch(
        rf"one answered \(generation {gateway.generation}\): \d+\.\d\d s to the first token, "
        r"\d+\.\d tokens/s, 8 tokens\n",
        said.err,
    )


def test_a_question_goes_through_the_public_port_like_any_other(gateway: Gateway, one: DemoProvider) -> None:
    one.forget_requests()
    data = gateway.must("ask", "beta", "what is up?", "--max-tokens", 5)
    (asked,) = [each["body"] for each in one.requests() if each["path"].endswith("/chat/completions")]
    assert asked["messages"] == [{"role": "user", "content": "what is up?"}]
    assert (asked["model"], asked["max_tokens"], asked["stream"]) == ("beta", 5, True)
    assert (data["model"], data["provider"], data["generation"]) == ("beta", "one", gateway.generation)
    assert data["tokens"] == 5
    assert data["counted"] is True
    assert 0 < data["first"] <= data["seconds"]
    assert data["answer"]


def test_an_answer_is_printed_as_it_comes(gateway: Gateway, one: DemoProvider) -> None:
    one.control(tokens=50, chunk_delay=0.2)
    asking = subprocess.Popen(
        gateway.argv("ask", "alpha", "hello"), env=gateway.env, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert asking.stdout is not None
    assert asking.stdout.read1(10)  # type: ignore[attr-defined]
    assert asking.poll() is None, "it came only when all of it was there"
    asking.send_signal(signal.SIGINT)
    out, err = asking.communicate(timeout=20)
    assert asking.returncode == 130
    assert out.endswith(b"\n")
    assert err.strip() == b"error: interrupted"


def test_a_dash_reads_the_question_from_stdin(gateway: Gateway, one: DemoProvider) -> None:
    one.forget_requests()
    done = subprocess.run(
        gateway.argv("ask", "alpha", "-"),
        env=gateway.env, input="line one\nline two\n", capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    (asked,) = [each["body"] for each in one.requests() if each["path"].endswith("/chat/completions")]
    assert asked["messages"][0]["content"] == "line one\nline two"


def test_an_unknown_model_is_answered_with_the_nearest(gateway: Gateway) -> None:
    refused = gateway.cli("ask", "alpah", "hello")
    assert (refused.code, refused.message, refused.hint) == (2, "no model answers to `alpah`", "did you mean `alpha`?")
    assert gateway.cli("ask", "xyz", "hello").hint == "there are: alpha, beta"


def test_a_provider_that_fails_is_no_success(gateway: Gateway, one: DemoProvider) -> None:
    one.control(mode="500")
    refused = gateway.cli("ask", "alpha", "hello")
    assert refused.code == 7
    assert refused.message.startswith("`alpha` did not answer: HTTP 5")
    assert "route explain alpha" in refused.hint
    assert gateway.key not in refused.out + refused.err


def test_an_answer_that_breaks_off_is_no_success(gateway: Gateway, one: DemoProvider) -> None:
    one.control(mode="drop_mid_stream", tokens=20, chunk_delay=0.1)
    refused = gateway.say("ask", "alpha", "hello")
    assert refused.code == 7
    assert "broke off" in refused.err


@pytest.mark.parametrize("text", ["", "  ", "-"])
def test_an_empty_question_is_not_asked(gateway: Gateway, text: str) -> None:
    refused = gateway.cli("ask", "alpha", text)
    assert (refused.code, refused.message) == (2, "the question is empty")


def test_a_model_that_does_not_talk_is_not_asked(gateway: Gateway, one: DemoProvider) -> None:
    gateway.edit("providers.yaml", "- beta", "- {name: beta, mode: embedding}")
    gateway.must("apply")
    one.forget_requests()
    refused = gateway.cli("ask", "beta", "hello")
    assert (refused.code, refused.message) == (2, "`beta` is no model to talk to: its mode is embedding")
    assert one.requests() == []


def test_without_a_gateway_there_is_nobody_to_ask(empty: Gateway) -> None:
    refused = empty.cli("ask", "alpha", "hello")
    assert (refused.code, refused.message) == (4, "the gateway is not running")
    assert refused.hint == f"`aiops --home {empty.home} up` starts it"


def test_a_model_that_answers_a_web_page_is_no_success(gateway: Gateway, one: DemoProvider) -> None:
    one.control(mode="html", paths=["/v1/chat"])
    try:
        refused = gateway.cli("ask", "alpha", "hello")
    finally:
        one.control(mode="ok", paths=[])
    why = "HTTP 500: the provider `one` answered with what is no JSON"
    assert (refused.code, refused.message) == (7, f"`alpha` did not answer: {why}")


def test_a_name_whose_provider_is_disabled_is_answered_with_the_way_back(gateway: Gateway) -> None:
    gateway.must("disable", "one", "--force")
    refused = gateway.cli("ask", "alpha", "hello")
    assert (refused.code, refused.message.startswith("nobody answers `alpha`: `one` is disabled")) == (4, True)
    assert refused.hint == f"`aiops --home {gateway.home} enable one` brings it back"
    gateway.must("enable", "one")


# --- a shell that is not as usual -------------------------------------------------------------------------------------


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_closed_streams_are_no_bug(gateway: Gateway, closed: str) -> None:
    line = shlex.join(gateway.argv("remove-provider", "not-there", "--yes"))
    done = subprocess.run(["bash", "-c", f"{line} {closed}"], env=gateway.env, capture_output=True, check=False)
    assert done.returncode == 2, done


def test_bytes_that_are_no_text_are_refused_before_anything_begins(gateway: Gateway) -> None:
    before = gateway.snapshot()
    argv = [*gateway.argv("remove-provider", "one", "--force", "--yes", "--reason"), b"a\xff"]
    done = subprocess.run(argv, env=gateway.env, capture_output=True, check=False)
    assert (done.returncode, b"is not UTF-8 text" in done.stderr) == (2, True), done
    asked = subprocess.run(
        gateway.argv("ask", "alpha", "-"), env=gateway.env, input=b"\xff", capture_output=True, check=False
    )
    assert (asked.returncode, b"the question is not UTF-8 text" in asked.stderr) == (2, True), asked
    assert gateway.snapshot() == before


def test_an_empty_home_is_not_where_somebody_happens_to_be(tmp_path: Path) -> None:
    done = subprocess.run([AIOPS, "--home", "", "-y", "init"], cwd=tmp_path, capture_output=True, check=False)
    assert (done.returncode, list(tmp_path.iterdir())) == (2, [])


@pytest.mark.parametrize("words", [("status", "-w", "--interval"), ("down", "--drain"), ("uninstall", "--drain")])
@pytest.mark.parametrize("number", ["nan", "inf"])
def test_a_time_is_a_number_of_seconds(gateway: Gateway, words: tuple[str, ...], number: str) -> None:
    refused = gateway.cli(*words, number)
    assert refused.code == 2
    assert "nan" in refused.message or "inf" in refused.message


def test_a_hint_is_for_the_instance_that_the_line_was_about(gateway: Gateway, one: DemoProvider) -> None:
    """Wherever it was written: `aiops` alone would be another one."""
    gateway.edit("providers.yaml", f"base_url: {one.url}", f"bass_url: {one.url}")
    assert f"run `aiops --home {gateway.home} validate`" in gateway.cli("apply").hint
    variables = {**gateway.env, "AIOPS_HOME": str(gateway.home)}
    there = subprocess.run([AIOPS, "--json", "apply"], env=variables, capture_output=True, check=False)
    assert "run `aiops validate`" in json.loads(there.stdout)["error"]["hint"]
    gateway.edit("providers.yaml", "bass_url", "base_url")


def test_a_wrong_type_is_said_before_missing_models(gateway: Gateway) -> None:
    refused = gateway.cli("add-provider", "new", "--type", "olama")
    assert (refused.code, refused.message, refused.hint) == (
        2,
        "unknown provider type `olama`",
        "did you mean `ollama`?",
    )
    assert gateway.cli("add-provider", "new", "--type", "ollama").message == "which models does it serve?"
