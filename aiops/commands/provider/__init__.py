"""``aiops provider install|start|stop|status|discover``"""

from __future__ import annotations

import click

from aiops.commands._lazy import LazyGroup

VERBS = {
    "install": "Put the unit of a provider in place, by its type.",
    "start": "Start the unit of a provider and wait until it serves its models.",
    "stop": "Stop the unit of a provider. Refused while it answers users.",
    "status": "Units, health and models of one provider, or of all.",
    "discover": "Write what a provider says of its models.",
}


@click.group(
    "provider",
    cls=LazyGroup,
    verbs=VERBS,
    home=__name__,
    help="Install, start, stop and look at the units of providers, and learn from them.",
)
def command() -> None:
    pass
