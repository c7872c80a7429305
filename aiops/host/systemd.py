"""Asking systemd, and telling it what to do: ``systemctl``, ``loginctl`` and ``journalctl`` of one scope.

``user`` is the manager of this very user, ``system`` the machine's own, for which aiops has to run as root.
"""

from __future__ import annotations

import getpass
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from aiops.errors import Precondition
from aiops.host import privileges, process
from aiops.host.runtime_directory import runtime_directory

Scope = Literal["user", "system"]

SECONDS = 10.0  # for a question; systemd answers within milliseconds
PROPERTIES = (
    *("Id", "LoadState", "ActiveState", "SubState", "UnitFileState", "Result", "MainPID", "NRestarts", "StatusText"),
    *("NeedDaemonReload", "FragmentPath", "DropInPaths", "ExecMainStatus", "ExecMainExitTimestamp"),
)


def scope() -> Scope:
    """Root's services are the machine's; everybody else has a manager of their own."""
    return "system" if os.getuid() == 0 else "user"


@dataclass(frozen=True)
class Unit:
    """One unit as systemd has it now. ``load``: loaded, not-found, masked, …, empty when systemd does not
    answer; ``active``: active, failed, …"""

    name: str
    load: str = ""
    active: str = "unknown"
    sub: str = "unknown"
    enabled: str = ""
    result: str = ""
    pid: int = 0
    restarts: int = 0
    needs_reload: bool = False
    status: str = ""
    path: str = ""
    drop_ins: tuple[str, ...] = ()
    exit_status: int = 0
    exited: str = ""

    @property
    def runs(self) -> bool:
        """It runs, or is about to: a start would do nothing."""
        return self.active in ("active", "activating", "reloading")


class Systemd:
    def __init__(self, scope: Scope) -> None:
        self.scope: Scope = scope
        self._flag = ["--user"] if scope == "user" else []

    @property
    def directory(self) -> Path:
        """Where an administrator's (or a user's own) units belong, systemd.unit(5)."""
        if self.scope == "system":
            return Path("/etc/systemd/system")
        base = os.environ.get("XDG_CONFIG_HOME")
        return (Path(base) if base else Path.home() / ".config") / "systemd/user"

    @property
    def variables(self) -> Path:
        """Where files of variables for units are kept that aiops installs."""
        return Path("/etc/aiops") if self.scope == "system" else self.directory.parents[1] / "aiops"

    def command(self, *arguments: str) -> str:
        """The same for a person to type."""
        return " ".join(["systemctl", *self._flag, *arguments])

    def call(self, *arguments: str, timeout: float = SECONDS) -> process.Done:
        with privileges.as_root():
            return process.run(["systemctl", *self._flag, *arguments], timeout, environment())

    def why_not(self) -> str:
        """Why this manager cannot be used to change something; empty when it can."""
        if self.scope == "system" and os.getuid() != 0:
            return "units of the whole machine are root's to change"
        return self.why_not_ask()

    def why_not_ask(self) -> str:
        """Why this manager does not answer; empty when it does."""
        done = self.call("show", "--property=Version", "--value")
        if done.ok and done.out.strip():
            return ""
        return done.reason

    def require(self) -> None:
        """Raises Precondition that says what to type."""
        why = self.why_not()
        if not why:
            return
        if self.scope == "system":
            raise Precondition(f"systemd cannot be used: {why}", "run this with sudo")
        raise Precondition(f"the user's systemd does not answer: {why}", how_to_reach())

    def units(self, *names: str) -> dict[str, Unit]:
        """All of them, by name; those that systemd does not know are ``not-found``."""
        done = self.call("show", f"--property={','.join(PROPERTIES)}", *names)
        found = {}
        for block in done.out.split("\n\n"):
            facts = dict(line.split("=", 1) for line in block.splitlines() if "=" in line)
            if "Id" in facts:
                found[facts["Id"]] = _unit(facts)
        return {name: found.get(name, Unit(name)) for name in names}

    def job(self, unit: str) -> str:
        """What is being done to a unit right now: start, stop, restart, …; empty when nothing is."""
        done = self.call("list-jobs", "--no-legend", "--plain", "--full", unit)
        fields = done.out.split()
        return fields[2] if done.ok and len(fields) >= 4 and fields[1] == unit else ""

    def journal(self, unit: str, lines: int, follow: bool) -> Iterator[str]:
        """What a unit said. Raises Precondition when the journal may not or cannot be read."""
        argv = ["journalctl", f"--{'user-' if self.scope == 'user' else ''}unit={unit}", "--no-pager", "--quiet"]
        if self.scope == "user":
            argv.insert(1, "--user")
        argv += [f"--lines={lines}", "--output=short-iso"]
        with privileges.as_root():
            check = process.run([*argv[:-2], "--lines=0"], SECONDS, environment())
        if not check.ok or "No journal files were opened" in check.err:
            raise Precondition(
                f"the journal cannot be read: {check.reason}",
                f"`sudo usermod -aG systemd-journal {getpass.getuser()}` and a new login allow it",
            )
        with privileges.as_root():
            said = process.lines([*argv, *(["--follow"] if follow else [])], environment())
        yield from said


def _unit(facts: Mapping[str, str]) -> Unit:
    return Unit(
        name=facts["Id"],
        load=facts.get("LoadState", ""),
        active=facts.get("ActiveState", ""),
        sub=facts.get("SubState", ""),
        enabled=facts.get("UnitFileState", ""),
        result=facts.get("Result", ""),
        pid=int(facts.get("MainPID") or 0),
        restarts=int(facts.get("NRestarts") or 0),
        needs_reload=facts.get("NeedDaemonReload") == "yes",
        status=facts.get("StatusText", ""),
        path=facts.get("FragmentPath", ""),
        drop_ins=tuple(facts.get("DropInPaths", "").split()),
        exit_status=int(facts.get("ExecMainStatus") or 0),
        exited=facts.get("ExecMainExitTimestamp", ""),
    )


def environment() -> dict[str, str]:
    """This process's environment, with the runtime directory that `su` and cron forget when it is there."""
    known = dict(os.environ)
    directory = runtime_directory()
    if directory is not None:
        known["XDG_RUNTIME_DIR"] = str(directory)
    return known


def essentials() -> dict[str, str]:
    """What commands need of it, wherever they are run from."""
    known = environment()
    return {name: known[name] for name in ("XDG_RUNTIME_DIR", "PATH", "HOME") if name in known}


def how_to_reach() -> str:
    """What to type so that the user's own manager runs and answers."""
    user = getpass.getuser()
    if runtime_directory() is None or not lingers():
        return f"`sudo loginctl enable-linger {user}` starts it, also after every boot; then log in again"
    return (
        f"log in by ssh or on a console instead of `su`, or `export XDG_RUNTIME_DIR=/run/user/{os.getuid()}`; "
        f"`sudo systemctl start user@{os.getuid()}` starts it"
    )


def lingers() -> bool:
    """Whether this user's services run without a login, from boot on: logind keeps a file a user."""
    try:
        return (Path("/var/lib/systemd/linger") / getpass.getuser()).exists()
    except (KeyError, OSError):
        return False


def in_session() -> bool:
    """Whether this process belongs to a login session."""
    return bool(os.environ.get("XDG_SESSION_ID"))


def booted() -> bool:
    """Whether systemd is this machine's init, sd_booted(3)."""
    return Path("/run/systemd/system").is_dir()
