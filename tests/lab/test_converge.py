"""One deploy for this machine and for others over SSH: pyinfra against a real host from here."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import pytest

from aiops.errors import Precondition
from aiops.host.deploy import Wanted, converge
from tests.lab.host import Host

UNITS = "/home/ops/.config/systemd/user"


@pytest.fixture
def ssh_config(own_host: Host, tmp_path: Path) -> str:
    """The lab's, with the host's key under its address: paramiko knows no HostKeyAlias."""
    _, kind, key = (own_host.home.parent / "known_hosts").read_text().split()
    (tmp_path / "known_hosts").write_text(f"{own_host.address} {kind} {key}\n")
    text = own_host.ssh_config.read_text()
    made = tmp_path / "ssh_config"
    made.write_text(text.replace(f"{own_host.home.parent}/known_hosts", f"{tmp_path}/known_hosts"))
    return str(made)


def wanted(exec_start: str = "sleep infinity", more: str = "") -> Wanted:
    """``environment``: this machine's, which must not reach the other one."""
    unit = f"[Service]\n{more}ExecStart={exec_start}\n[Install]\nWantedBy=default.target\n"
    return Wanted(
        scope="user",
        unit_directory=UNITS,
        units={"a.service": unit.encode()},
        directories={"/home/ops/state": "700"},
        private={"/home/ops/state/a.env": b"A=1\n"},
        linger="ops",
        enable=("a.service",),
        start=("a.service",),
        environment={"XDG_RUNTIME_DIR": "/run/user/0", "HOME": "/root"},
    )


def test_a_host_is_converged_over_ssh_and_the_second_run_changes_nothing_and_says_why(
    own_host: Host, ssh_config: str
) -> None:
    first = {step.name: step for step in converge(wanted(), own_host.name, ssh_config)}
    assert all(step.ok for step in first.values()), first
    assert [step.name for step in first.values() if not step.changed] == ["linger of ops"]
    assert own_host.run("systemctl --user is-active a; systemctl --user is-enabled a").out == "active\nenabled\n"
    assert own_host.run("stat -c '%U %a' state state/a.env").out == "ops 700\nops 600\n"
    second = converge(wanted(), own_host.name, ssh_config)
    assert [str(step).partition(":")[0] for step in second] == ["as it was"] * len(first)
    assert all(step.why for step in second)


def test_a_step_that_fails_over_ssh_is_the_last_and_says_why(own_host: Host, ssh_config: str) -> None:
    last = converge(wanted("/bin/false", "Type=oneshot\n"), own_host.name, ssh_config)[-1]
    assert (last.name, last.ok) == ("start a.service", False)
    assert "journalctl" in last.why or "Job for a.service failed" in last.why


def test_a_host_that_is_cut_off_is_said_and_not_waited_for(own_host: Host, ssh_config: str) -> None:
    own_host.cut()
    began = time.monotonic()
    with pytest.raises(Precondition, match=rf"^{own_host.name} cannot be brought to the wanted state: .*timed out"):
        converge(wanted(), own_host.name, ssh_config)
    assert time.monotonic() - began < 20


def test_a_host_that_is_cut_off_in_the_middle_is_said_and_not_waited_for(own_host: Host, ssh_config: str) -> None:
    done: list[object] = []
    slow = wanted("sleep 300", "Type=oneshot\n")
    run = threading.Thread(target=lambda: done.extend(converge(slow, own_host.name, ssh_config)), daemon=True)
    run.start()
    deadline = time.monotonic() + 30
    while (
        "activating"
        not in own_host.inside(
            "runuser -u ops -- env XDG_RUNTIME_DIR=/run/user/1000 systemctl --user is-active a", check=False
        ).out
    ):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    own_host.cut()
    run.join(60)
    assert done, "it waits for ever"
    assert str(done[-1]) == "failed: start a.service (the connection was lost)"
    assert "changed: a.service" in "".join(map(str, done))


def test_a_host_whose_key_is_not_known_is_not_trusted(own_host: Host, ssh_config: str, tmp_path: Path) -> None:
    (tmp_path / "known_hosts").write_text("")
    with pytest.raises(Precondition, match="No host key"):
        converge(wanted(), own_host.name, ssh_config)
