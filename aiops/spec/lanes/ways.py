"""How often a deployment is asked again, and what is tried after it: as LiteLLM is told, and as the direct lane is."""

from __future__ import annotations

from collections.abc import Iterator

from aiops.spec.lanes.table import Retries
from aiops.spec.routes.circles import LITELLM_FALLBACKS
from aiops.spec.routes.deployments import identity
from aiops.spec.routes.routes import Route, RouteTable, is_alone

NEVER = Retries()
_ONCE = Retries(no_connection=1, unavailable=1)


def by_deployment(table: RouteTable, retries: int | None) -> dict[str, Retries]:
    """By the id under which a group asks for it. Where several can answer, nobody is asked again.

    ``retries``: as the operator wrote it; None is one more try where nobody else could answer, after what may pass.
    """
    groups = [group for group in table.rules.groups() if len(group.members) == 1]
    alone = groups if retries is not None else [group for group in groups if group.is_alone]
    given = _ONCE if retries is None else _each(retries)
    return {group.members[0].deployment: given for group in alone}


def by_name(route: Route, retries: int | None) -> Retries:
    """When it is asked for by a name that no rule covers."""
    if retries is not None:
        return _each(retries)
    return _ONCE if is_alone(route) else NEVER


def _each(retries: int) -> Retries:
    return Retries(
        no_connection=retries,
        unavailable=retries,
        server_error=retries,
        timed_out=retries,
        rate_limited=retries,
    )


def special(table: RouteTable, key: str) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Fallbacks for one kind of failure; also under the deployments by which the gateway asks for a name."""
    for route in table.routes:
        if others := getattr(route, key):
            deployments = [member.deployment for member in route.members]
            if not deployments and route.model in table.rules.names:
                deployments = [identity(route.model, route.provider, route.backend_model)]
            for name in (route.model, *deployments):
                yield name, others


def max_fallbacks(table: RouteTable) -> int:
    """How many others one request may have to try: fallbacks, and the other members of its group."""
    ways = [len(route.fallbacks) for route in table.routes]
    ways += [len(group.members) - 1 + len(group.fallbacks) for group in table.rules.groups()]
    return max([LITELLM_FALLBACKS, *ways])
