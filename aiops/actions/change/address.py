"""A gateway that moves to another address: what has to be free before, and what follows it after."""

from __future__ import annotations

from aiops.actions.instance.snapshot import Snapshot
from aiops.errors import AiopsError, Precondition
from aiops.host import ports
from aiops.output import Output
from aiops.spec.shapes.model import DesiredState
from aiops.supervise.detached import ProcessSupervisor


def require_address(now: Snapshot, state: DesiredState) -> None:
    """A change to another address says who has it, before anything is begun. Raises Precondition."""
    host, port = state.gateway.host, state.gateway.port
    instance = now.instance
    before, old = _address(now)
    if (before, old) == (host, port):
        return
    ports.require_free(host, port, ProcessSupervisor(instance).pids())
    if old != port or ports.same(before, host, port) or ports.can_bind(host, port):
        return
    raise Precondition(
        f"{host}:{port} cannot be listened on while the gateway serves {before}:{old}: they overlap",
        f"go there in two steps: with another `gateway.port` first, `{instance.command} apply`, then with port {port}",
    )


def follow(before: Snapshot, state: DesiredState, out: Output) -> None:
    """After a change that is live: what keeps the old address lets it go. Never fails; what is left is said.

    ``before``: the instance before the change.
    """
    instance = before.instance
    if before.current is None or _address(before) == (state.gateway.host, state.gateway.port):
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


def _address(now: Snapshot) -> tuple[str | None, int | None]:
    """Where the committed generation listens; nowhere before the first."""
    if now.routes is None:
        return None, None
    settings = now.routes[1].settings
    return settings.get("gateway.host"), settings.get("gateway.port")
