"""``aiops import``"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from aiops.actions import takeover
from aiops.commands._instance import settings
from aiops.context import Context
from aiops.errors import UsageError, VerificationFailed
from aiops.host import files
from aiops.importing.importer import Found
from aiops.importing.report import Fate, Report, collapsed

_SHOWN = (Fate.TRANSLATED, Fate.DROPPED)


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
    instance, out = context.instance, context.out
    if not dry_run:
        takeover.require_none(instance)
    given = {("profile",): profile, ("supervisor",): supervisor, ("gateway", "port"): port}
    found = takeover.look(path, {name: value for name, value in given.items() if value is not None})
    thought = takeover.plan(instance, found)
    proof = _prove(context, found) if prove else None
    report = thought.imported.report
    if report_file is not None:  # first: when it cannot be written, there is no instance yet to be in the way
        with files.explained(report_file, "write"):
            files.write(report_file.absolute(), report.text().encode())
    made = [] if dry_run else takeover.carry_out(instance, thought)
    for each in made:
        out.say(f"made {each}")
    if dry_run:
        out.result(report.text().rstrip("\n"))
    else:
        _tell(context, report)
        if thought.imported.problems:
            out.result(f"imported into {instance.config}; mend what is named above, then `{instance.command} validate`")
        elif thought.serves:
            out.result(f"imported into {instance.config}, all of it in {thought.report}; next: `{instance.command} up`")
        else:
            out.result(f"made {instance.config}, but no model to serve came of it: {thought.report} says why")
    out.data(
        {
            "outcome": "planned" if dry_run else "applied",
            "made": [str(each) for each in made],
            "valid": not thought.imported.problems,
            "report": report.to_json(),
            **({} if proof is None else {"proof": proof}),
        }
    )


def _prove(context: Context, found: Found) -> dict[str, Any]:
    """Ask both gateways the same and say what differs. Raises VerificationFailed for what was not meant to."""
    from aiops.actions.importing.prove import prove  # httpx and more, which no other import needs

    if found.config is None:
        raise UsageError("only a LiteLLM configuration can be proved", "name the file itself")
    out = context.out
    proof = prove(*found.config, found.env, out.say)
    for difference in proof.differences:
        out.say(f"  {difference}")
    for name, line in proof.left_out:
        out.say(f"  line {line}: `{name}` was not asked: nobody else can stand where its provider is")
    if proof.bugs:
        count = len(proof.bugs)
        raise VerificationFailed(
            f"{count} difference{'s' * (count != 1)} that nothing explains: nothing was imported",
            "without `--prove` it is imported all the same",
        )
    out.say(f"proved by {proof.asked} questions: nothing is different that was not meant to be")
    return {"asked": proof.asked, "differences": [each.to_json() for each in proof.differences]}


def _tell(context: Context, report: Report) -> None:
    """What is not as it was, what has to be decided last, where the eye is. What stayed is in the report."""
    out = context.out
    for remark in report.remarks:
        out.say(f"note: {remark}")
    for entry in collapsed(report.entries):
        if entry.fate in _SHOWN:
            out.say(f"  {entry}")
    for edit in report.edits:
        out.say(f"  edited by hand: {edit}")
    for entry in report.decisions:
        out.say(f"  {entry}")
    counts = ", ".join(f"{count} {fate}" for fate, count in report.counts().items() if count)
    out.result(f"{sum(report.counts().values())} keys: {counts}")
