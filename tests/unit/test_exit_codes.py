"""What a failure says to a script: the exit code, and the object that ``--json`` prints."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NoReturn

import pytest

from aiops import cli
from aiops.actions.change.result import ChangeFailed, Result
from aiops.actions.provider import disable
from aiops.errors import AiopsError, Interrupted, Precondition, RollbackFailed, RolledBack, VerificationFailed
from aiops.host.instance import locate
from aiops.host.setup import make_instance

ALIASED = """\
providers:
  a: &a {type: vllm, base_url: 'http://127.0.0.1:1', models: [m]}
  b: {<<: *a, base_url: 'http://127.0.0.1:2'}
"""


@pytest.fixture
def home(tmp_path: Path) -> Path:
    make_instance(locate(tmp_path), profile=None, supervisor="process", port=4711)
    return tmp_path


def run(home: Path, capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, dict[str, Any]]:
    code = cli.run(["--home", str(home), "--json", *arguments])
    data: dict[str, Any] = json.loads(capsys.readouterr().out)
    return code, data


@pytest.mark.parametrize(
    ("error", "code", "name", "outcome"),
    [
        (Precondition("why", "what next"), 4, "precondition", "refused"),
        (RolledBack("why", "what next"), 5, "rolled_back", "rolled_back"),
        (RollbackFailed("why", "what next"), 6, "rollback_failed", "rolled_back"),
        (VerificationFailed("why", "what next"), 7, "verification", "refused"),
        (Interrupted("why", "what next"), 130, "interrupted", "refused"),
        (Interrupted("why", "what next", undone=True), 130, "interrupted", "rolled_back"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, AiopsError) else "",
)
def test_a_failed_change_says_what_its_cause_says_and_what_was_reached(
    error: AiopsError,
    code: int,
    name: str,
    outcome: str,
    home: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def fail(*_: object) -> NoReturn:
        raise ChangeFailed(error, Result(error.outcome, None, 3, error=error))

    monkeypatch.setattr(disable, "disable", fail)
    ended, data = run(home, capsys, "disable", "lab")
    assert ended == code
    assert (data["outcome"], data["previous"]) == (outcome, 3)
    assert data["error"] == {"code": name, "message": "why", "hint": "what next"}


def test_an_interrupt_is_neither_a_bug_nor_a_precondition(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupt(*_: object) -> NoReturn:
        raise KeyboardInterrupt

    monkeypatch.setattr(disable, "disable", interrupt)
    code, data = run(home, capsys, "disable", "lab")
    assert code == 130
    assert data == {"outcome": "refused", "error": {"code": "interrupted", "message": "interrupted", "hint": ""}}


def test_an_edit_that_cannot_be_made_safely_is_a_precondition(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = home / "config" / "providers.yaml"
    file.write_text(ALIASED)
    code, data = run(home, capsys, "add-model", "b", "n", "--dry-run")
    assert code == 4
    assert data["error"]["code"] == "precondition"
    assert data["error"]["hint"] == "make this change by hand"
    assert file.read_text() == ALIASED


def test_a_file_that_may_not_be_read_is_no_bug(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fails(*_: object, **__: object) -> NoReturn:
        raise PermissionError(13, "Permission denied", "/x/secrets/env")

    monkeypatch.setattr(disable, "make", fails)
    code, data = run(home, capsys, "disable", "a")
    assert (code, data["error"]["message"]) == (4, "/x/secrets/env: permission denied")
