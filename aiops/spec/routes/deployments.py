"""The ids and names under which LiteLLM knows deployments."""

from __future__ import annotations

import hashlib

from aiops.spec.choosing.rules import Member, RoutingTable
from aiops.spec.names import HIDDEN

ANY_MODEL = "any-model"
"""Stands where a deployment has no model of its own, because the name that was asked for is passed on."""


def identity(name: str, provider: str, backend: str) -> str:
    """The same deployment keeps its id over generations and machines; a random one would make every release new."""
    return hashlib.sha256("\0".join((name, provider, backend)).encode()).hexdigest()[:32]


def hidden_name(provider: str) -> str:
    """The ``model_name`` of deployments that only rules lead to. It is in no list of models."""
    return f"{HIDDEN}{provider}"


def hidden(provider: str, model: str | None) -> str:
    """The id of a deployment that only rules lead to; ``model`` None passes on the name that was asked for."""
    return identity(hidden_name(provider), provider, model or ANY_MODEL)


def hidden_members(rules: RoutingTable) -> list[Member]:
    """The deployments that only rules lead to, each once, by provider and model."""
    found = {member.deployment: member for group in rules.groups() for member in group.members}
    ours = [member for member in found.values() if member.deployment == hidden(member.provider, member.model)]
    return sorted(ours, key=lambda member: (member.provider, member.model or ""))
