"""``aiops validate``"""

from __future__ import annotations

import click

from aiops.context import Context


@click.command("validate", help="Check the files and name every problem; then ask each active provider for its models.")
@click.option("--offline", is_flag=True, help="Only the files: contact nobody.")
@click.pass_obj
def command(context: Context, offline: bool) -> None:
    from aiops.actions.files.validate import validate

    valid = validate(context.instance, offline, context.out)
    for note in valid.notes:
        context.out.say(f"note: {note}")
    context.out.answer([valid.line()], valid.to_json())
