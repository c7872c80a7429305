"""Which supervisor an instance has, and what its units look like."""

from __future__ import annotations

import grp
import os
import pwd
import socket
import sys
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from importlib import resources
from pathlib import Path

from aiops.apply.store import GenerationStore
from aiops.errors import InvalidState, Precondition
from aiops.host import credentials, process, systemd
from aiops.host.container_unit import UNIT as CONTAINER_UNIT
from aiops.host.containers import Circumstances, Containers, Image, Made
from aiops.host.instance import Instance, read_sources
from aiops.host.supervise_container import ContainerSupervisor
from aiops.host.supervise_process import ProcessSupervisor
from aiops.host.supervise_systemd import SERVICE, SystemdSupervisor, owner
from aiops.host.supervisor import Supervisor
from aiops.host.systemd import Scope, Systemd, scope
from aiops.render import container
from aiops.render.units import GATEWAY_UNITS, UnitFacts, render_units

# What decides where an instance without a home is; units do not inherit it from the shell of whoever ran `up`.
KEPT_VARIABLES = ("XDG_CONFIG_HOME", "XDG_STATE_HOME")


def choose(instance: Instance, wanted: str) -> Supervisor:
    """The supervisor that ``aiops.yaml`` asks for.

    ``auto``: whoever runs the gateway now; else systemd for the user's own instance (one without ``--home``) when
    the user's manager answers and will outlive this command; else a process.
    """
    if wanted == "systemd":
        return systemd_supervisor(instance)
    if wanted == "process" or (wanted == "auto" and not prefers_systemd(instance)):
        return ProcessSupervisor(instance)
    if wanted == "auto":
        return systemd_supervisor(instance)
    return ContainerSupervisor(instance, scope(), containers_of(instance))


def containers_of(instance: Instance) -> Containers:
    """Those of the supervisor ``container``. Nothing is asked of an engine yet."""
    name = container.name_of(str(instance.state))
    return Containers(instance, scope(), name, partial(_image, instance), partial(_container, instance))


def _container(instance: Instance, circumstances: Circumstances) -> Made:
    owner_of = instance.config.stat()
    if owner_of.st_uid == 0:
        raise Precondition(
            f"{instance.config} belongs to root, and the gateway does not run as root",
            f"`chown -R` {instance.home or instance.config} to a user of its own",
        )
    facts = container.ContainerFacts(
        **vars(circumstances),
        state=str(instance.state),
        run=str(instance.run),
        secrets=str(instance.secrets),
        uid=owner_of.st_uid,
        gid=owner_of.st_gid,
        supervised=_is_supervised(),
        scope=scope(),
        python=sys.executable,
    )
    argv = tuple(container.create(facts))
    target = "default.target" if scope() == "user" else "multi-user.target"
    unit = container.unit(facts, templates()[CONTAINER_UNIT], target)
    return Made(facts.image, argv, container.label_of(argv), unit, facts.supervised)


def _is_supervised() -> bool:
    """Whether a systemd unit runs the container: one that outlives this command."""
    manager = Systemd(scope())
    lasts = manager.scope == "system" or systemd.lingers() or systemd.in_session()
    return systemd.booted() and lasts and not manager.why_not()


def _image(instance: Instance) -> Image:
    """What the files say; what was committed last while they are broken, so that the gateway can be stopped then."""
    from aiops.spec.load import load  # `status` gets here only for a container

    try:
        settings = load(read_sources(instance), credentials.environment(instance)).settings.container
        return Image(settings.image, settings.engine)
    except InvalidState:
        generations = GenerationStore(instance.state)
        current = generations.current()
        if current is None:
            raise
        _, summary = generations.get(current).routes()
        return Image(str(summary.settings["container.image"]), summary.settings["container.engine"])


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


def systemd_supervisor(instance: Instance) -> SystemdSupervisor:
    """The supervisor with this instance's units. Nothing is asked of systemd yet."""
    return SystemdSupervisor(instance, scope(), partial(units, instance, scope()))


def units(instance: Instance, where: Scope, host: str, port: int) -> Mapping[str, bytes]:
    """This instance's units. Raises Precondition when ``host`` is not an address of this machine."""
    return render_units(unit_facts(instance, where, host, port), templates(), GATEWAY_UNITS)


def provider_facts(instance: Instance, where: Scope, variables: str) -> UnitFacts:
    """What units of providers depend on. ``variables``: the directory with their files. Raises Precondition."""
    return replace(unit_facts(instance, where, "127.0.0.1", 0), environment_directory=variables)


def unit_facts(instance: Instance, where: Scope, host: str, port: int) -> UnitFacts:
    """What units depend on, looked up on this machine. Raises Precondition."""
    user = group = ""
    if where == "system":
        facts = instance.config.stat()
        if facts.st_uid == 0:
            raise Precondition(
                f"{instance.config} belongs to root, and the gateway does not run as root",
                f"`useradd --system aiops; chown -R aiops: {instance.home or instance.config}`, then again",
            )
        user, group = pwd.getpwuid(facts.st_uid).pw_name, grp.getgrgid(facts.st_gid).gr_name
    return UnitFacts(
        scope=where,
        python=sys.executable,
        listen=_address(host, port),
        host=host,
        port=port,
        state=str(instance.state),
        run=str(instance.run),
        secrets=str(instance.secrets),
        config=str(instance.config),
        logs=str(instance.logs),
        home=str(instance.home) if instance.home else None,
        user=user,
        group=group,
        environment={name: os.environ[name] for name in KEPT_VARIABLES if name in os.environ and not instance.home},
    )


def _address(host: str, port: int) -> str:
    """``127.0.0.1:4000`` or ``[::1]:4000``: a socket unit takes no names."""
    try:
        family, _, _, _, found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
    except OSError as error:
        raise Precondition(
            f"cannot listen on {host}: {error}", "`gateway.host` in aiops.yaml takes an address"
        ) from error
    return f"[{found[0]}]:{port}" if family == socket.AF_INET6 else f"{found[0]}:{port}"


def templates() -> dict[str, str]:
    """Name -> text: package data of an installed wheel, ``units/`` of a checkout."""
    packaged = resources.files("aiops") / "data" / "units"
    folder = packaged if packaged.is_dir() else Path(__file__).parents[1] / "units"
    return {entry.name: entry.read_text(encoding="utf-8") for entry in folder.iterdir() if entry.is_file()}
