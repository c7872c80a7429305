"""``aiops route explain``: what happens to a request, by the files as they are and by what serves."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from aiops.actions.change.prepare import Intent, prepare
from aiops.actions.instance.snapshot import Snapshot
from aiops.errors import AiopsError, UnknownName, UsageError
from aiops.host.instance import Instance
from aiops.render import lanes
from aiops.spec.choosing.conditions import Facts
from aiops.spec.choosing.request_facts import CHARACTERS_PER_TOKEN, facts_of
from aiops.spec.lanes.table import PATHS
from aiops.spec.routes.explain import Explainer, Explanation
from aiops.spec.routes.resolve import resolve
from aiops.spec.suggest import listed, nearest


def request(model: str, headers: Sequence[str], tokens: int, stream: bool, batch: int) -> Facts:
    """``headers``: ``NAME=VALUE``. Raises UsageError."""
    pairs = [header.partition("=") for header in headers]
    for name, sign, _ in pairs:
        if not sign or not name.strip():
            raise UsageError(f"`--header {name}` is no header", "for example --header x-quality-tier=high")
    named = {name.strip().lower(): value.strip() for name, _, value in pairs}
    length = tokens * CHARACTERS_PER_TOKEN
    return facts_of(model, headers=named, tokens=tokens, length=length, stream=stream, batch_size=batch)


def path_of(written: str | None) -> str:
    """What stands behind ``/v1/``; "" for None. Raises UsageError for what is asked without a model."""
    path = (written or "").strip("/").removeprefix("v1/")
    if path and path not in PATHS:
        close = nearest(path, PATHS)
        raise UsageError(
            f"`--path {written}`: models are not asked there",
            f"did you mean `{close}`?" if close else f"known: {listed(PATHS, 40)}",
        )
    return path


def unanswered(found: Explanation) -> UnknownName:
    """What to say, and to raise, of a name that nobody answers."""
    said = "; ".join((f"{found.model}: nobody answers", *found.notes))
    hint = f"did you mean `{found.nearest}`?" if found.nearest else ""
    return UnknownName(said, hint, data=found.to_json())


def explain(instance: Instance, facts: Facts, path: str = "") -> Explanation:
    """``path``: as of ``path_of``. Raises InvalidState when the files are wrong."""
    prepared = prepare(Snapshot.of(instance), Intent("route"))
    same = prepared.table.rules.same.get(facts.model)
    notes = [] if same is None else [f"to Ollama `{facts.model}` is `{same}`"]
    facts = replace(facts, model=same or facts.model)
    found = Explainer(prepared.state, prepared.table).explain(facts, path)
    if note := _served_otherwise(prepared.now, facts, path, found):
        notes.append(note)
    return replace(found, notes=(*found.notes, *notes)) if notes else found


def _served_otherwise(now: Snapshot, facts: Facts, path: str, found: Explanation) -> str:
    """A sentence when the gateway runs and would do something else."""
    serving = now.master.generation if now.master is not None else None
    if serving is None:
        return ""
    served_from = now.generations.get(serving)
    if lanes.NAME not in served_from.release():
        older = "was made by an aiops that asked everybody by way of LiteLLM"
        return f"generation {serving}, which serves, {older}: `{now.instance.command} apply` renews it"
    serves = served_from.sources()
    if serves == now.sources:
        return ""
    try:
        state = now.load(serves)
    except AiopsError:
        return f"generation {serving}, which serves, cannot be compared: its sources do not load any more"
    served = Explainer(state, resolve(state)).explain(facts, path)
    if served.way == found.way:
        return ""
    first = served.members[0] if served.members else None
    other = f"asks {first.provider}/{first.model} first (lane: {first.lane})" if first is not None else "knows nobody"
    return f"generation {serving}, which serves, {other}: `{now.instance.command} plan` shows what is different"
