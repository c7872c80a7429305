"""``aiops import``"""

from __future__ import annotations

from pathlib import Path

import click

from aiops.commands._instance import settings
from aiops.context import Context


@click.command("import", help="Make an instance out of a LiteLLM config.yaml, or a directory with providers.yaml.")
@click.argument("path", type=click.Path(path_type=Path))
@settings
@click.option(
    "--report", "report_file", type=click.Path(path_type=Path), metavar="FILE", help="Write the report there."
)
@click.option("--dry-run", is_flag=True, help="Print the report and stop.")
@click.option(
    "--prove", is_flag=True, help="Run LiteLLM and the imported gateway side by side first; say what differs."
)
@click.pass_obj
def command(
    context: Context,
    path: Path,
    profile: str | None,
    supervisor: str | None,
    port: int | None,
    report_file: Path | None,
    dry_run: bool,
    prove: bool,
) -> None:
    from aiops.actions.takeover import look, take_over

    given = {("profile",): profile, ("supervisor",): supervisor, ("gateway", "port"): port}
    wanted = {name: value for name, value in given.items() if value is not None}
    proof = None
    if prove:
        from aiops.actions.importing.prove import proved

        proof = proved(look(path, wanted), context.out)
    taken = take_over(context.instance, path, wanted, context.out, report=report_file, dry_run=dry_run)
    told = {} if proof is None else {"proof": proof.to_json()}
    context.out.answer(taken.lines(), {**taken.to_json(), **told})
    if proof is None and taken.made and taken.valid and taken.takeover.serves:
        from aiops.actions.importing.offer import offer

        offer(taken.instance, path, look(path, wanted), context.out, assume_yes=context.assume_yes)
