"""``aiops route STRATEGY`` and ``aiops route explain MODEL``"""

from __future__ import annotations

import click

from aiops.commands._lazy import LazyGroup

VERBS = {
    "strategy": "Choose another way, measured before and after. The word `strategy` may be left out.",
    "explain": "Which rule answers a name, who is asked in which order, and why.",
}


@click.group(
    "route",
    cls=LazyGroup,
    verbs=VERBS,
    home=__name__,
    otherwise="strategy",
    subcommand_metavar="STRATEGY | explain MODEL",
    help="Change how groups choose between deployments; explain where a request goes.",
)
def command() -> None:
    pass
