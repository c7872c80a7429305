"""`aiops edit`: an editor on a copy, then a change like any other; what was typed is never lost."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
from pathlib import Path

import pytest

from tests.kit.gateway import Answer, Gateway
from tests.kit.waiting import until

KEPT = re.compile(r"what you typed is kept: `(aiops [^`]+ --from (\S+))` goes on with it")


def editor(directory: Path, *commands: str) -> str:
    """A program that edits with sed: what a person would do by hand, one command for each time it is called."""
    script = directory / "editor"
    times = directory / "times"
    cases = "\n".join(f'{number}) sed -i {shlex.quote(each)} "$1";;' for number, each in enumerate(commands))
    count = f"n=$(cat {times} 2>/dev/null || echo 0)\necho $((n + 1)) >{times}"
    script.write_text(f"#!/bin/sh\n{count}\ncase $n in\n{cases}\n*) exit 9;;\nesac\n")
    script.chmod(0o755)
    return str(script)


def edits(gateway: Gateway) -> list[Path]:
    """What is kept."""
    return [path for path in (gateway.home / "state" / "edits").rglob("*") if path.is_file()]


def say(gateway: Gateway, *arguments: str, editor: str) -> Answer:
    done = subprocess.run(
        gateway.argv(*arguments),
        env={**gateway.env, "EDITOR": editor, "VISUAL": ""},
        stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    return Answer(done.returncode, done.stdout, done.stderr, 0.0)


def test_what_was_typed_is_live(gateway: Gateway, tmp_path: Path) -> None:
    before = gateway.generation
    program = editor(tmp_path, "s/^exact_matches:.*/exact_matches: {quick: {provider: one, backend_model: alpha}}/")
    done = say(gateway, "edit", "model-mappings", "--reason", "a short name", editor=program)
    assert done.code == 0, done.err
    assert f"generation {before + 1} is live" in done.out
    assert "quick" in done.err, "the plan was not shown"
    assert gateway.models() == ["alpha", "beta", "quick"]
    assert edits(gateway) == []
    newest = gateway.must("history")["generations"][0]
    assert (newest["verb"], newest["reason"]) == ("edit", "a short name")


def test_a_comment_is_kept_and_restarts_nothing(gateway: Gateway, tmp_path: Path) -> None:
    before = gateway.generation
    done = say(gateway, "edit", "providers.yaml", editor=editor(tmp_path, "1i # by hand"))
    assert (done.code, gateway.generation) == (0, before)
    assert gateway.source("providers.yaml").read_text().startswith("# by hand\n")
    assert done.out.startswith("no change")


def test_nothing_typed_is_nothing_done(gateway: Gateway) -> None:
    before = gateway.snapshot()
    done = say(gateway, "edit", editor="true")
    assert (done.code, done.out) == (0, "providers.yaml is as it was; nothing was changed\n")
    assert gateway.snapshot() == before
    assert edits(gateway) == []


BAD = {
    "no YAML": (["s/^providers:/providers: [/"], 3, "providers.yaml:"),
    "an unknown key": (["s/base_url:/bass_url:/"], 3, "did you mean `base_url`"),
    "a model that is not there": (["s/alpha/omega/"], 7, "omega"),
}


@pytest.mark.parametrize("name", ["no YAML", "an unknown key", "a model that is not there"])
def test_what_is_refused_is_kept_and_can_be_gone_on_with(gateway: Gateway, tmp_path: Path, name: str) -> None:
    commands, code, why = BAD[name]
    gateway_mode = gateway.snapshot()
    refused = say(gateway, "edit", "providers", "--json", editor=editor(tmp_path, *commands))
    assert refused.code == code, refused.out
    assert why in refused.message + refused.hint
    found = KEPT.search(refused.hint)
    assert found, refused.hint
    (kept,) = edits(gateway)
    assert found[2] == str(kept)
    assert kept.stat().st_mode & 0o777 == 0o600
    before = gateway.snapshot()
    assert {path: digest for path, digest in before.items() if not path.startswith("state/gen")} == {
        path: digest for path, digest in gateway_mode.items() if not path.startswith("state/gen")
    }
    # The hint is a command that works: what is typed now is right, and nothing is left.
    mend = {"no YAML": "s/: \\[/:/", "an unknown key": "s/bass_url:/base_url:/"}.get(name, "s/omega/alpha/")
    (tmp_path / "times").unlink()
    program = editor(tmp_path, mend)
    words = shlex.split(found[1])
    assert words[:3] == ["aiops", "--home", str(gateway.home)]
    done = say(gateway, *words[3:], editor=program)
    assert done.code == 0, done.err
    assert edits(gateway) == []


def test_ctrl_c_in_the_editor_is_ctrl_c(gateway: Gateway, tmp_path: Path) -> None:
    script = tmp_path / "interrupted"
    script.write_text('#!/bin/sh\necho "# typed" >>"$1"\nkill -INT $$\n')
    script.chmod(0o755)
    ended = say(gateway, "edit", "--json", editor=str(script))
    assert (ended.code, ended.message) == (130, f"{script} was interrupted")
    assert "nothing was changed; what you typed is kept" in ended.hint
    (kept,) = edits(gateway)
    kept.unlink()


def test_what_an_editor_left_that_failed_is_kept_and_not_looked_at(gateway: Gateway, tmp_path: Path) -> None:
    script = tmp_path / "crashes"
    script.write_text('#!/bin/sh\necho "# typed" >>"$1"\nexit 3\n')
    script.chmod(0o755)
    refused = say(gateway, "edit", "--json", editor=str(script))
    assert refused.code == 4
    assert "ended with exit code 3" in refused.message
    (kept,) = edits(gateway)
    assert str(kept) in refused.hint
    assert kept.read_text().endswith("# typed\n")
    kept.unlink()


def test_what_somebody_else_changed_meanwhile_is_not_overwritten(gateway: Gateway, tmp_path: Path) -> None:
    file = gateway.source("providers.yaml")
    before = file.read_bytes()
    script = tmp_path / "meanwhile"
    script.write_text(f'#!/bin/sh\necho "# mine" >>"$1"\necho "# theirs" >>{file}\n')
    script.chmod(0o755)
    try:
        refused = say(gateway, "edit", "--json", editor=str(script))
        assert file.read_bytes() == before + b"# theirs\n"
    finally:
        file.write_bytes(before)
    assert (refused.code, refused.message) == (4, "providers.yaml was changed by somebody else while you edited it")
    (kept,) = edits(gateway)
    assert kept.read_bytes() == before + b"# mine\n"
    kept.unlink()


def test_a_dry_run_shows_the_plan_changes_nothing_and_keeps_what_was_typed(gateway: Gateway, tmp_path: Path) -> None:
    before = gateway.snapshot()
    done = say(gateway, "edit", "--dry-run", editor=editor(tmp_path, "s/- beta/- gamma/"))
    assert done.code == 0
    assert "gamma" in done.err
    assert KEPT.search(done.err)
    assert gateway.snapshot() == before
    (kept,) = edits(gateway)
    kept.unlink()


@pytest.mark.parametrize(
    ("arguments", "env", "code", "message"),
    [
        (["edit", "provider"], "true", 2, "there is no source `provider`"),
        (["edit"], "/nowhere/vi", 4, "there is no program /nowhere/vi"),
        (["edit"], "vi 'x", 4, "$EDITOR is no command: No closing quotation"),
        (["edit", "--from", "/nowhere/x.yaml"], "true", 4, "cannot read /nowhere/x.yaml: No such file or directory"),
    ],
)
def test_what_cannot_be_edited_is_said_and_leaves_nothing(
    gateway: Gateway, arguments: list[str], env: str, code: int, message: str
) -> None:
    refused = say(gateway, "--json", *arguments, editor=env)
    assert (refused.code, refused.message) == (code, message)
    assert edits(gateway) == []


def test_before_the_first_generation_the_file_is_written_when_it_is_right(empty: Gateway, tmp_path: Path) -> None:
    file = empty.source("providers.yaml")
    before = file.read_bytes()
    program = editor(tmp_path, "s/^providers:/providers: [/", "1i # mine")
    refused = say(empty, "edit", "--json", editor=program)
    assert (refused.code, file.read_bytes()) == (3, before)
    done = say(empty, "edit", editor=program)
    assert (done.code, done.out) == (0, f"{file} is written; `aiops --home {empty.home} up` makes it live\n")
    assert file.read_bytes() == b"# mine\n" + before
    file.write_bytes(before)


# --- at a terminal --------------------------------------------------------------------------------------------------


class Terminal:
    """A person at a terminal: what is said can be waited for and answered."""

    def __init__(self, argv: list[str], env: dict[str, str]) -> None:
        self._here, there = os.openpty()
        self.said = ""
        self._child = subprocess.Popen(
            argv, env=env, stdin=there, stdout=there, stderr=there, start_new_session=True, close_fds=True
        )
        os.close(there)
        os.set_blocking(self._here, False)

    def answer(self, question: str, text: str) -> None:
        until(lambda: question in self._read(), 30, f"being asked {question!r}")
        self.said = self.said.partition(question)[2]
        os.write(self._here, f"{text}\n".encode())

    def end(self) -> int:
        until(lambda: self._read() is not None and self._child.poll() is not None, 30, "the end")
        code = self._child.wait()
        self._read()
        os.close(self._here)
        return code

    def _read(self) -> str:
        try:
            while piece := os.read(self._here, 65536):
                self.said += piece.decode()
        except OSError:  # nothing there now, or the other end is closed
            pass
        return self.said


def test_at_a_terminal_a_mistake_can_be_mended_at_once(gateway: Gateway, tmp_path: Path) -> None:
    program = editor(tmp_path, "s/base_url:/bass_url:/", "s/bass_url:/base_url:/; s/- beta/- {name: beta, size: 7B}/")
    terminal = Terminal(gateway.argv("edit"), {**gateway.env, "EDITOR": program})
    terminal.answer("Edit again? [y/N] ", "y")
    terminal.answer("Do this? [y/N] ", "y")
    assert terminal.end() == 0, terminal.said
    assert "size: 7B" in gateway.source("providers.yaml").read_text()
    assert edits(gateway) == []


def test_at_a_terminal_no_is_an_answer(gateway: Gateway, tmp_path: Path) -> None:
    before = gateway.snapshot()
    program = editor(tmp_path, "s/- beta/- {name: beta, size: 7B}/")
    terminal = Terminal(gateway.argv("edit"), {**gateway.env, "EDITOR": program})
    terminal.answer("Do this? [y/N] ", "n")
    terminal.answer("Edit again? [y/N] ", "")
    assert terminal.end() == 4
    assert KEPT.search(terminal.said.replace("\r\n", "\n"))
    assert gateway.snapshot() == before
    (kept,) = edits(gateway)
    kept.unlink()
