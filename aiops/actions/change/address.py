"""A gateway that moves to another address: what has to be free before, and what follows it after."""

from __future__ import annotations

from aiops.actions.instance.snapshot import Snapshot
from aiops.errors import AiopsError, Precondition
from aiops.host import ports
from aiops.output import Output
from aiops.spec.routes.kept import Address, Gateway
from aiops.spec.shapes.model import DesiredState
from aiops.spec.sources import SETTINGS
from aiops.supervise.detached import ProcessSupervisor


def require_address(now: Snapshot, state: DesiredState) -> None:
    """A change to another address says who has it, before anything is begun. Raises Precondition."""
    wanted, served = _wanted(state), _served(now)
    ours = ProcessSupervisor(now.instance).pids()
    for kind, address in (("public", wanted.public), ("admin", wanted.admin)):
        before = getattr(served, kind) if served is not None else None
        if address is not None and address != before:
            key = "admin_port" if kind == "admin" else "port"
            _require(now, kind, address, before, ours, state.documents[SETTINGS].line(("gateway", key)))
    if served is None or wanted.admin is None:
        return
    # The one generation would answer users there, and the other administrators, until the change is confirmed.
    if wanted.port == served.admin_port or wanted.admin_port == served.port:
        port = wanted.port if wanted.port == served.admin_port else served.port
        raise Precondition(
            f"port {port} would be the other of `gateway.port` and `gateway.admin_port` until this change is through",
            f"go there in two steps: with another port in its place first, `{now.instance.command} apply`, then as"
            " it is now",
        )


def _require(now: Snapshot, kind: str, address: Address, before: Address | None, ours: list[int], line: int) -> None:
    host, port = address
    prefix = "admin_" if kind == "admin" else ""
    try:
        ports.require_free(host, port, ours, prefix)
    except Precondition as error:
        error.message = f"{SETTINGS}:{line}: {error.message}"
        raise
    if before is None or before[1] != port or ports.same(before[0], host, port) or ports.can_bind(host, port):
        return
    raise Precondition(
        f"{host}:{port} cannot be listened on while the gateway serves {before[0]}:{port}: they overlap",
        f"go there in two steps: with another `gateway.{prefix}port` first, `{now.instance.command} apply`, then with"
        f" port {port}",
    )


def follow(before: Snapshot, state: DesiredState, out: Output) -> None:
    """After a change that is live: what keeps the old address lets it go. Never fails; what is left is said.

    ``before``: the instance before the change.
    """
    instance, served = before.instance, _served(before)
    # Nobody but the gateway holds the port of the management API.
    if served is None or served.public == _wanted(state).public:
        return
    from aiops.actions.instance.supervisor import choose  # hardly any change moves the gateway
    from aiops.supervise.systemd_unit import SystemdSupervisor

    try:
        supervisor = choose(instance, state.settings.supervisor)
        if isinstance(supervisor, SystemdSupervisor):
            with out.progress("moving the socket unit"):
                told = supervisor.follow(state.gateway.host, state.gateway.port)
            for line in told:
                out.say(line)
    except (AiopsError, OSError) as error:
        out.say(f"warning: live, but the units are still those of the old address: {error}")
        out.say(f"`{instance.command} up` writes them")


def _wanted(state: DesiredState) -> Gateway:
    gateway = state.gateway
    return Gateway(gateway.host, gateway.port, gateway.admin_host, gateway.admin_port)


def _served(now: Snapshot) -> Gateway | None:
    """Where the committed generation listens; None before the first."""
    return now.routes[1].settings.gateway if now.routes is not None else None
