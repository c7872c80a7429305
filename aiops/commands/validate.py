"""``aiops validate``"""

from __future__ import annotations

import click

from aiops.actions.change.prepare import Intent, prepare
from aiops.actions.instance.snapshot import Snapshot
from aiops.context import Context
from aiops.errors import VerificationFailed
from aiops.host import credentials
from aiops.spec.routes.notes import notes
from aiops.spec.routes.summary import summarise


@click.command("validate", help="Check the files and name every problem; then ask each active provider for its models.")
@click.option("--offline", is_flag=True, help="Only the files: contact nobody.")
@click.pass_obj
def command(context: Context, offline: bool) -> None:
    instance, out = context.instance, context.out
    prepared = prepare(Snapshot.of(instance), Intent("validate"))
    credentials.read_master_key(instance.key_file(prepared.state.settings.master_key_file))
    checks = []
    if not offline:
        from aiops.host.credentials import provider_keys
        from aiops.verify import providers

        known = list(prepared.state.providers.values())
        checks = providers.look(known, provider_keys(instance, known, prepared.now.environment))
        for check in checks:
            out.say(str(check))
    failed = [check for check in checks if check.status == "fail"]
    if failed:
        raise VerificationFailed(
            "the files are fine, but " + "; ".join(f"{check.id}: {check.detail}" for check in failed),
            "mend the provider, `aiops disable` it, or use --offline",
        )
    remarks = notes(prepared.state, prepared.table)
    for remark in remarks:
        out.say(f"note: {remark}")
    models, count = len(prepared.table.routes), len(summarise(prepared.state).providers)
    out.result(f"valid: {count} provider{'s' * (count != 1)}, {models} model{'s' * (models != 1)} served")
    out.data(
        {
            "ok": True,
            "providers": count,
            "models": models,
            "notes": [str(remark) for remark in remarks],
            "checks": [check.to_json() for check in checks],
        }
    )
