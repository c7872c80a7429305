"""The ssh configuration of a lab, and the shared connections it leaves in the background."""

from __future__ import annotations

from pathlib import Path

from tests.lab.command import run

CONFIG = "ssh_config"

_OPTIONS = """
Host *
    User ops
    IdentityFile {keys}/ops
    IdentitiesOnly yes
    UserKnownHostsFile {home}/known_hosts
    GlobalKnownHostsFile /dev/null
    HostKeyAlias lab
    StrictHostKeyChecking yes
    BatchMode yes
    LogLevel ERROR
    # A connection to a host that was cut off ends after three seconds, not after TCP's quarter of an hour.
    ConnectTimeout 5
    ServerAliveInterval 1
    ServerAliveCountMax 3
    ControlMaster auto
    ControlPersist 60
    ControlPath {home}/mux-%r@%n
"""


def write_config(home: Path, keys: Path, addresses: dict[str, str]) -> None:
    """Write ``ssh_config`` and ``known_hosts`` into ``home`` for hosts by name."""
    kind, key, *_ = (keys / "host.pub").read_text().split()
    (home / "known_hosts").write_text(f"lab {kind} {key}\n")
    hosts = "".join(f"Host {name}\n    HostName {address}\n" for name, address in addresses.items())
    # The option that comes first wins in ssh_config(5): names before the rest.
    (home / CONFIG).write_text(hosts + _OPTIONS.format(home=home, keys=keys))


def close(home: Path, who: str = "*") -> None:
    """End the shared connections of ``USER@HOST`` (a pattern): they outlive the commands that opened them."""
    for mux in home.glob(f"mux-{who}"):
        run(["ssh", "-o", f"ControlPath={mux}", "-O", "exit", "lab"], check=False, timeout=10)
        mux.unlink(missing_ok=True)
