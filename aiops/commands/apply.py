"""``aiops apply``"""

from __future__ import annotations

import click

from aiops.actions.change.prepare import Intent
from aiops.commands._mutating import mutating, run
from aiops.context import Context
from aiops.errors import UsageError

SHORTEST_DIGEST = 8


@click.command("apply", help="Make hand-edited files live: proven first, undone when it fails.")
@click.option("--plan", "digest", metavar="DIGEST", help="Only if the plan is still the one with this digest.")
@mutating(force=True)
@click.pass_obj
def command(context: Context, digest: str | None, dry_run: bool, reason: str, force: bool) -> None:
    if digest is not None and len(digest) < SHORTEST_DIGEST:
        raise UsageError(
            f"`--plan {digest}` is too short to stand for a plan", f"give at least {SHORTEST_DIGEST} characters"
        )
    intent = Intent("apply", reason, expect=digest, dry_run=dry_run, force=force, assume_yes=context.assume_yes)
    run(context, intent)
