"""Where the gateway is, also while the files are invalid."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from aiops.actions.instance.snapshot import Snapshot
from aiops.actions.instance.supervisor import choose
from aiops.host.instance import Instance
from aiops.host.ports import url_of
from aiops.spec.routes.kept import Address
from aiops.supervise.contract import Supervisor


@dataclass(frozen=True)
class Place:
    """Where the gateway is: enough to stop, restart and ask it, also while the files are invalid."""

    supervisor: Supervisor
    host: str
    port: int
    master_key: Path
    admin: Address | None = None  # of the management API, when it has a port of its own

    @property
    def url(self) -> str:
        return f"{url_of(self.host, self.port)}/v1"


def place(instance: Instance) -> Place:
    """From what was committed last; from the files only before the first generation.

    Raises Precondition when there is no instance, InvalidState with every problem.
    """
    now = Snapshot.of(instance)
    if now.routes is None:
        state = now.desired
        key = instance.key_file(state.settings.master_key_file)
        gateway = state.gateway
        admin = (gateway.admin_host, gateway.admin_port) if gateway.admin_port is not None else None
        return Place(choose(instance, state.settings.supervisor), gateway.host, gateway.port, key, admin)
    settings = now.routes[1].settings
    return Place(
        choose(instance, settings.supervisor),
        settings.gateway.host,
        settings.gateway.port,
        instance.key_file(settings.master_key_file),
        settings.gateway.admin,
    )
