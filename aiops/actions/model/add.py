"""``aiops add-model``: one model more of a provider."""

from __future__ import annotations

from aiops.actions.change.make import make
from aiops.actions.change.prepare import Intent
from aiops.actions.change.result import Result
from aiops.actions.change.terms import Terms
from aiops.actions.provider.pull import pull_model
from aiops.host.instance import Instance
from aiops.output import Output
from aiops.spec.edit import edit


def add(
    instance: Instance, provider: str, model: str, fallback: str | None, pull: bool, terms: Terms, out: Output
) -> Result:
    """``pull``: an Ollama provider downloads it first. Raises UsageError, Precondition, and what ``make`` raises."""
    if pull and not terms.dry_run:
        pull_model(instance, provider, model, out)
    return make(
        instance, Intent.of("add-model", terms, lambda sources: edit.add_model(sources, provider, model, fallback)), out
    )
