"""Asking a provider which models it serves, and what it says about them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from aiops.actions.change.make import make
from aiops.actions.change.prepare import Intent
from aiops.actions.change.result import Result
from aiops.actions.change.terms import Terms
from aiops.actions.instance.snapshot import Snapshot
from aiops.actions.provider import managed
from aiops.errors import InvalidState, VerificationFailed
from aiops.host.instance import Instance
from aiops.output import Output
from aiops.spec.edit import edit
from aiops.spec.shapes.model import Provider
from aiops.spec.shapes.provider_types import same_model
from aiops.spec.sources import PROVIDERS, SETTINGS
from aiops.verify import diagnose, discovery
from aiops.verify.check import Failed, Skipped
from aiops.verify.discovery import Discovered

NOT_ASKED_YET = "model"  # an active provider has to have one


def models_of(
    instance: Instance,
    name: str,
    *,
    kind: str,
    base_url: str | None,
    api_key_env: str | None,
    api_key_file: str | None,
    known: Sequence[str] = (),
) -> Discovered:
    """What a provider that is not configured yet says of the models beyond ``known``.

    Raises UsageError, InvalidState for one that could not be added anyway: nobody is asked at an address that is
    refused. Raises VerificationFailed when it does not list any.
    """
    now = Snapshot.of(instance)
    alone = {SETTINGS: now.sources[SETTINGS], PROVIDERS: b"providers: {}\n"}
    added = edit.add_provider(
        alone,
        name,
        type=kind,
        base_url=base_url,
        models=known or (NOT_ASKED_YET,),
        api_key_env=api_key_env,
        api_key_file=api_key_file,
    )
    try:
        provider = now.load(added.sources).providers[name]
    except InvalidState as invalid:
        problems = [replace(each, line=0) if each.file == PROVIDERS else each for each in invalid.problems]
        raise InvalidState(problems, "nobody was asked, and nothing was changed") from invalid
    try:
        found = discovery.report(provider, now.key_of(provider))
    except (Failed, Skipped) as problem:
        raise VerificationFailed(
            f"its models could not be discovered: {problem}{_mistaken(provider, now)}",
            "name them with --model, or mend the provider",
        ) from problem
    if not found.models and not known:
        raise VerificationFailed(
            f"{provider.discovery_url} lists no models", "load one there first, or name it with --model"
        )
    had = {*known, *(same_model(name) for name in known if kind == "ollama")}
    return replace(found, models=tuple(model for model in found.models if model.name not in had))


def discover(instance: Instance, name: str, terms: Terms, out: Output) -> Result:
    """Write down what a configured provider says, where nothing is written yet. Raises what ``report_of`` and
    ``make`` raise."""
    report = report_of(instance, name)
    for note in report.notes:
        out.say(note)
    learn = Intent.of(
        "provider discover", terms, lambda sources: edit.learn(sources, name, report.models, report.parallel)
    )
    return make(instance, learn, out)


def report_of(instance: Instance, name: str) -> Discovered:
    """What a configured provider says. Raises UsageError for an unknown one, Precondition for a template,
    VerificationFailed with its reason."""
    now = Snapshot.of(instance)
    provider = managed.known(now.desired, name)
    try:
        return discovery.report(provider, now.key_of(provider))
    except (Failed, Skipped) as problem:
        raise VerificationFailed(
            f"`{name}` does not say: {problem}{_mistaken(provider, now)}", "nothing was changed"
        ) from problem


def _mistaken(provider: Provider, now: Snapshot) -> str:
    """What it looks like, when it is not what it is said to be."""
    said = diagnose.mistaken(diagnose.Server.of(provider, now.key_of(provider)))
    return f"; {said}" if said else ""
