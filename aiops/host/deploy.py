"""Bringing a host to where units, directories and services are as wanted, through pyinfra's operations.

The same deploy runs on this machine (``@local``) and over SSH. Facts are read first, so a second run changes
nothing, and every operation says why it was a no-op.
"""

from __future__ import annotations

import io
import logging
import os
import shlex
import socket
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, field
from typing import Any

from aiops.errors import Precondition
from aiops.host.systemd import Scope

LOCAL = "@local"
NOOP = "noop: "
LINGER = "/var/lib/systemd/linger"
ALIVE_SECONDS, SILENT_SECONDS = 3, 15  # between signs of life over SSH, and without an answer to one


@dataclass(frozen=True)
class Wanted:
    """How a host has to be. Modes are octal text, empty for "as it is"; ``linger`` names the user whose services
    start at boot.

    ``private``: files that only their owner may read, path -> content. ``start``: units that have to run; ``enable``:
    those that have to start at boot. ``environment``: for commands on this machine; over SSH the login sets it.
    """

    scope: Scope
    unit_directory: str
    units: Mapping[str, bytes]
    directories: Mapping[str, str] = field(default_factory=dict)
    private: Mapping[str, bytes] = field(default_factory=dict)
    linger: str = ""
    enable: tuple[str, ...] = ()
    start: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Step:
    """One operation: what it was, whether it changed something, and why or what went wrong."""

    name: str
    changed: bool
    why: str
    ok: bool = True

    def __str__(self) -> str:
        return f"{'changed' if self.changed else 'as it was' if self.ok else 'failed'}: {self.name} ({self.why})"


def converge(wanted: Wanted, host: str = LOCAL, ssh_config: str | None = None) -> list[Step]:
    """Carry out what is missing on ``host``, a name that ``ssh_config`` (or ``~/.ssh/config``) explains.

    Raises Precondition when it cannot be reached. Its key has to be known: nobody is there to be asked about it.
    A step that fails ends the run and is the last one, except for linger, which is only noted: it may need root.
    """
    # pyinfra takes 0.4 s to import; nothing else in this module's callers may pay for that.
    from pyinfra.api.config import Config
    from pyinfra.api.connect import connect_all, disconnect_all
    from pyinfra.api.exceptions import PyinfraError
    from pyinfra.api.inventory import Inventory
    from pyinfra.api.state import State

    story = _Story()
    logger = logging.getLogger("pyinfra")
    level, propagate = logger.level, logger.propagate
    logger.setLevel(logging.INFO)
    logger.propagate = False
    logger.addHandler(story)
    try:
        ssh = {"ssh_config_file": ssh_config} if ssh_config else {}
        data = {**ssh, "ssh_strict_host_key_checking": "yes"}
        state = State(Inventory(([host], data)), Config())  # type: ignore[no-untyped-call]
        state.print_noop_info = True
        connect_all(state)
        try:
            _notice_when_cut_off(state)
            return _run(state, wanted, story, wanted.environment if host == LOCAL else {})
        finally:
            disconnect_all(state)
    except PyinfraError as error:
        why = story.complaint or str(error)
        raise Precondition(f"{host} cannot be brought to the wanted state: {why}") from error
    finally:
        logger.removeHandler(story)
        logger.setLevel(level)
        logger.propagate = propagate


def _notice_when_cut_off(state: Any) -> None:
    """A host that vanishes must not keep us waiting as long as TCP would, a quarter of an hour. tcp(7)"""
    for transport in _transports(state):
        if isinstance(transport.sock, socket.socket):
            transport.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, SILENT_SECONDS * 1000)
            transport.set_keepalive(ALIVE_SECONDS)


def _transports(state: Any) -> list[Any]:
    """The connections of hosts that are reached over SSH."""
    clients = [getattr(host.connector, "client", None) for host in state.inventory.iter_activated_hosts()]
    return [transport for client in clients if client is not None and (transport := client.get_transport())]


def _run(state: Any, wanted: Wanted, story: _Story, environment: Mapping[str, str]) -> list[Step]:
    from pyinfra.api.operation import add_op
    from pyinfra.api.operations import run_ops
    from pyinfra.operations import files, systemd

    user_mode = wanted.scope == "user"
    common = {"_env": dict(environment)}
    added: list[tuple[str, Any]] = []

    def do(operation: Callable[..., Any], name: str, **arguments: Any) -> Any:
        (meta,) = add_op(state, operation, name=name, **arguments, **common).values()
        added.append((name, meta))
        return meta

    for path, mode in wanted.directories.items():
        do(files.directory, f"directory {path}", path=path, mode=mode or None)
    do(files.directory, f"directory {wanted.unit_directory}", path=wanted.unit_directory)
    written = [
        do(files.put, name, src=io.BytesIO(content), dest=f"{wanted.unit_directory}/{name}", mode="644")
        for name, content in wanted.units.items()
    ]
    for path, content in wanted.private.items():
        do(files.put, path, src=io.BytesIO(content), dest=path, mode="600")
    reload_name = "daemon-reload"
    do(_operation(_daemon_reload), reload_name, written=written, units=list(wanted.units), user_mode=user_mode)
    if wanted.linger:
        do(_operation(_linger), f"linger of {wanted.linger}", user=wanted.linger, _ignore_errors=True)
    for unit in wanted.enable:
        do(systemd.service, f"enable {unit}", service=unit, running=None, enabled=True, user_mode=user_mode)
    for unit in wanted.start:
        do(systemd.service, f"start {unit}", service=unit, running=True, user_mode=user_mode)
    failed = ""
    try:
        run_ops(state)
    except Exception as error:  # a host without a working operation is taken out: the step below says which and why
        failed = str(error)
        if not all(transport.is_active() for transport in _transports(state)):
            failed = "the connection was lost"
    return [step for name, meta in added if (step := _step(name, meta, story, failed)) is not None]


def _step(name: str, meta: Any, story: _Story, failed: str) -> Step | None:
    if not meta.is_complete():
        return None
    if not meta.did_succeed():
        said = meta.stderr.strip() or meta.stdout.strip() or failed
        return Step(name, False, said.splitlines()[-1] if said else "no reason given", ok=False)
    if meta.did_change():
        return Step(name, True, "; ".join(filter(None, map(_describe, meta._commands))) or "done")
    # pyinfra says nothing of a unit that is enabled as it should be.
    return Step(name, False, "; ".join(dict.fromkeys(story.noops.get(name, []))) or "it is so already")


def _describe(command: Any) -> str:
    inner = str(command).partition("(")[2].removesuffix(")")
    return f"wrote {inner.rpartition(', ')[2]}" if "Upload" in type(command).__name__ else inner


def _operation(function: Callable[..., Generator[str, None, None]]) -> Any:
    from pyinfra.api.operation import operation

    return operation()(function)


def _daemon_reload(written: list[Any], units: list[str], user_mode: bool) -> Generator[str, None, None]:
    """pyinfra's own always reloads; this one only when a unit changed, now or behind systemd's back."""
    from pyinfra.context import host
    from pyinfra.facts.server import Command

    systemctl = "systemctl --user" if user_mode else "systemctl"
    # A template itself cannot be asked about, but all of its instances can.
    patterns = [unit.replace("@.", "@*.") for unit in units]
    ask = f"{systemctl} show --property=NeedDaemonReload --value {shlex.join(patterns)}"
    stale = "yes" in (host.get_fact(Command, command=ask) or "")
    if stale or any(meta.did_change() if meta.is_complete() else meta.will_change for meta in written):
        yield f"{systemctl} daemon-reload"
    else:
        host.noop("systemd has read the units as they are")


def _linger(user: str) -> Generator[str, None, None]:
    from pyinfra.context import host
    from pyinfra.facts.files import File

    if host.get_fact(File, path=f"{LINGER}/{user}"):
        host.noop(f"the services of {user} start at boot already")
    else:
        yield f"loginctl enable-linger {shlex.quote(user)}"


class _Story(logging.Handler):
    """Listens to pyinfra's log: the reasons of no-ops are told nowhere else."""

    def __init__(self) -> None:
        super().__init__()
        self.noops: dict[str, list[str]] = {}
        self._operation = ""
        self.complaint = ""  # the last error it logged: what it raises then is "no hosts remaining"

    def emit(self, record: logging.LogRecord) -> None:
        text = record.getMessage()
        if record.levelno >= logging.ERROR:
            self.complaint = text.strip()
        if "Starting operation: " in text:
            self._operation = text.split("Starting operation: ", 1)[1].strip()
        elif NOOP in text:
            self.noops.setdefault(self._operation, []).append(text.split(NOOP, 1)[1].strip())


def directories(paths: Mapping[str, str]) -> dict[str, str]:
    """Those of ``paths`` that are not links: pyinfra would rather replace a link than follow it."""
    return {path: mode for path, mode in paths.items() if not os.path.islink(path)}  # noqa: PTH114
