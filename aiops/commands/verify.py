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
    from aiops.actions.service.verify import prove
    from aiops.verify import check as checks_module

    out = context.out
    suite = "all" if everything else suite
    checks = prove(context.instance, out, suite, billable)
    for check in checks:
        out.result(str(check))
    if junit is not None:
        from aiops.host import files

        with files.explained(junit, "write"):
            files.write(junit.absolute(), checks_module.junit(checks, suite))
    failed = checks_module.failures(checks)
    counts = {status: sum(check.status == status for check in checks) for status in ("pass", "fail", "skip")}
    summary = ", ".join(f"{number} {status}" for status, number in counts.items())
    data = {"ok": not failed, "suite": suite, **counts, "checks": [check.to_json() for check in checks]}
    if failed:
        raise VerificationFailed(
            f"verification failed: {summary}", "`aiops logs` and `aiops doctor` show more", data=data
        )
    out.result(summary)
    out.data(data)
