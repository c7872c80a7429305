"""``aiops add-provider``: a provider and its routes, with the models that are named and those it says it has."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from aiops.actions.change.make import make
from aiops.actions.change.prepare import Intent
from aiops.actions.change.result import Result
from aiops.actions.change.terms import Terms
from aiops.host.instance import Instance
from aiops.output import Output
from aiops.spec.edit import edit
from aiops.spec.sources import Sources

if TYPE_CHECKING:
    from aiops.verify.discovery import Discovered


@dataclass(frozen=True)
class NewProvider:
    """What is known of it. ``discover``: it is asked for more models; ``fallback``: who answers when it cannot."""

    name: str
    type: str
    base_url: str | None = None
    models: tuple[str, ...] = ()
    discover: bool = False
    fallback: str | None = None
    api_key_env: str | None = None
    api_key_file: str | None = None
    description: str | None = None
    health_endpoint: str | None = None


def add(instance: Instance, new: NewProvider, terms: Terms, out: Output) -> Result:
    """Raises what ``models_of``, ``edit.add_provider`` and ``make`` raise."""
    found = _ask(instance, new, out) if new.discover else None

    def edited(sources: Sources) -> edit.Edit:
        return edit.add_provider(
            sources,
            new.name,
            type=new.type,
            base_url=new.base_url,
            models=(*new.models, *(found.models if found else ())),
            fallback=new.fallback,
            api_key_env=new.api_key_env,
            api_key_file=new.api_key_file,
            description=new.description,
            health_endpoint=new.health_endpoint,
            max_parallel=found.parallel if found else None,
        )

    return make(instance, Intent.of("add-provider", terms, edited), out)


def _ask(instance: Instance, new: NewProvider, out: Output) -> Discovered:
    from aiops.actions.provider.discover import models_of  # what only those need who ask

    report = models_of(
        instance,
        new.name,
        kind=new.type,
        base_url=new.base_url,
        api_key_env=new.api_key_env,
        api_key_file=new.api_key_file,
        known=new.models,
    )
    for note in report.notes:
        out.say(note)
    return report
