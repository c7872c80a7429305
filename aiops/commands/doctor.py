"""``aiops doctor``"""

from __future__ import annotations

import click

from aiops.context import Context
from aiops.errors import Precondition


@click.command("doctor", help="What is wrong on this machine, and what to type to mend it. Changes nothing.")
@click.pass_obj
def command(context: Context) -> None:
    from aiops.actions.doctor.diagnose import diagnose

    findings = diagnose(context.instance)
    out = context.out
    for finding in findings:
        out.result(f"{'✓' if finding.ok else '✗'} {finding.what}", signed=True)
        if not finding.ok and finding.mend:
            out.result(f"  → {finding.mend}")
    bad = [finding for finding in findings if not finding.ok]
    data = {"ok": not bad, "findings": [finding.__dict__ for finding in findings]}
    if bad:
        raise Precondition(f"{len(bad)} thing{'s' * (len(bad) != 1)} to mend", "see the arrows above", data=data)
    out.data(data)
