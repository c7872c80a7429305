"""`--home`, `--json`, `-o`, `--yes` and `--debug` mean the same before a verb and after it, for every verb there is."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from aiops import cli
from aiops.commands import _everywhere as everywhere
from aiops.commands._lazy import LazyGroup
from aiops.context import Context
from aiops.errors import AiopsError

MAKE_SOMETHING = {"init"}


def commands(group: click.Group, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Every verb, the groups of them and their verbs: what people type."""
    for name in group.list_commands(click.Context(group)):
        yield (*path, name)
        command = get(group, name)
        if isinstance(command, click.Group):
            yield from commands(command, (*path, name))


def get(group: click.Group, name: str) -> click.Command:
    command = group.get_command(click.Context(group), name)
    assert command is not None
    return command


def verb(path: tuple[str, ...]) -> click.Command:
    command: click.Command = cli.group
    for name in path:
        assert isinstance(command, click.Group)
        command = get(command, name)
    return command


def filled(command: click.Command) -> list[str]:
    """What has to be said, as a value of its type."""
    words = []
    for each in command.params:
        if each.required:
            value = each.type.choices[0] if isinstance(each.type, click.Choice) else "1"
            words += [value] if isinstance(each, click.Argument) else [each.opts[0], value]
    return words


VERBS = list(commands(cli.group))
LEAVES = [path for path in VERBS if not isinstance(verb(path), click.Group)]
every_verb = pytest.mark.parametrize("path", VERBS, ids=" ".join)
every_leaf = pytest.mark.parametrize("path", LEAVES, ids=" ".join)


def test_there_are_verbs_to_walk_over() -> None:
    assert len(VERBS) > 30
    assert ("provider", "status") in LEAVES


@every_verb
def test_a_verb_takes_each_of_them_once(path: tuple[str, ...]) -> None:
    words = [word for each in verb(path).params for word in (*each.opts, *each.secondary_opts)]
    assert len(words) == len(set(words))
    assert {"--home", "--json", "-o", "-y", "--yes", "--debug"} <= set(words)


@every_verb
def test_the_help_of_a_verb_spends_one_line_on_them(path: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run([*path, "--help"]) == 0
    shown = capsys.readouterr().out
    assert [line.strip() for line in shown.splitlines()].count(everywhere.IN_HELP) == 1
    rows = [line.split()[0].rstrip(",") for line in shown.splitlines() if line.startswith("  -")]
    assert not {"--home", "--json", "-o", "-y", "--yes", "--debug"} & set(rows)


@every_leaf
def test_after_the_verb_they_mean_what_they_mean_before_it(
    path: tuple[str, ...], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    home, rest = str(tmp_path / "nothing"), [*path, *filled(verb(path))]
    if path[0] in MAKE_SOMETHING:
        cli.run(["--home", home, *rest])
        capsys.readouterr()
    said = []
    for line in (
        ["--home", home, "--json", "--yes", *rest],
        [*rest, "--home", home, "--json", "-y"],
        ["--home", f"{home}-else", "-o", "text", *rest, "-y", f"--home={home}", "-ojson"],
    ):
        code = cli.run(line)
        printed = capsys.readouterr()
        assert printed.err == ""
        data = json.loads(printed.out)
        data.pop("seconds", None)
        said.append((code, data))
    assert said[0] == said[1] == said[2]


def test_a_group_takes_them_between_its_words(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["provider", "--home", str(tmp_path), "--json", "status"]) == 4
    assert json.loads(capsys.readouterr().out)["error"]["message"] == f"there is no instance in {tmp_path}/config"


def test_an_option_of_the_same_name_cannot_be_loaded() -> None:
    for taken in (["--home"], ["-y"], ["--other", "-o"], ["--yes/--no"], ["--what", "debug"]):
        command = click.Command("clash", params=[click.Option(taken)])
        with pytest.raises(TypeError, match="`clash` may not have"):
            everywhere.add_to(command)
        assert len(command.params) == 1


def test_yes_and_debug_reach_the_verb(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    @click.command("probe")
    @click.pass_obj
    def probe(context: Context) -> None:
        raise AiopsError(f"yes {context.assume_yes}, debug {context.debug}, json {context.out.as_json}")

    monkeypatch.setattr(LazyGroup, "get_command", lambda *_: everywhere.add_to(probe))
    for line, told in (
        (["status"], "yes False, debug False, json False"),
        (["status", "-y"], "yes True, debug False, json False"),
        (["--yes", "status", "--debug"], "yes True, debug True, json False"),
        (["--json", "status", "-o", "text"], "yes False, debug False, json False"),
    ):
        cli.run(line)
        err = capsys.readouterr().err
        assert f"error: {told}" in err
        assert ("Traceback" in err) == ("debug True" in told)


@pytest.mark.parametrize(
    ("line", "as_json"),
    [
        (["show", "x", "--json"], True),
        (["show", "x", "-o", "json"], True),
        (["show", "x", "-ojson"], True),
        (["--json", "show", "x", "-o", "text"], False),
        (["-o", "text", "show", "x", "--json"], True),
        (["show", "--", "--json"], False),
        ([], False),
        (["show", "x", "-o", "yaml"], False),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_a_line_that_makes_no_sense_is_answered_in_the_form_it_asks_for(
    line: list[str], as_json: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.run(line) == 2
    printed = capsys.readouterr()
    assert printed.out.startswith("{") is as_json
    assert bool(printed.err) is not as_json
