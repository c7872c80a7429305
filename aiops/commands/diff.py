"""``aiops diff``"""

from __future__ import annotations

import difflib

import click

from aiops.apply.store import GenerationStore
from aiops.context import Context
from aiops.errors import UsageError
from aiops.host.files import read
from aiops.host.instance import GENERATED
from aiops.plan.diff import diff


@click.command("diff", help="What is different between generations N and M, or in a generated file that was edited.")
@click.argument("first", type=int, required=False, metavar="[N]")
@click.argument("second", type=int, required=False, metavar="[M]")
@click.option("--generated", is_flag=True, help="Hand edits of the generated file instead.")
@click.pass_obj
def command(context: Context, first: int | None, second: int | None, generated: bool) -> None:
    instance, out = context.instance, context.out
    instance.require()
    generations = GenerationStore(instance.state)
    current = generations.current()
    if generated:
        if current is None:
            raise UsageError("nothing was generated yet", "`aiops up` makes the first generation")
        ours = generations.get(current).release().get(GENERATED, b"").decode().splitlines()
        theirs = (read(instance.generated) or b"").decode(errors="replace").splitlines()
        lines = list(difflib.unified_diff(ours, theirs, f"generation {current}", str(instance.generated), lineterm=""))
    else:
        if first is None:
            raise UsageError("which generations?", "`aiops diff N M`; without M the current one")
        second = current if second is None else second
        if second is None:
            raise UsageError("there is no current generation", "`aiops diff N M`")
        (old, was), (new, now) = generations.get(first).routes(), generations.get(second).routes()
        lines = diff(old, new, was, now).lines()
    for line in lines or ["no difference"]:
        out.result(line)
    out.data({"lines": lines})
