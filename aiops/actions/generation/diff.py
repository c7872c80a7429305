"""``aiops diff``: what is different between two generations, or in a generated file that was edited by hand."""

from __future__ import annotations

import difflib

from aiops.apply.store import GenerationStore
from aiops.errors import UsageError
from aiops.host.files import read
from aiops.host.instance import GENERATED, Instance
from aiops.plan.diff import diff


def generations(instance: Instance, first: int | None, second: int | None) -> list[str]:
    """From ``first`` to ``second``, or to the current one. Raises UsageError, Precondition without an instance."""
    instance.require()
    store = GenerationStore(instance.state)
    if first is None:
        raise UsageError("which generations?", "`aiops diff N M`; without M the current one")
    second = store.current() if second is None else second
    if second is None:
        raise UsageError("there is no current generation", "`aiops diff N M`")
    (old, was), (new, now) = store.get(first).routes(), store.get(second).routes()
    return diff(old, new, was, now).lines()


def generated(instance: Instance) -> list[str]:
    """Hand edits, as a unified diff. Raises UsageError before the first generation, Precondition."""
    instance.require()
    store = GenerationStore(instance.state)
    current = store.current()
    if current is None:
        raise UsageError("nothing was generated yet", "`aiops up` makes the first generation")
    ours = store.get(current).release().get(GENERATED, b"").decode().splitlines()
    theirs = (read(instance.generated) or b"").decode(errors="replace").splitlines()
    return list(difflib.unified_diff(ours, theirs, f"generation {current}", str(instance.generated), lineterm=""))
