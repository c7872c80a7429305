"""``aiops usage prove``"""

from __future__ import annotations

import click

from aiops.context import Context
from aiops.errors import VerificationFailed


@click.command("prove", help="Of each budget, that the ledger says the same as the counters that refuse by it.")
@click.pass_obj
def command(context: Context) -> None:
    from aiops.actions.usage.prove import prove

    found = prove(context.instance)
    for line in found.lines():
        context.out.result(line, signed=True)
    if not found.ok:
        raise VerificationFailed(
            f"ledger and counters differ: {found.summary}",
            "while many requests end it may be too early: try again; `aiops logs` says what the accountant cannot do",
            data=found.to_json(),
        )
    context.out.answer([found.summary], found.to_json())
