"""Which supervisor an instance has, and what its units look like."""

from __future__ import annotations

from aiops.host import process, systemd
from aiops.host.instance import Instance
from aiops.host.systemd import Systemd, scope
from aiops.supervise.contract import Supervisor
from aiops.supervise.detached import ProcessSupervisor
from aiops.supervise.owner import SERVICE, owner


def choose(instance: Instance, wanted: str) -> Supervisor:
    """The supervisor that ``aiops.yaml`` asks for.

    ``auto``: whoever runs the gateway now; else systemd for the user's own instance (one without ``--home``) when
    the user's manager answers and will outlive this command; else a process.
    """
    if wanted == "process" or (wanted == "auto" and not prefers_systemd(instance)):
        return ProcessSupervisor(instance)
    if wanted in ("systemd", "auto"):
        from aiops.actions.instance.units import systemd_supervisor  # a verb needs one of the three

        return systemd_supervisor(instance)
    from aiops.actions.instance.containers import containers_of
    from aiops.supervise.container import ContainerSupervisor

    return ContainerSupervisor(instance, scope(), containers_of(instance))


def prefers_systemd(instance: Instance) -> bool:
    """What ``auto`` means on this machine, for this instance."""
    pids = ProcessSupervisor(instance).pids()
    if pids:
        return process.unit_of(pids[0]) == SERVICE
    manager = Systemd(scope())
    if owner(manager) == str(instance.state):
        return True
    if instance.home is not None or manager.scope == "system":
        return False
    return (systemd.lingers() or systemd.in_session()) and not manager.why_not()
