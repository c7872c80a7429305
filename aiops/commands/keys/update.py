"""``aiops keys update``"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import click

from aiops.actions.change.terms import Terms
from aiops.commands import _names as names
from aiops.commands._limits import KEY, options
from aiops.commands._mutating import mutating
from aiops.context import Context


@click.command("update", help="Change a key: what is said changes, the rest stays; `none` takes a limit away.")
@click.argument("key", shell_complete=names.keys)
@options(KEY)
@mutating()
@click.pass_obj
def command(context: Context, key: str, fields: Mapping[str, Any], terms: Terms) -> None:
    from aiops.actions.keys.update import update

    done = update(context.instance, key, fields, terms, context.out)
    context.out.answer([done.sentence], done.to_json())
