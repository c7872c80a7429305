"""``aiops keys list``"""

from __future__ import annotations

import click

from aiops.context import Context


@click.command("list", help="A line for each key, the newest first.")
@click.option("--team", metavar="TEAM", help="Only those of this team: alias or id.")
@click.option("--user", metavar="ID", help="Only those of this user.")
@click.option("--search", metavar="TEXT", help="Only those with this in alias, name or user.")
@click.option("--all", "everything", is_flag=True, help="Also those that were revoked.")
@click.option("--after", default="", metavar="PLACE", help="Go on where the page before ended.")
@click.option("--size", type=click.IntRange(1, 1000), default=50, show_default=True, metavar="N", help="Of a page.")
@click.pass_obj
def command(
    context: Context, team: str | None, user: str | None, search: str | None, everything: bool, after: str, size: int
) -> None:
    from aiops.actions.keys.list import list

    found = list(context.instance, team=team, user=user, search=search, everything=everything, after=after, size=size)
    context.out.answer(found.lines(), found.to_json())
    if found.next:
        context.out.say(f"there are more: `{context.instance.command} keys list --after {found.next}`")
