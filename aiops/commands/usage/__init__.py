"""``aiops usage [--by …]``, ``aiops usage prove`` and ``aiops usage reconcile FILE``"""

from __future__ import annotations

import click

from aiops.commands._lazy import LazyGroup

VERBS = {
    "show": "What was used and what it cost. The word `show` may be left out.",
    "prove": "Of each budget, that ledger and counters say the same.",
    "reconcile": "The ledger beside a provider's bill.",
}


@click.group(
    "usage",
    cls=LazyGroup,
    verbs=VERBS,
    home=__name__,
    otherwise="show",
    alone=True,
    subcommand_metavar="[--by WHAT] [--since 7d] | prove | reconcile FILE",
    context_settings={"ignore_unknown_options": True},
    help="What was used and what it cost, by key, team, user, model, provider, tag or day.",
)
def command() -> None:
    pass
