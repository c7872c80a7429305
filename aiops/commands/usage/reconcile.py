"""``aiops usage reconcile FILE``"""

from __future__ import annotations

from pathlib import Path

import click

from aiops.commands import _names as names
from aiops.context import Context
from aiops.errors import VerificationFailed


@click.command("reconcile", help="The ledger beside a provider's bill: CSV or JSON with a day, a model and dollars.")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--provider", shell_complete=names.providers, metavar="NAME", help="Only what this provider answered.")
@click.option(
    "--tolerance", type=click.FloatRange(0, 100), default=1.0, show_default=True, metavar="PERCENT",
    help="What they may differ by.",
)  # fmt: skip
@click.pass_obj
def command(context: Context, file: Path, provider: str | None, tolerance: float) -> None:
    from aiops.actions.usage.reconcile import reconcile

    found = reconcile(context.instance, file, provider, tolerance / 100)
    for line in found.lines():
        context.out.result(line)
    if not found.ok:
        raise VerificationFailed(
            found.summary, "`aiops usage --by model --by day` shows what was counted", data=found.to_json()
        )
    context.out.answer([found.summary], found.to_json())
