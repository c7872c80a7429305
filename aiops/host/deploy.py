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
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from aiops.errors import Precondition
from aiops.host.systemd import Scope

LOCAL = "@local"
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
    from pyinfra.api.state import BaseStateCallback, State

    complaint = ""

    class Told(BaseStateCallback):
        """What pyinfra raises for a host that it cannot reach is that no hosts are left."""

        @staticmethod
        def host_connect_error(state: State, host: Any, error: Exception) -> None:
            nonlocal complaint
            complaint = str(error)

    ssh = {"ssh_config_file": ssh_config} if ssh_config else {}
    data = {**ssh, "ssh_strict_host_key_checking": "yes"}
    with _silence():
        try:
            state = State(Inventory(([host], data)), Config())  # type: ignore[no-untyped-call]
            state.add_callback_handler(Told())  # type: ignore[no-untyped-call]
            connect_all(state)
            try:
                _notice_when_cut_off(state)
                return _run(state, wanted, wanted.environment if host == LOCAL else {})
            finally:
                disconnect_all(state)
        except PyinfraError as error:
            why = complaint or str(error)
            raise Precondition(f"{host} cannot be brought to the wanted state: {why}") from error


@contextmanager
def _silence() -> Iterator[None]:
    """pyinfra's log is for people who watch it; what is told here comes from its results."""
    logger = logging.getLogger("pyinfra")
    nobody, propagate = logging.NullHandler(), logger.propagate
    logger.propagate = False
    logger.addHandler(nobody)
    try:
        yield
    finally:
        logger.removeHandler(nobody)
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


@dataclass(frozen=True)
class _Added:
    """An operation that pyinfra was given: its result, and what to say of it when it changed something or not."""

    name: str
    meta: Any
    done: str
    already: str


def _run(state: Any, wanted: Wanted, environment: Mapping[str, str]) -> list[Step]:
    from pyinfra.api.operation import add_op
    from pyinfra.api.operations import run_ops
    from pyinfra.operations import files, systemd

    user_mode = wanted.scope == "user"
    added: list[_Added] = []

    def do(operation: Callable[..., Any], name: str, done: str, already: str, **arguments: Any) -> Any:
        (meta,) = add_op(state, operation, name=name, _env=dict(environment), **arguments).values()
        added.append(_Added(name, meta, done, already))
        return meta

    def directory(path: str, mode: str) -> None:
        what = f"directory {path}"
        do(files.directory, what, f"made{f', {mode}' if mode else ''}", "it is there", path=path, mode=mode or None)

    def put(name: str, path: str, content: bytes, mode: str) -> Any:
        source = io.BytesIO(content)
        return do(files.put, name, f"wrote {path}", "it is so already", src=source, dest=path, mode=mode)

    def service(verb: str, unit: str, what: str, **state: bool | None) -> None:
        do(
            systemd.service,
            f"{verb} {unit}",
            f"{what} now",
            f"{what} already",
            service=unit,
            user_mode=user_mode,
            **state,
        )

    for path, mode in wanted.directories.items():
        directory(path, mode)
    directory(wanted.unit_directory, "")
    written = [put(name, f"{wanted.unit_directory}/{name}", content, "644") for name, content in wanted.units.items()]
    for path, content in wanted.private.items():
        put(path, path, content, "600")
    reads = {"written": written, "units": list(wanted.units), "user_mode": user_mode}
    do(_operation(_daemon_reload), "daemon-reload", "a unit changed", "systemd has read the units as they are", **reads)
    if wanted.linger:
        lingers = f"the services of {wanted.linger} start at boot"
        linger = {"user": wanted.linger, "_ignore_errors": True}
        do(_operation(_linger), f"linger of {wanted.linger}", lingers, f"{lingers} already", **linger)
    for unit in wanted.enable:
        service("enable", unit, "it starts at boot", running=None, enabled=True)
    for unit in wanted.start:
        service("start", unit, "it runs", running=True)
    failed = ""
    try:
        run_ops(state)
    except Exception as error:  # a host without a working operation is taken out: the step below says which and why
        failed = str(error)
        if not all(transport.is_active() for transport in _transports(state)):
            failed = "the connection was lost"
    return [_step(each, failed) for each in added if each.meta.is_complete()]


def _step(added: _Added, failed: str) -> Step:
    meta = added.meta
    if not meta.did_succeed():
        said = meta.stderr.strip() or meta.stdout.strip() or failed
        return Step(added.name, False, said.splitlines()[-1] if said else "no reason given", ok=False)
    changed = meta.did_change()
    return Step(added.name, changed, added.done if changed else added.already)


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


def _linger(user: str) -> Generator[str, None, None]:
    from pyinfra.context import host
    from pyinfra.facts.files import File

    if not host.get_fact(File, path=f"{LINGER}/{user}"):
        yield f"loginctl enable-linger {shlex.quote(user)}"


def directories(paths: Mapping[str, str]) -> dict[str, str]:
    """Those of ``paths`` that are not links: pyinfra would rather replace a link than follow it."""
    return {path: mode for path, mode in paths.items() if not os.path.islink(path)}  # noqa: PTH114
