"""What keeps gateway and providers running: units that aiops installed, and the containers of the gateway."""

from __future__ import annotations

import getpass
from collections.abc import Iterable
from functools import partial
from pathlib import Path

from aiops.actions.instance.containers import containers_of
from aiops.actions.instance.snapshot import Snapshot
from aiops.actions.removal.thing import Found, Thing
from aiops.errors import InvalidState, Precondition
from aiops.host import files, privileges, systemd, unit_files
from aiops.host.container_unit import UNIT as CONTAINER_UNIT
from aiops.host.engines import Engine
from aiops.host.instance import Instance
from aiops.host.systemd import Systemd
from aiops.render.provider_units import KINDS, Kind, is_ours
from aiops.spec.shapes.model import Provider
from aiops.supervise.owner import owner
from aiops.supervise.systemd_unit import UNITS

STOP_SECONDS = 120.0


def gateway_units(instance: Instance) -> Found:
    """Those of this instance alone: the units say themselves whose they are."""
    manager = Systemd(systemd.scope())
    here = [name for name in UNITS if (manager.directory / name).exists()]
    ours = here if owner(manager) == str(instance.state) else []
    container = unit_files.read(manager.directory / CONTAINER_UNIT)
    if container is not None and containers_of(instance).name.encode() in container:
        ours = [*ours, CONTAINER_UNIT]
    if not ours:
        return Found()
    left = [
        f"{folder}: your own settings for that unit"
        for folder in (manager.directory / f"{name}.d" for name in ours)
        if folder.is_dir()
    ]
    if manager.scope == "user" and systemd.lingers():
        user = getpass.getuser()
        left.append(f"services of {user} start at boot; `loginctl disable-linger {user}` when nothing else needs that")
    paths = [manager.directory / name for name in ours]
    return Found(
        (Thing(f"units {', '.join(ours)} in {manager.directory}", partial(_remove, manager, ours, paths)),), tuple(left)
    )


def containers(instance: Instance) -> Found:
    """Containers of the gateway; images are the engine's."""
    theirs = containers_of(instance)
    try:
        names = [each.name for each in theirs.all()]
    except Precondition as error:
        return Found(left=(f"containers of the gateway, if there are any: {error.message}",))
    things = (Thing(f"container {name}", partial(_remove_container, theirs.engine, name)) for name in names)
    return Found(tuple(things), (f"images of the gateway: `{theirs.engine} images` lists them",) if names else ())


def provider_units(instance: Instance, *, purge: bool) -> Found:
    """Units that ``provider install`` put in place. Their variables are the operator's: ``purge`` takes them, too."""
    try:
        providers = Snapshot(instance).desired.providers.values()
    except InvalidState:
        return Found(left=("units of providers, if there are any: the files that name them are not valid",))
    found = Found()
    for provider in providers:
        found += _provider_unit(provider, purge=purge)
    return found


def _provider_unit(provider: Provider, *, purge: bool) -> Found:
    kind, service = KINDS.get(provider.type), provider.service
    if kind is None or service is None or kind.instance(service.unit) is None:
        return Found()
    manager = Systemd(service.scope)
    template, variables = manager.directory / kind.template, manager.variables / kind.variables_file(service.unit)
    content = unit_files.read(template)
    if content is None:
        return _variables(variables, purge=purge)
    if why := manager.why_not():
        return Found(left=(f"{service.unit}, which runs {provider.name}: {why}",))
    if not is_ours(content):
        return Found(left=(f"{template}: edited since aiops wrote it, or not by aiops",))
    unit = Thing(
        f"unit {service.unit}, which runs {provider.name}", partial(_remove_provider, manager, kind, service.unit)
    )
    return Found((unit,)) + _variables(variables, purge=purge)


def _variables(path: Path, *, purge: bool) -> Found:
    if unit_files.read(path) is None:
        return Found()
    if not purge:
        return Found(left=(f"{path}: what a provider's unit is told",))
    return Found((Thing(str(path), partial(_unlink, (path,))),))


def _remove_provider(manager: Systemd, kind: Kind, unit: str) -> None:
    """The template goes with the last unit that is made from it."""
    others = f"{kind.stem}@*.service" if kind.instances else unit
    _stop(manager, [unit])
    listed = manager.call("list-units", "--all", "--plain", "--no-legend", others).out.split("\n")
    enabled = manager.call("list-unit-files", "--no-legend", "--state=enabled", others).out.split("\n")
    names = {line.split()[0] for line in (*listed, *enabled) if line.strip()} - {unit, kind.template}
    if not names:
        _unlink((manager.directory / kind.template,))
    _reload(manager, [unit])


def _remove(manager: Systemd, names: list[str], paths: list[Path]) -> None:
    _stop(manager, names)
    _unlink(paths)
    _reload(manager, names)


def _stop(manager: Systemd, names: list[str]) -> None:
    manager.require()
    done = manager.call("disable", "--now", *names, timeout=STOP_SECONDS)
    if not done.ok and any(unit.runs for unit in manager.units(*names).values()):
        raise Precondition(
            f"systemd did not stop {', '.join(names)}: {done.reason}", f"`{manager.command('status', *names)}`"
        )


def _reload(manager: Systemd, names: list[str]) -> None:
    manager.call("daemon-reload")
    manager.call("reset-failed", *names)  # or a unit that failed is listed for ever


def _unlink(paths: Iterable[Path]) -> None:
    for path in paths:
        with privileges.as_root(), files.explained(path, "remove"):
            path.unlink(missing_ok=True)


def _remove_container(engine: Engine, name: str) -> None:
    engine.order("rm", "--force", name)
