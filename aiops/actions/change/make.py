"""The one use-case every mutating verb shares: edit -> plan -> apply -> verify -> commit.

Read it top to bottom: ``make`` is the story, everything else is a step of it.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

import aiops
from aiops.actions.change.prepare import Intent, Prepared, prepare
from aiops.actions.change.result import ChangeFailed, Result
from aiops.actions.instance.asking import Stopwatch, ask, asks, require_same
from aiops.actions.instance.drift import generated_is_edited
from aiops.actions.instance.held import held, settle_first, tell
from aiops.actions.instance.snapshot import Snapshot
from aiops.apply import audit
from aiops.apply.writes import FileChange, check_untouched, put
from aiops.errors import AiopsError, Interrupted, Precondition
from aiops.gateway.shared.messages import Progress as Staging
from aiops.host import clock, credentials, files
from aiops.host.files import read
from aiops.host.instance import GENERATED, Instance
from aiops.host.master import MasterGone
from aiops.host.signals import undisturbed
from aiops.output import Output, Progress
from aiops.plan.plan import Plan
from aiops.spec.shapes.secrets import EnvRef, secret_env
from aiops.spec.sources import FILES, KEYS, MAPPINGS, PROVIDERS, fingerprint

if TYPE_CHECKING:
    from aiops.actions.change.proofs import Prover
    from aiops.verify.check import Check

Act = Callable[[Intent, Prepared, Result, Output], None]
Before = Callable[[Prepared], None]

LONG_SECONDS = 3.0  # of staging: beyond this a person wants to know why


def make(instance: Instance, intent: Intent, out: Output, before: Before = lambda _: None) -> Result:
    """Carry out a change. Raises ChangeFailed once it had a plan, AiopsError before that.

    ``before`` is given the change once it is agreed to and the lock is held, before anything is touched.
    """
    instance.require()
    if intent.dry_run:
        return make_held(instance, intent, out)
    watch = Stopwatch()
    try:
        if asks(out, intent.assume_yes):
            intent = _agreed(instance, intent, out, watch)
        with held(instance, intent.verb, out, dry_run=False):
            return make_held(instance, intent, out, watch, before)
    except KeyboardInterrupt:  # what a transaction was interrupted in it says itself
        raise Interrupted("interrupted before anything was begun", "nothing was changed") from None


def make_held(
    instance: Instance,
    intent: Intent,
    out: Output,
    watch: Stopwatch | None = None,
    before: Before = lambda _: None,
) -> Result:
    """The same for a verb that holds the lock already and has settled what was left: one of several changes it makes.

    Nobody is asked. ``watch``: since the verb began; from now on when it is left out.
    """
    prepared = prepare(Snapshot.of(instance), intent)  # a look of its own: nobody else changes anything from here on
    return _attempt(intent, prepared, out, watch or Stopwatch(), partial(_carry_out, before=before))


def _agreed(instance: Instance, intent: Intent, out: Output, watch: Stopwatch) -> Intent:
    """Plan, tell and ask, with no lock held. Returns the intent, bound to the plan that was agreed to."""
    settle_first(instance, intent.verb, out)
    prepared = prepare(Snapshot.of(instance), intent)
    _attempt(intent, prepared, out, watch, partial(_ask, watch=watch))
    return replace(intent, agreed=prepared.digest)


def _attempt(intent: Intent, prepared: Prepared, out: Output, watch: Stopwatch, act: Act) -> Result:
    """Do something about a change. What it raises is recorded, and raised as ChangeFailed."""
    instance = prepared.now.instance
    result = Result("planned", None, prepared.plan.base_generation, prepared.plan, notes=list(prepared.notes))
    try:
        act(intent, prepared, result, out)
    except AiopsError as error:
        if isinstance(error, MasterGone):
            error.hint = f"`{instance.command} up` starts it"
        result.outcome = error.outcome
        result.error = error
        result.seconds = watch.seconds
        _audit(instance, intent, result)
        raise ChangeFailed(error, result) from error
    result.seconds = watch.seconds
    return result


def _ask(intent: Intent, prepared: Prepared, result: Result, out: Output, watch: Stopwatch) -> None:
    """Raises Precondition when it must not be done, or when the person at the terminal does not want it."""
    _require_allowed(intent, prepared)
    tell(prepared, out)
    if not prepared.is_same:
        _require_routes(intent, prepared)
        ask(out, watch)


def _carry_out(intent: Intent, prepared: Prepared, result: Result, out: Output, before: Before) -> None:
    """Plan to live. Raises AiopsError."""
    _require_allowed(intent, prepared)
    if intent.agreed is None:
        tell(prepared, out)
    if prepared.is_same:
        _nothing_to_do(intent, prepared, result)
    elif intent.dry_run:
        out.say("dry run: nothing was changed")
        return
    elif intent.only_takes and prepared.now.current is None and prepared.now.master is None:
        _write_down(prepared, result)
    else:
        _require_routes(intent, prepared)
        before(prepared)
        _keep_edited(prepared.now, out)
        _apply(intent, prepared, result, out)
    if not intent.dry_run:
        _audit(prepared.now.instance, intent, result)


def _nothing_to_do(intent: Intent, prepared: Prepared, result: Result) -> None:
    result.outcome = "planned" if intent.dry_run else "unchanged"
    result.generation = prepared.plan.base_generation
    if not intent.dry_run:
        # Comments may differ; the generation stays. Remember that these sources mean the same.
        instance, committed = prepared.now.instance, prepared.now.committed
        _write_sources(prepared)
        with files.explained(instance.config, "write"):
            if committed is not None and prepared.state.fingerprint != committed.manifest.fingerprint:
                files.write(instance.state / "same", f"{result.generation} {prepared.state.fingerprint}\n".encode())


def _write_down(prepared: Prepared, result: Result) -> None:
    """Less than what was never served is nothing that could be proved: the first `up` starts from it."""
    _write_sources(prepared)
    result.outcome = "applied"


def _write_sources(prepared: Prepared) -> None:
    changes = _source_changes(prepared)
    check_untouched(changes)
    with files.explained(prepared.now.instance.config, "write"), undisturbed():  # of two files both, or none
        for change in changes:
            put(change.path, change.after)


def _require_allowed(intent: Intent, prepared: Prepared) -> None:
    """The plan is the one that was agreed to, and nobody's work is lost. Raises Precondition."""
    instance = prepared.now.instance
    if intent.agreed is not None:
        require_same(intent.agreed, prepared.digest)
    if intent.expect is not None and not prepared.plan.digest.startswith(intent.expect):
        raise Precondition(
            f"the state is not what was planned: the plan is {prepared.plan.digest[:12]} now, not {intent.expect[:12]}",
            "somebody changed a file or the gateway meanwhile; `aiops plan` shows the plan as it is now",
        )
    if prepared.moved and not intent.moves:
        raise Precondition(
            "keys and usage are in another database then, and would stay behind",
            f"`{instance.command} scale-out` and `{instance.command} scale-in` take them along",
        )
    if intent.moves and prepared.plan.rows:
        raise Precondition(
            f"teams or keys are not as {KEYS} has them, and a database that is being moved takes no changes",
            f"`{instance.command} plan` shows it, `{instance.command} apply` settles it first",
        )
    # The rendered file is ours to write; an edit in it is somebody's work, and never silently lost.
    if not intent.dry_run and not intent.force and generated_is_edited(prepared.now):
        raise Precondition(
            f"{instance.generated} was edited by hand, and this change would overwrite it",
            f"`{instance.command} diff --generated` shows the edit; move it into {PROVIDERS} or {MAPPINGS}, "
            "or repeat with --force (your edited copy is kept beside it)",
        )


def _require_routes(intent: Intent, prepared: Prepared) -> None:
    """Raises Precondition naming the models that nobody would answer any more; before the first nobody answers any."""
    if intent.force or prepared.now.current is None:
        return
    again = f": `{prepared.now.instance.command} {intent.again} --force`" if intent.again else ""
    unrouted = [item.model for item in prepared.plan.newly_unrouted]
    lost = prepared.lost if intent.keeps_names else ()
    for names, first in ((unrouted, "give them a fallback first"), (lost, "let another provider serve them first")):
        if names:
            raise Precondition(
                f"nobody would answer {', '.join(names)} any more", f"{first}, or repeat with --force{again}"
            )


def _keep_edited(now: Snapshot, out: Output) -> None:
    if generated_is_edited(now):
        generated = now.instance.generated
        copy = generated.with_name(f"{GENERATED}.edited-{clock.now().replace(':', '')}")
        put(copy, read(generated), private=True)
        out.say(f"your edited copy is kept as {copy}")


def _source_changes(prepared: Prepared) -> list[FileChange]:
    config = prepared.now.instance.config
    names = [name for name in FILES if name in prepared.before or name in prepared.after]
    return [FileChange(config / name, prepared.before.get(name), prepared.after.get(name)) for name in names]


def _apply(intent: Intent, prepared: Prepared, result: Result, out: Output) -> None:
    from aiops.actions.change import address, runtime  # a plan needs none of these
    from aiops.actions.change.proofs import Prover
    from aiops.apply.store import Manifest
    from aiops.apply.transaction import Change, Transaction

    instance = prepared.now.instance
    key = credentials.read_master_key(instance.key_file(prepared.state.settings.master_key_file))
    address.require_address(prepared.now, prepared.state)
    number = prepared.now.generations.next_number()
    prover = Prover(intent, prepared, number, key, out)
    replaces = _source_changes(prepared)
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
        changes=(*prepared.runtime.lines, *prepared.plan.diff.lines()[:200], *map(str, prepared.plan.rows[:200])),
        restores=prepared.restores,
        runtime=prepared.runtime.id,
        litellm=prepared.runtime.litellm,
    )
    change = Change(
        manifest=manifest,
        providers=_providers(prepared.plan),
        sources=prepared.after,
        release=prepared.release,
        program=prepared.runtime.program,
        secrets=(*_secrets_to_keep(instance, prepared), *_secrets_brought(instance, intent)),
        replaces=replaces,
        prove_private=prover.private,
        prove_public=partial(_prove_public, prover, intent),
        unproved=prover.unproved,
        confirm_seconds=prepared.state.verify.confirm_seconds,
        keep=prepared.state.settings.history.keep,
        rows=prepared.rows if not intent.moves else None,  # they are as declared, and so is what is brought over
    )
    # The HTTP client takes 0.1 s to import: that happens while the candidate starts.
    threading.Thread(target=prover.warm, daemon=True).start()
    with out.progress(f"starting generation {number}") as bar:
        progress = _staging(out, bar, len(prepared.table.routes), prepared.plan.base_generation)
        transaction = Transaction(instance.state, instance.run, change, out.say, progress)
        try:
            transaction.execute()
        finally:
            result.steps, result.checks = transaction.steps, transaction.checks
            if prepared.restores is not None:
                _incident(intent, prepared, number, result)
    result.outcome = "applied"
    result.generation = number
    result.unproved = prover.unproved()
    for path in prepared.rows.made if prepared.rows is not None else ():
        out.say(f"the new key {path.name} is in {path}: hand it over, and remove the file")
    try:
        address.follow(prepared.now, prepared.state, out)
        runtime.prune(instance)
    except KeyboardInterrupt:
        raise Interrupted("interrupted after the change: it is live", "the next verb tidies up") from None


def _staging(out: Output, bar: Progress, models: int, base: int | None) -> Callable[[Staging], None]:
    """Show how far the candidate is, and say once when it will take long."""
    told = loads = False

    def progress(event: Staging) -> None:
        nonlocal told, loads
        if event.loads:
            if not loads:
                loads = True
                out.say(f"loading LiteLLM, about {event.estimate:.0f} s: the gateway has done without so far")
            bar.update(event.elapsed, max(event.estimate, event.elapsed * 1.2), "loading LiteLLM")
            return
        if event.estimate > LONG_SECONDS and not told:
            told = True
            serving = f"; generation {base} serves meanwhile" if base is not None else ""
            out.say(f"LiteLLM takes about {event.estimate:.0f} s here to load {models} models{serving}")
        bar.update(event.elapsed, max(event.estimate, 0.1), f"{event.ready}/{event.workers} workers")

    return progress


def _prove_public(prover: Prover, intent: Intent) -> list[Check]:
    from aiops.verify.check import failures

    checks = prover.public()
    return checks if intent.landing is None or failures(checks) else [*checks, *intent.landing()]


def _secrets_brought(instance: Instance, intent: Intent) -> list[FileChange]:
    paths = {instance.secrets / name: content for name, content in intent.secrets.items()}
    return [FileChange(path, read(path), content, private=True) for path, content in paths.items()]


def _secrets_to_keep(instance: Instance, prepared: Prepared) -> list[FileChange]:
    """Keys that this shell has and the gateway, started from another one, would miss go into ``secrets/env``."""
    names = [name for name, source in secret_env(prepared.state).items() if isinstance(source, EnvRef)]
    values = credentials.not_yet_kept(instance, names)
    if not values:
        return []
    kept = credentials.with_secrets(instance, values)
    return [FileChange(instance.env_file, read(instance.env_file), kept, private=True)]


def _incident(intent: Intent, prepared: Prepared, number: int, result: Result) -> None:
    audit.record_incident(
        prepared.now.instance.incidents,
        number,
        reason=intent.reason,
        rolled_back_from=prepared.plan.base_generation,
        restored=prepared.restores,
        undone=prepared.plan.diff.lines(),
        checks=[check.to_json() for check in result.checks],
    )


def _audit(instance: Instance, intent: Intent, result: Result) -> None:
    facts: dict[str, Any] = {"verb": intent.verb, "outcome": result.outcome, "generation": result.generation}
    if result.plan is not None:
        providers = _providers(result.plan)
        facts |= {"provider": ",".join(providers)} if providers else {}
    facts |= {"previous": result.previous, "reason": intent.reason, "seconds": round(result.seconds, 3)}
    if result.error is not None:
        facts |= {"error": result.error.message, "exit": result.error.exit_code}
    audit.record(instance.audit_log, **facts)


def _providers(plan: Plan) -> tuple[str, ...]:
    return tuple(change.name for change in plan.diff.changes if change.kind == "provider")
