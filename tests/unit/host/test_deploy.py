"""Convergence on this machine, with pyinfra's real operations, as far as no service manager is needed."""

from __future__ import annotations

import ast
import socket
from pathlib import Path

import pytest

from aiops.errors import Precondition
from aiops.host import deploy, unit_hook
from aiops.host.deploy import Wanted, converge


@pytest.fixture
def wanted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Wanted:
    # daemon-reload is systemd's to do; here it is noted.
    bin_directory = tmp_path / "bin"
    bin_directory.mkdir()
    (bin_directory / "systemctl").write_text(f'#!/bin/sh\necho "$@" >>{tmp_path}/asked\n')
    (bin_directory / "systemctl").chmod(0o755)
    monkeypatch.setenv("PATH", f"{bin_directory}:/usr/bin:/bin")
    return Wanted(
        scope="user",
        unit_directory=str(tmp_path / "units"),
        units={"a.service": b"[Service]\nExecStart=/bin/true\n"},
        directories={str(tmp_path / "state"): "700"},
    )


def test_the_first_run_makes_everything_and_the_second_changes_nothing_and_says_why(
    wanted: Wanted, tmp_path: Path
) -> None:
    first = {step.name: step for step in converge(wanted)}
    assert all(step.changed and step.ok for step in first.values()), first
    assert (tmp_path / "units/a.service").read_bytes() == wanted.units["a.service"]
    assert (tmp_path / "state").stat().st_mode & 0o777 == 0o700
    assert (tmp_path / "asked").read_text().splitlines()[-1] == "--user daemon-reload"
    second = converge(wanted)
    assert [str(step).partition(":")[0] for step in second] == ["as it was"] * len(first)
    assert all(step.why for step in second)
    assert (tmp_path / "asked").read_text().count("daemon-reload\n") == 1


def test_only_what_differs_is_written_again(wanted: Wanted, tmp_path: Path) -> None:
    converge(wanted)
    (tmp_path / "units/a.service").write_text("edited")
    changed = [step.name for step in converge(wanted) if step.changed]
    assert changed == ["a.service", "daemon-reload"]


def test_a_step_that_fails_is_the_last_and_says_why(wanted: Wanted, tmp_path: Path) -> None:
    (tmp_path / "bin/systemctl").write_text("#!/bin/sh\n[ $2 = show ] || { echo no bus >&2; exit 1; }\n")
    last = converge(wanted)[-1]
    assert (last.name, last.ok, last.why) == ("daemon-reload", False, "no bus")


def test_what_is_in_the_way_is_named(wanted: Wanted, tmp_path: Path) -> None:
    (tmp_path / "units").write_text("a file where the directory should be")
    with pytest.raises(Precondition, match="units exists and is not a directory"):
        converge(wanted)


def test_links_are_left_to_whoever_made_them(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    assert deploy.directories({str(tmp_path / "link"): "700", str(tmp_path / "real"): "700"}) == {
        str(tmp_path / "real"): "700"
    }


@pytest.mark.parametrize(
    ("restarting", "result", "nothing"),
    [
        (False, "success", True),
        (False, "timeout", True),
        (True, "success", False),
        (True, "timeout", False),
        (False, "signal", False),
        (False, "watchdog", False),
        (False, "core-dump", False),
    ],
)
def test_workers_stay_for_the_next_master_and_only_then(restarting: bool, result: str, nothing: bool) -> None:
    assert unit_hook.leaves_nothing(restarting, result) is nothing


def test_a_host_that_cannot_be_reached_is_said_with_the_reason_and_nothing_else(
    wanted: Wanted, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    config = tmp_path / "ssh_config"
    config.write_text(f"Host there\n  HostName 127.0.0.1\n  Port {port}\n")
    with pytest.raises(Precondition, match=rf"^there cannot be brought to the wanted state: .*{port}"):
        converge(wanted, "there", str(config))
    assert capfd.readouterr().err == ""


def test_of_pyinfra_only_what_is_public_is_used() -> None:
    names = [node for node in ast.walk(ast.parse(Path(deploy.__file__).read_text())) if isinstance(node, ast.Attribute)]
    assert names
    assert [node.attr for node in names if node.attr.startswith("_")] == []
