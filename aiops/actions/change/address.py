"""A gateway that moves to another address: what has to be free before, and what follows it after."""

from __future__ import annotations

from aiops.actions.instance.supervisor import choose
from aiops.apply.store import GenerationStore
from aiops.errors import AiopsError, Precondition
from aiops.host import ports
from aiops.host.instance import Instance
from aiops.output import Output
from aiops.spec.shapes.model import DesiredState
from aiops.supervise.detached import ProcessSupervisor
from aiops.supervise.systemd_unit import SystemdSupervisor


def require_address(instance: Instance, base: int | None, state: DesiredState) -> None:
    """A change to another address says who has it, before anything is begun. Raises Precondition."""
    host, port = state.gateway.host, state.gateway.port
    before, old = _address(instance, base)
    if (before, old) == (host, port):
        return
    ports.require_free(host, port, ProcessSupervisor(instance).pids())
    if old != port or ports.same(before, host, port) or ports.can_bind(host, port):
        return
    raise Precondition(
        f"{host}:{port} cannot be listened on while the gateway serves {before}:{old}: they overlap",
        f"go there in two steps: with another `gateway.port` first, `{instance.command} apply`, then with port {port}",
    )


def follow(instance: Instance, base: int | None, state: DesiredState, out: Output) -> None:
    """After a change that is live: what keeps the old address lets it go. Never fails; what is left is said."""
    if base is None or _address(instance, base) == (state.gateway.host, state.gateway.port):
        return
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


def _address(instance: Instance, generation: int | None) -> tuple[str | None, int | None]:
    """Where that generation listens; nowhere before the first."""
    if generation is None:
        return None, None
    gateway = GenerationStore(instance.state).get(generation).routes()[1].settings.gateway
    return gateway.host, gateway.port
