"""``aiops generate``"""

from __future__ import annotations

from pathlib import Path

import click

import aiops
from aiops.actions.change.prepare import Intent, prepare
from aiops.actions.instance.snapshot import Snapshot
from aiops.context import Context
from aiops.errors import UsageError
from aiops.host import files
from aiops.host.instance import GENERATED
from aiops.render.stock import stock_config


@click.command("generate", help="Render the gateway's configuration from the files. Makes nothing live.")
@click.option("--out", "target", type=click.Path(path_type=Path), metavar="FILE", help="Write it to FILE.")
@click.option("--stdout", is_flag=True, help="Print it (the default).")
@click.option("--stock", is_flag=True, help="For LiteLLM without aiops; says what it cannot do.")
@click.pass_obj
def command(context: Context, target: Path | None, stdout: bool, stock: bool) -> None:
    instance, out = context.instance, context.out
    if target is not None and stdout:
        raise UsageError("--out and --stdout exclude each other", "keep one of them")
    prepared = prepare(Snapshot.of(instance), Intent("generate"))
    content, gaps = prepared.release[GENERATED], list[str]()
    if stock:
        plain = stock_config(prepared.state, prepared.table, prepared.table.rules, aiops_version=aiops.__version__)
        content, gaps = plain.content, list(plain.gaps)
        for gap in gaps:
            out.say(f"left out: {gap}")
    if target is None:
        out.result(content.decode().rstrip("\n"))
    else:
        if target.resolve() == instance.generated.resolve():
            raise UsageError(
                f"{instance.generated} is what the gateway serves", "`aiops apply` makes changes live, and writes it"
            )
        with files.explained(target, "write"):
            files.write(target.absolute(), content)
        out.result(f"wrote {target}")
    more = {"left_out": gaps} if stock else {"release_digest": prepared.plan.release_digest}
    out.data({"outcome": "applied", "out": str(target) if target else None, **more})
