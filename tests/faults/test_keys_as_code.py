"""Killed while a change with a keys.yaml is made: database, secrets and generation agree once aiops has run again."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from aiops.actions.instance.held import held
from aiops.actions.instance.snapshot import Snapshot
from aiops.actions.instance.tenancy import drift_of_rows
from aiops.output import Output
from tests.faults.harness import Fault, Faulty

LIVE = [("commit", "after"), ("finish", "before")]
NOT_LIVE = [("sources", "after"), ("keys", "before"), ("keys", "after"), ("commit", "before")]


@pytest.fixture
def file(here: Faulty) -> Iterator[Path]:
    """A keys.yaml that serves, with one key of 60 requests a minute."""
    path = here.home / "config" / "keys.yaml"
    path.write_text("keys: {first: {rpm_limit: 60}}\n")
    here.ok("apply")
    yield path
    path.unlink()
    here.ok("apply")


@pytest.mark.parametrize(("step", "when"), NOT_LIVE + LIVE)
def test_killed_command_line_leaves_rows_and_generation_that_agree(
    here: Faulty, file: Path, step: str, when: str
) -> None:
    before, name = here.current, here.new_name()
    file.write_text(f"keys: {{first: {{rpm_limit: 120}}, {name}: {{rpm_limit: 7}}}}\n")
    ran = here.run("apply", fault=Fault("kill-cli", step, when))
    assert ran.code == -signal.SIGKILL, ran
    with held(here.instance, "apply", Output(), dry_run=False):
        pass
    live = (step, when) in LIVE
    assert (here.current != before) == live
    assert not here.journal_open
    assert drift_of_rows(Snapshot(here.instance)) == []
    listed = {row["key_alias"]: row["rpm_limit"] for row in here.must("keys", "list")["keys"]}
    assert listed["first"] == (120 if live else 60)
    assert (listed.get(name) == 7) == live
    assert (here.home / "secrets" / "keys" / name).exists() == live


def test_a_change_that_is_taken_back_at_its_end_takes_its_rows_back_at_once(here: Faulty, file: Path) -> None:
    name = here.new_name()
    file.write_text(f"keys: {{first: {{rpm_limit: 120}}, {name}: {{rpm_limit: 7}}}}\n")
    ran = here.run("apply", fault=Fault("press-ctrl-c", "keys", "after"))
    assert ran.code not in (0, -signal.SIGKILL), ran
    assert drift_of_rows(Snapshot(here.instance)) == []
    assert not (here.home / "secrets" / "keys" / name).exists()
