"""The one use-case every mutating verb shares: edit -> plan -> apply -> verify -> commit.

Read it top to bottom: ``make`` is the story, everything else is a step of it.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

import aiops
from aiops.actions.change import address, runtime
from aiops.actions.change.prepare import Intent, Prepared, is_same, prepare
from aiops.actions.change.proofs import Prover
from aiops.actions.change.result import ChangeFailed, Result
from aiops.actions.instance.drift import generated_is_edited, serving_fingerprint
from aiops.actions.instance.held import agreed, held
from aiops.apply import audit
from aiops.apply.store import GenerationStore, Manifest
from aiops.apply.transaction import Order, Transaction
from aiops.apply.writes import FileChange, check_untouched, put
from aiops.errors import AiopsError, Precondition
from aiops.gateway.shared.messages import Progress as Staging
from aiops.host import clock, credentials, files
from aiops.host.files import read
from aiops.host.instance import GENERATED, Instance
from aiops.host.master import MasterGone
from aiops.output import Output, Progress
from aiops.spec.shapes.secrets import EnvRef, secret_env
from aiops.spec.sources import FILES, MAPPINGS, PROVIDERS, fingerprint

LONG_SECONDS = 3.0  # of staging: beyond this a person wants to know why


def make(instance: Instance, intent: Intent, out: Output) -> Result:
    """Carry out a change. Raises ChangeFailed once it had a plan, AiopsError before that."""
    instance.require()
    if intent.dry_run:
        return make_held(instance, intent, out)
    started = time.monotonic()
    with held(instance, intent.verb, out, dry_run=False):
        return make_held(instance, intent, out, started)


def make_held(instance: Instance, intent: Intent, out: Output, started: float | None = None) -> Result:
    """The same for a verb that holds the lock already and has settled what was left: one of several changes it makes.

    ``started``: when the verb began, on the monotonic clock; now when it is left out.
    """
    started = time.monotonic() if started is None else started
    prepared = prepare(instance, intent)
    result = Result("planned", None, prepared.plan.base_generation, prepared.plan, notes=list(prepared.notes))
    try:
        waited = _carry_out(instance, intent, prepared, result, out)
    except AiopsError as error:
        if isinstance(error, MasterGone):
            error.hint = f"`{instance.command} up` starts it"
        result.outcome = "rolled_back" if error.exit_code in (5, 6) else "refused"
        result.error = error
        result.seconds = time.monotonic() - started
        _audit(instance, intent, result)
        raise ChangeFailed(error, result) from error
    result.seconds = time.monotonic() - started - waited
    if not intent.dry_run:
        _audit(instance, intent, result)
    return result


def _carry_out(instance: Instance, intent: Intent, prepared: Prepared, result: Result, out: Output) -> float:
    """Plan to live. Returns the seconds spent waiting for a person. Raises AiopsError."""
    plan = prepared.plan
    if intent.expect is not None and not plan.digest.startswith(intent.expect):
        raise Precondition(
            f"the state is not what was planned: the plan is {plan.digest[:12]} now, not {intent.expect[:12]}",
            "somebody changed a file or the gateway meanwhile; `aiops plan` shows the plan as it is now",
        )
    _require_unedited(instance, intent, out)
    for line in (*prepared.runtime.lines, *plan.lines(), *(f"note: {note}" for note in prepared.notes)):
        out.say(line)
    if is_same(instance, prepared):
        return _nothing_to_do(instance, intent, prepared, result, out)
    if intent.dry_run:
        out.say("dry run: nothing was changed")
        return 0.0
    if plan.newly_unrouted and not intent.force:
        names = ", ".join(item.model for item in plan.newly_unrouted)
        raise Precondition(
            f"nobody would answer {names} any more", "give them a fallback first, or repeat with --force"
        )
    waited = agreed(out, intent.assume_yes)
    _apply(instance, intent, prepared, result, out)
    return waited


def _nothing_to_do(instance: Instance, intent: Intent, prepared: Prepared, result: Result, out: Output) -> float:
    result.outcome = "planned" if intent.dry_run else "unchanged"
    result.generation = prepared.plan.base_generation
    if not intent.dry_run:
        # Comments may differ; the generation stays. Remember that these sources mean the same.
        changes = _source_changes(instance, prepared)
        check_untouched(changes)
        with files.explained(instance.config, "write"):
            for change in changes:
                put(change.path, change.after)
            if prepared.state.fingerprint != serving_fingerprint(instance):
                files.write(instance.state / "same", f"{result.generation} {prepared.state.fingerprint}\n".encode())
    return 0.0


def _require_unedited(instance: Instance, intent: Intent, out: Output) -> None:
    """The rendered file is ours to write; an edit in it is somebody's work, and never silently lost."""
    if intent.dry_run or not generated_is_edited(instance):
        return
    if not intent.force:
        raise Precondition(
            f"{instance.generated} was edited by hand, and this change would overwrite it",
            f"`{instance.command} diff --generated` shows the edit; move it into {PROVIDERS} or {MAPPINGS}, "
            "or repeat with --force (your edited copy is kept beside it)",
        )
    copy = instance.generated.with_name(f"{GENERATED}.edited-{clock.now().replace(':', '')}")
    put(copy, read(instance.generated), private=True)
    out.say(f"your edited copy is kept as {copy}")


def _source_changes(instance: Instance, prepared: Prepared) -> list[FileChange]:
    names = [name for name in FILES if name in prepared.before or name in prepared.after]
    return [FileChange(instance.config / name, prepared.before.get(name), prepared.after.get(name)) for name in names]


def _apply(instance: Instance, intent: Intent, prepared: Prepared, result: Result, out: Output) -> None:
    key = credentials.read_master_key(instance.key_file(prepared.state.settings.master_key_file))
    address.require_address(instance, prepared.plan.base_generation, prepared.state)
    generations = GenerationStore(instance.state)
    number = generations.next_number()
    prover = Prover(instance, prepared.state, prepared.table, prepared.plan, number, key, out, prepared.runtime.changes)
    replaces = _source_changes(instance, prepared)
    replaces.append(FileChange(instance.generated, read(instance.generated), prepared.release[GENERATED]))
    manifest = Manifest(
        generation=number,
        parent=prepared.plan.base_generation,
        verb=intent.verb,
        reason=intent.reason,
        who=clock.who(),
        created=clock.now(),
        fingerprint=fingerprint(prepared.after),
        release_digest=prepared.plan.release_digest,
        aiops_version=aiops.__version__,
        changes=(*prepared.runtime.lines, *prepared.plan.diff.lines()[:200]),
        restores=intent.restore,
        runtime=prepared.runtime.id,
        litellm=prepared.runtime.litellm,
    )
    order = Order(
        manifest=manifest,
        sources=prepared.after,
        release=prepared.release,
        program=prepared.runtime.program,
        secrets=_secrets_to_keep(instance, prepared),
        replaces=replaces,
        prove_private=prover.private,
        prove_public=prover.public,
        confirm_seconds=prepared.state.verify.confirm_seconds,
        keep=prepared.state.settings.history.keep,
    )
    # The HTTP client takes 0.1 s to import: that happens while the candidate starts.
    threading.Thread(target=prover.warm, daemon=True).start()
    with out.progress(f"starting generation {number}") as bar:
        progress = _staging(out, bar, len(prepared.table.routes), prepared.plan.base_generation)
        transaction = Transaction(instance.state, instance.run, order, out.say, progress)
        try:
            transaction.execute()
        finally:
            result.steps, result.checks = transaction.report.steps, transaction.report.checks
            if intent.restore is not None:
                _incident(instance, intent, prepared, number, result)
    result.outcome = "applied"
    result.generation = number
    address.follow(instance, prepared.plan.base_generation, prepared.state, out)
    runtime.prune(instance)


def _staging(out: Output, bar: Progress, models: int, base: int | None) -> Callable[[Staging], None]:
    """Show how far the candidate is, and say once when it will take long."""
    told = False

    def progress(event: Staging) -> None:
        nonlocal told
        if event.estimate > LONG_SECONDS and not told:
            told = True
            serving = f"; generation {base} serves meanwhile" if base is not None else ""
            out.say(f"LiteLLM takes about {event.estimate:.0f} s here to load {models} models{serving}")
        bar.update(event.elapsed, max(event.estimate, 0.1), f"{event.ready}/{event.workers} workers")

    return progress


def _secrets_to_keep(instance: Instance, prepared: Prepared) -> FileChange | None:
    """Keys that this shell has and the gateway, started from another one, would miss go into ``secrets/env``."""
    names = [name for name, source in secret_env(prepared.state).items() if isinstance(source, EnvRef)]
    values = credentials.not_yet_kept(instance, names)
    if not values:
        return None
    return FileChange(
        instance.env_file, read(instance.env_file), credentials.with_secrets(instance, values), private=True
    )


def _incident(instance: Instance, intent: Intent, prepared: Prepared, number: int, result: Result) -> None:
    audit.record_incident(
        instance.incidents,
        number,
        reason=intent.reason,
        rolled_back_from=prepared.plan.base_generation,
        restored=intent.restore,
        undone=prepared.plan.diff.lines(),
        checks=[check.to_json() for check in result.checks],
    )


def _audit(instance: Instance, intent: Intent, result: Result) -> None:
    facts: dict[str, Any] = {"verb": intent.verb, "outcome": result.outcome, "generation": result.generation}
    if result.plan is not None:
        providers = [change.name for change in result.plan.diff.changes if change.kind == "provider"]
        facts |= {"provider": ",".join(providers)} if providers else {}
    facts |= {"previous": result.previous, "reason": intent.reason, "seconds": round(result.seconds, 3)}
    if result.error is not None:
        facts |= {"error": result.error.message, "exit": result.error.exit_code}
    audit.record(instance.audit_log, **facts)
