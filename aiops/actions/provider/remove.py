"""``aiops remove-provider``: a provider goes, with its routes and what refers to them."""

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


def remove(instance: Instance, name: str, terms: Terms, out: Output) -> Result:
    """Raises UsageError for one that is not there, Precondition when names would be answered by nobody, and what
    ``make`` raises."""
    intent = Intent.of("remove-provider", terms, lambda sources: edit.remove_provider(sources, name))
    again = f"remove-provider {quote(name)}"
    return make(instance, replace(intent, again=again, only_takes=True, keeps_names=True), out)
