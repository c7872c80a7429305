"""tests/cases/import: what people have, what is made of it, and the account of every key."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from aiops.actions import takeover
from aiops.host.instance import locate
from aiops.importing.importer import Found, Imported, import_all
from aiops.importing.report import Fate
from aiops.spec.load.load import load
from aiops.spec.sources import FILES

CASES = Path(__file__).resolve().parents[2] / "cases" / "import"
ENV = {
    "GATEWAY_KEY": "sk-a-good-master-key-0815-4711",
    "B_URL": "http://127.0.0.1:8002",
    "OLLAMA_URL": "http://127.0.0.1:1",
}
SECRETS = ("hunter22", "not-a-real-key", "notarealkey", "lab-secret", "hosted-key", "never-copied")
every_case = pytest.mark.parametrize("case", sorted(CASES.iterdir()), ids=lambda case: case.name)


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.endswith(("_API_KEY", "_URL")):
            monkeypatch.delenv(name)
    for name, value in ENV.items():
        monkeypatch.setenv(name, value)


def found(case: Path, tmp_path: Path) -> Found:
    where = tmp_path / "found"
    shutil.copytree(case / "input", where)
    if (where / "dotenv").exists():
        (where / "dotenv").rename(where / ".env")
    return takeover.look(where, {})


def imported(case: Path, tmp_path: Path) -> Imported:
    return import_all(found(case, tmp_path))


@every_case
def test_this_becomes_of_it(case: Path, tmp_path: Path) -> None:
    result = imported(case, tmp_path)
    made = {f"{name}": content.decode() for name, content in result.sources.items() if name != "aiops.yaml"}
    settings = yaml.safe_load(result.sources["aiops.yaml"])
    made["gateway.yaml"] = yaml.safe_dump(settings["gateway"])
    made["report.txt"] = result.report.text()
    made["secrets.txt"] = "".join(f"{name}\n" for name in sorted(result.secrets.env))
    expected = case / "expected"
    if os.environ.get("AIOPS_UPDATE_CASES"):  # then read the difference before it is committed
        shutil.rmtree(expected, ignore_errors=True)
        expected.mkdir()
        for name, text in made.items():
            (expected / name).write_text(text)
    assert made == {path.name: path.read_text() for path in expected.iterdir()}


def keys(value: Any, path: str = "") -> Iterator[str]:
    """Every key of a file, as its dotted path, by another reader than the one under test."""
    if isinstance(value, dict):
        for name, item in value.items():
            where = f"{path}.{name}" if path else str(name)
            yield where
            yield from keys(item, where)
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from keys(item, f"{path}[{index}]")


@every_case
def test_every_key_is_accounted_for(case: Path, tmp_path: Path) -> None:
    report = imported(case, tmp_path).report
    told = {(entry.file, entry.key) for entry in report.entries}
    for path in (case / "input").glob("*.yaml"):
        for key in keys(yaml.safe_load(path.read_text())):
            # A key with others below it is accounted for by them.
            assert any(file == path.name and (k == key or k.startswith((f"{key}.", f"{key}["))) for file, k in told), (
                key
            )
    unknown = [entry for entry in report.entries if "does not know this key" in entry.why]
    assert not unknown


@every_case
def test_no_key_is_told_twice_and_each_has_a_line(case: Path, tmp_path: Path) -> None:
    entries = [entry for entry in imported(case, tmp_path).report.entries if entry.key]
    places = [(entry.file, entry.key) for entry in entries]
    assert len(places) == len(set(places))
    assert all(entry.line > 0 for entry in entries)
    assert all(entry.why for entry in entries if entry.fate in (Fate.DECISION, Fate.DROPPED, Fate.TRANSLATED))


@every_case
def test_the_files_load_or_the_report_names_what_is_left_with_file_and_line(case: Path, tmp_path: Path) -> None:
    result = imported(case, tmp_path)
    if not result.problems:
        sources = {name: content for name, content in result.sources.items() if name in FILES}
        load(sources, {**ENV, **result.secrets.env})
    for problem in result.problems:
        assert any(
            e.fate is Fate.DECISION and (e.file, e.line) == (problem.file, problem.line) for e in result.report.entries
        )


@every_case
def test_secrets_are_in_the_secrets_and_nowhere_else(case: Path, tmp_path: Path) -> None:
    result = imported(case, tmp_path)
    shown = [
        result.report.text(),
        str(result.report.to_json()),
        repr(result),
        *map(bytes.decode, result.sources.values()),
    ]
    for secret in SECRETS:
        assert not any(secret in text for text in shown), secret
    assert "never-copied" not in result.secrets.env.values()


@every_case
def test_importing_makes_the_instance_and_nothing_is_readable_by_others(case: Path, tmp_path: Path) -> None:
    instance = locate(tmp_path / "home")
    thought = takeover.plan(instance, found(case, tmp_path))
    takeover.carry_out(instance, thought)
    for path in instance.secrets.iterdir():
        assert path.stat().st_mode & 0o077 == 0
    assert instance.exists
    assert (instance.state / takeover.REPORT).exists()
