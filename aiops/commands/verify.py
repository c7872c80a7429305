"""``aiops verify``"""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urlsplit

import click

from aiops.context import Context
from aiops.errors import UsageError, VerificationFailed

DISTRIBUTED = "distributed"


@click.command("verify", help="Prove what is served, with real requests. A skipped check is never a passed one.")
@click.option(
    "--suite",
    type=click.Choice(["quick", "all", DISTRIBUTED]),
    default="quick",
    show_default=True,
    help="quick: one model a provider; all: every model; distributed: limits, budgets and keys, at each replica.",
)
@click.option("--all", "everything", is_flag=True, help="The same as --suite all.")
@click.option("--billable", is_flag=True, help="Also call providers that cost money.")
@click.option("--model", metavar="NAME", help="distributed: the model that is asked; else the one that costs least.")
@click.option("--at", multiple=True, metavar="NAME=URL", help="distributed: where a replica is reached from here.")
@click.option("--wait", is_flag=True, help="distributed: also wait out a Retry-After, up to a minute, and ask again.")
@click.option(
    "--junit", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE", help="Write the checks as JUnit XML."
)
@click.pass_obj
def command(
    context: Context,
    suite: str,
    everything: bool,
    billable: bool,
    model: str | None,
    at: tuple[str, ...],
    wait: bool,
    junit: Path | None,
) -> None:
    if suite == DISTRIBUTED:
        if everything:
            raise UsageError("--all and --suite distributed are two suites", "run one after the other")
        from aiops.actions.replicas.verify import Asked
        from aiops.actions.replicas.verify import verify as verify_replicas

        found = verify_replicas(context.instance, Asked(model, _addresses(at), billable, wait), junit, context.out)
    else:
        if model or at or wait:
            raise UsageError(
                "--model, --at and --wait are of --suite distributed", "`aiops verify --suite distributed`"
            )
        from aiops.actions.service.verify import verify

        found = verify(context.instance, "all" if everything else suite, billable, junit, context.out)
    for check in found.checks:
        context.out.result(str(check), signed=True)
    if not found.ok:
        raise VerificationFailed(
            f"verification failed: {found.summary}", "`aiops logs` and `aiops doctor` show more", data=found.to_json()
        )
    context.out.answer([found.summary], found.to_json())


def _addresses(given: tuple[str, ...]) -> dict[str, str]:
    """Raises UsageError."""
    found = {}
    for each in given:
        name, _, url = each.partition("=")
        address = _address(url)
        if not name or address is None:
            raise UsageError(f"--at {each} is no NAME=URL", "write it as box-2=http://10.0.0.2:4000")
        found[name] = address
    return found


def _address(url: str) -> str | None:
    """Without a path; None where nobody can be."""
    try:
        parts = urlsplit(url)
        there = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:  # a bracket too few, a port that is none
        return None
    return f"{parts.scheme}://{parts.netloc}" if there else None
