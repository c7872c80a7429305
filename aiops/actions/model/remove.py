"""``aiops remove-model``: one model of a provider goes, with what refers to it."""

from __future__ import annotations

from dataclasses import replace
from shlex import quote

from aiops.actions.change.make import make
from aiops.actions.change.prepare import Intent
from aiops.actions.change.result import Result
from aiops.actions.change.terms import Terms
from aiops.host.instance import Instance
from aiops.output import Output
from aiops.spec.edit import edit


def remove(instance: Instance, provider: str, model: str, terms: Terms, out: Output) -> Result:
    """Raises UsageError for one that is not there, and what ``make`` raises."""
    intent = Intent.of("remove-model", terms, lambda sources: edit.remove_model(sources, provider, model))
    again = f"remove-model {quote(provider)} {quote(model)}"
    return make(instance, replace(intent, again=again, only_takes=True), out)
