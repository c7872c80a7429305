"""The desired state of an instance, as its files say it now."""

from __future__ import annotations

from aiops.host import credentials
from aiops.host.instance import Instance, read_sources
from aiops.spec.load.load import load
from aiops.spec.shapes.model import DesiredState


def desired(instance: Instance) -> DesiredState:
    """Raises Precondition when there is no instance, InvalidState with every problem."""
    instance.require()
    state = load(read_sources(instance), credentials.environment(instance))
    credentials.require_mounted(instance, state)
    return state
