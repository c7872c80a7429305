"""What ``aiops doctor`` looks at where systemd runs the gateway, and about the clock anywhere."""

from __future__ import annotations

import getpass
from collections.abc import Iterator
from typing import TYPE_CHECKING

from aiops.actions.doctor.finding import Finding
from aiops.actions.instance.place import place
from aiops.actions.instance.units import systemd_supervisor
from aiops.errors import AiopsError
from aiops.host import systemd, timekeeping
from aiops.host.instance import Instance
from aiops.supervise.owner import SERVICE, SOCKET
from aiops.supervise.unit_state import Units

if TYPE_CHECKING:
    from aiops.actions.service.status import Situation


def unit_findings(instance: Instance, now: Situation) -> Iterator[Finding]:
    """Everything about units, when there are any; then the clock."""
    if now.units is not None:
        yield from _manager(now.units)
        if not now.units.unreachable:
            yield from _units(instance, now.units)
    yield from _clock(instance)


def _manager(units: Units) -> Iterator[Finding]:
    if units.unreachable:
        yield Finding(False, f"the user's systemd does not answer: {units.unreachable}", systemd.how_to_reach())
    else:
        yield Finding(True, "systemd answers")
    if units.manager.scope == "user":
        user = getpass.getuser()
        what = "after a boot and without a login"
        yield Finding(
            units.lingers,
            f"linger is on: the gateway runs {what}"
            if units.lingers
            else f"linger is off: the gateway ends with the last login of {user}, and does not run {what}",
            f"sudo loginctl enable-linger {user}",
        )


def _units(instance: Instance, units: Units) -> Iterator[Finding]:
    manager, up = units.manager, f"{instance.command} up"
    for unit in (units.service, units.socket):
        if unit.load == "masked":
            yield Finding(False, f"{unit.name} is masked", manager.command("unmask", unit.name))
        elif unit.load == "not-found":
            yield Finding(False, f"{unit.name} is missing", up)
        elif unit.load != "loaded":
            yield Finding(False, f"{unit.name} cannot be loaded ({unit.load})", manager.command("status", unit.name))
        else:
            enabled = unit.enabled == "enabled"
            what = f"{unit.name} {'starts' if enabled else 'does not start'} at boot"
            yield Finding(enabled, what, manager.command("enable", unit.name))
    if units.service.needs_reload or units.socket.needs_reload:
        what = "a unit was changed and systemd has not read it yet"
        yield Finding(False, what, manager.command("daemon-reload"))
    if units.service.runs:
        held = units.socket.runs
        yield Finding(
            held,
            f"{SOCKET} holds the port" if held else f"{SOCKET} is stopped while {SERVICE} runs",
            f"{instance.command} down; {up}",
        )
    yield from _edited(instance, units)


def _edited(instance: Instance, units: Units) -> Iterator[Finding]:
    try:
        where = place(instance)
        edited = systemd_supervisor(instance).edited(where.host, where.port)
    except (AiopsError, OSError):
        return  # the files cannot be loaded: that is a finding of its own
    present = {unit.name for unit in (units.service, units.socket) if unit.load == "loaded"}
    for name in edited:
        if name in present or name not in (SERVICE, SOCKET):
            yield Finding(
                False,
                f"{name} is not what aiops would write: edited by hand, or written by another version",
                f"move what you want into a drop-in (`{units.manager.command('edit', name)}`), "
                f"then `{instance.command} up`",
            )


def _clock(instance: Instance) -> Iterator[Finding]:
    ahead = timekeeping.ahead_of_clock(instance.state, instance.config, instance.state / "current")
    kept = timekeeping.synchronised()
    if ahead:
        what = f"the clock is wrong: files here are {ahead:.0f} s newer than now"
        yield Finding(False, what, "timedatectl set-ntp true")
    elif kept is False:
        yield Finding(False, "the clock is not synchronised", "timedatectl timesync-status; chronyc tracking")
    else:
        yield Finding(True, "the clock is right" if kept else "the clock is not behind the files")
