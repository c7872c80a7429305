"""What ``aiops doctor`` finds about ports: who should be on each, by the files, and who really is. Ends nobody."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from aiops.actions.doctor.finding import Finding
from aiops.host import ports
from aiops.spec.load.ports import belongs, is_gateway, local_port
from aiops.spec.shapes.model import DesiredState
from aiops.spec.sources import PORTS, PROVIDERS


@dataclass(frozen=True)
class Expected:
    """Who should listen on a port. ``source``: the file that says so; ``start``: what to type when nobody does."""

    port: int
    name: str
    source: str
    unit: str | None
    required: bool
    reserved: bool = False
    start: str = ""
    check: str = ""


def port_findings(state: DesiredState, command: str) -> Iterator[Finding]:
    """One finding per port that is spoken for. ``command``: how `aiops` is called for this instance."""
    for expected in expectations(state, command):
        yield from _finding(expected, ports.owners(expected.port))


def expectations(state: DesiredState, command: str) -> Iterator[Expected]:
    """The registry's entries but the gateway's, then the active providers of this machine that are not in it."""
    registered = {name: port for name, port in state.ports.items() if not is_gateway(name)}
    local = {name: at for name, provider in state.providers.items() if (at := local_port(provider)) is not None}
    for name, port in registered.items():
        mine = next((each for each in local if belongs(name, port, state.providers[each])), None)
        start = f"start {port.service}" if port.service else "start it"
        yield Expected(
            port=port.port,
            name=name + "".join(f": {said}" for said in (port.description, port.notes) if said),
            source=PORTS,
            unit=port.service,
            required=port.required or mine is not None,
            reserved=port.status == "reserved",
            start=f"{command} provider start {mine}" if mine and state.providers[mine].service else start,
            check=port.health_check or "",
        )
    for name, at in local.items():
        service = state.providers[name].service
        if not any(port.port == at for port in registered.values()):
            yield Expected(
                port=at,
                name=name,
                source=PROVIDERS,
                unit=service.unit if service else None,
                required=True,
                start=f"{command} provider start {name}" if service else f"start it, or `{command} disable {name}`",
            )


def _finding(expected: Expected, owners: list[ports.Owner]) -> Iterator[Finding]:
    where = f"port {expected.port} ({expected.name})"
    by = ", ".join(map(str, owners))
    if not owners:
        if expected.required:
            check = f"; then `{expected.check}`" if expected.check else ""
            yield Finding(False, f"{where}: nobody listens there", f"{expected.start}{check}")
    elif expected.reserved:
        yield Finding(False, f"{where} is reserved in {PORTS}, but {by} listens there", "move it, or give it the entry")
    elif expected.unit and not _runs_it(expected.unit, owners):
        what = f"{where} belongs to {expected.unit} ({expected.source}), but {by} listens there"
        yield Finding(False, what, f"stop that one, or correct {expected.source}")
    else:
        yield Finding(True, f"{where}: {by}")


def _runs_it(unit: str, owners: list[ports.Owner]) -> bool:
    """Somebody of the unit listens; what belongs to another user may be it too, for all that can be seen."""
    return any(owner.pid is None or owner.unit == unit for owner in owners)
