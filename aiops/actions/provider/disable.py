"""``aiops disable``: a provider is out for maintenance, and its models answer through their fallbacks."""

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


def disable(instance: Instance, name: str, terms: Terms, out: Output) -> Result:
    """Raises UsageError for one that is not there, and what ``make`` raises."""
    intent = Intent.of("disable", terms, lambda sources: edit.set_status(sources, name, "disabled"))
    return make(instance, replace(intent, again=f"disable {quote(name)}", only_takes=True), out)
