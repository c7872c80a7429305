"""``aiops env``: what clients need to know, by the names that their libraries look for."""

from __future__ import annotations

from aiops.actions.instance.place import place
from aiops.host import credentials
from aiops.host.instance import Instance


def env(instance: Instance) -> dict[str, str]:
    """Variable to value. Raises Precondition when there is no instance, InvalidState for a weak key."""
    where = place(instance)
    return {"OPENAI_BASE_URL": where.url, "OPENAI_API_KEY": credentials.read_master_key(where.master_key)}
