"""``aiops route explain``: what happens to a request, by the files as they are and by what serves."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from aiops.actions.change.prepare import Intent, prepare
from aiops.apply.store import GenerationStore
from aiops.errors import AiopsError, UsageError
from aiops.host import credentials, master
from aiops.host.instance import Instance
from aiops.spec.choosing.conditions import Facts
from aiops.spec.choosing.request_facts import CHARACTERS_PER_TOKEN, facts_of
from aiops.spec.load.load import load
from aiops.spec.routes.explain import Explainer, Explanation
from aiops.spec.routes.resolve import resolve
from aiops.spec.sources import Sources


def request(model: str, headers: Sequence[str], tokens: int, stream: bool, batch: int) -> Facts:
    """``headers``: ``NAME=VALUE``. Raises UsageError."""
    pairs = [header.partition("=") for header in headers]
    for name, sign, _ in pairs:
        if not sign or not name.strip():
            raise UsageError(f"`--header {name}` is no header", "for example --header x-quality-tier=high")
    named = {name.strip().lower(): value.strip() for name, _, value in pairs}
    length = tokens * CHARACTERS_PER_TOKEN
    return facts_of(model, headers=named, tokens=tokens, length=length, stream=stream, batch_size=batch)


def explain(instance: Instance, facts: Facts) -> Explanation:
    """Raises InvalidState when the files are wrong."""
    instance.require()
    prepared = prepare(instance, Intent("route"))
    found = Explainer(prepared.state, prepared.table).explain(facts)
    note = _served_otherwise(instance, prepared.before, facts, found)
    return replace(found, notes=(*found.notes, note)) if note else found


def _served_otherwise(instance: Instance, sources: Sources, facts: Facts, found: Explanation) -> str:
    """A sentence when the gateway runs and would do something else."""
    status = master.status(instance.run)
    serving = status.generation if status is not None else None
    if serving is None:
        return ""
    serves = GenerationStore(instance.state).get(serving).sources()
    if serves == sources:
        return ""
    try:
        state = load(serves, credentials.environment(instance))
    except AiopsError:
        return f"generation {serving}, which serves, cannot be compared: its sources do not load any more"
    served = Explainer(state, resolve(state)).explain(facts)
    if served.way == found.way:
        return ""
    other = f"asks {served.members[0].provider}/{served.members[0].model} first" if served.members else "knows nobody"
    return f"generation {serving}, which serves, {other}: `{instance.command} plan` shows what is different"
