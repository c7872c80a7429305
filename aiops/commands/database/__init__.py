"""``aiops database check|migrate``"""

from __future__ import annotations

import click

from aiops.commands._lazy import LazyGroup

VERBS = {
    "check": "Whether it is there, whole, and of this aiops' schema.",
    "migrate": "Bring its tables to the schema of this aiops.",
}


@click.group("database", cls=LazyGroup, verbs=VERBS, home=__name__, help="The database of keys, teams and usage.")
def command() -> None:
    pass
