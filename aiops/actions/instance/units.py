"""What the units of an instance look like on this machine."""

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

from aiops.errors import Precondition
from aiops.host.instance import Instance
from aiops.host.systemd import Scope, scope
from aiops.render.units import GATEWAY_UNITS, UnitFacts, render_units
from aiops.supervise.systemd_unit import SystemdSupervisor

# What decides where an instance without a home is; units do not inherit it from the shell of whoever ran `up`.
KEPT_VARIABLES = ("XDG_CONFIG_HOME", "XDG_STATE_HOME")


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
    folder = packaged if packaged.is_dir() else Path(__file__).parents[3] / "units"
    return {entry.name: entry.read_text(encoding="utf-8") for entry in folder.iterdir() if entry.is_file()}
