"""``aiops upgrade``"""

from __future__ import annotations

from pathlib import Path

import click

from aiops.actions.change.terms import Terms
from aiops.commands._mutating import mutating, report
from aiops.context import Context


@click.command(
    "upgrade", help="Another LiteLLM (without VERSION: the one of this installation, and its aiops), losing no request."
)
@click.argument("version", required=False, metavar="[VERSION]")
@click.option(
    "--find-links",
    type=click.Path(exists=True, file_okay=False, path_type=Path, resolve_path=True),
    metavar="DIR",
    help="Take packages from this directory only.",
)
@click.option("--offline", is_flag=True, help="Only what uv has in its cache.")
@mutating()
@click.pass_obj
def command(context: Context, version: str | None, find_links: Path | None, offline: bool, terms: Terms) -> None:
    from aiops.actions.upgrade.program import UpgradeIntent, upgrade

    report(context, upgrade(context.instance, UpgradeIntent(version, find_links, offline, terms), context.out))
