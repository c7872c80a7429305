"""The containers of an instance: from which image, made how."""

from __future__ import annotations

import sys
from functools import partial

from aiops.actions.instance.snapshot import Snapshot
from aiops.actions.instance.units import templates
from aiops.errors import InvalidState, Precondition
from aiops.host import systemd
from aiops.host.container_unit import UNIT as CONTAINER_UNIT
from aiops.host.instance import Instance
from aiops.host.systemd import Systemd, scope
from aiops.render import container
from aiops.supervise.containers import Circumstances, Containers, Image, Made


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
    now = Snapshot(instance)  # its own: it is asked at any time, also after a change
    try:
        settings = now.load(now.sources).settings.container
        return Image(settings.image, settings.engine)
    except InvalidState:
        if now.routes is None:
            raise
        committed = now.routes[1].settings
        return Image(str(committed["container.image"]), committed["container.engine"])
