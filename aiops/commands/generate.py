"""``aiops generate``"""

from __future__ import annotations

from pathlib import Path

import click

from aiops.context import Context
from aiops.errors import UsageError


@click.command("generate", help="Render the gateway's configuration from the files. Makes nothing live.")
@click.option("--out", "target", type=click.Path(path_type=Path), metavar="FILE", help="Write it to FILE.")
@click.option("--stdout", is_flag=True, help="Print it (the default).")
@click.option("--stock", is_flag=True, help="For LiteLLM without aiops; says what it cannot do.")
@click.pass_obj
def command(context: Context, target: Path | None, stdout: bool, stock: bool) -> None:
    if target is not None and stdout:
        raise UsageError("--out and --stdout exclude each other", "keep one of them")
    from aiops.actions.files.generate import generate

    made = generate(context.instance, target, stock)
    for gap in made.left_out or ():
        context.out.say(f"left out: {gap}")
    context.out.answer([made.line()], made.to_json())
