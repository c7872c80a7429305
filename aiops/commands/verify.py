"""``aiops verify``"""

from __future__ import annotations

from pathlib import Path

import click

from aiops.context import Context
from aiops.errors import VerificationFailed


@click.command("verify", help="Prove what is served, with real requests. A skipped check is never a passed one.")
@click.option(
    "--suite",
    type=click.Choice(["quick", "all"]),
    default="quick",
    show_default=True,
    help="quick: one model a provider; all: every model.",
)
@click.option("--all", "everything", is_flag=True, help="The same as --suite all.")
@click.option("--billable", is_flag=True, help="Also call providers that cost money.")
@click.option("--junit", type=click.Path(path_type=Path), metavar="FILE", help="Write the checks as JUnit XML.")
@click.pass_obj
def command(context: Context, suite: str, everything: bool, billable: bool, junit: Path | None) -> None:
    from aiops.actions.service.verify import verify

    found = verify(context.instance, "all" if everything else suite, billable, junit, context.out)
    for check in found.checks:
        context.out.result(str(check), signed=True)
    if not found.ok:
        raise VerificationFailed(
            f"verification failed: {found.summary}", "`aiops logs` and `aiops doctor` show more", data=found.to_json()
        )
    context.out.answer([found.summary], found.to_json())
