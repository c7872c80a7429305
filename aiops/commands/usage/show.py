"""``aiops usage``"""

from __future__ import annotations

from typing import Any

import click

from aiops.commands import _names as names
from aiops.context import Context
from aiops.errors import UsageError

BY = ("day", "key", "team", "user", "model", "provider", "tag")


@click.command("show", help="What was used and what it cost. The word `show` may be left out.")
@click.option(
    "--by", multiple=True, type=click.Choice(BY), default=("day",), metavar="WHAT",
    help=f"{', '.join(BY)}; again for one within the other. By day without it.",
)  # fmt: skip
@click.option("--since", default="7d", show_default=True, metavar="7d", help="A day, or how long ago.")
@click.option("--until", metavar="DAY", help="The last day; today without it. Days are UTC's.")
@click.option("--key", shell_complete=names.keys, metavar="KEY", help="Only of this key: alias, id or hash.")
@click.option("--team", shell_complete=names.teams, metavar="TEAM", help="Only of this team: alias or id.")
@click.option("--user", metavar="ID", help="Only of this user.")
@click.option("--model", shell_complete=names.models, metavar="NAME", help="Only of this model.")
@click.option("--provider", shell_complete=names.providers, metavar="NAME", help="Only of this provider.")
@click.option("--tag", metavar="NAME", help="Only with this tag.")
@click.option("--csv", "as_csv", is_flag=True, help="As CSV, to the nano-dollar.")
@click.option("--plot", is_flag=True, help="As bars.")
@click.pass_obj
def command(context: Context, /, by: Any, as_csv: bool, plot: bool, **only: Any) -> None:
    from aiops.actions.usage.show import Asked, show

    if as_csv and plot:
        raise UsageError("--csv and --plot are two ways to show it", "leave one of them out")
    found = show(context.instance, Asked(by=tuple(dict.fromkeys(by)), **only))
    context.out.answer(found.csv() if as_csv else found.plot() if plot else found.lines(), found.to_json())
