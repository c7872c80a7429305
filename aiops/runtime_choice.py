"""Which runtime a change leads to: a new one, that of the generation gone back to, or the one there is."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

from aiops.apply.store import Generation, GenerationStore
from aiops.host import control, program, requirements
from aiops.host.instance import Instance
from aiops.host.runtimes import Runtimes


@dataclass(frozen=True)
class Choice:
    """``id`` None is the environment of this installation. ``lines`` tell people what changes; empty when nothing."""

    id: str | None
    python: Path
    litellm: str
    lines: tuple[str, ...] = ()

    @property
    def changes(self) -> bool:
        return bool(self.lines)


def choose(instance: Instance, wanted: str | None, restore: int | None, base: int | None) -> Choice:
    """``wanted``: a runtime that was built for this change; ``restore``: go back to what that generation ran in.

    Raises Precondition when that one is gone.
    """
    generations, runtimes = GenerationStore(instance.state), Runtimes(instance.state)
    now = generations.get(base) if base is not None else None
    before = now.manifest.runtime if now is not None else None
    notes: list[str] = []
    if wanted is not None:
        identity: str | None = wanted
    elif restore is not None:
        target = generations.get(restore)
        identity = target.manifest.runtime
        notes += _not_the_same(target)
    else:
        # One that somebody removed cannot be kept; the change is proved in what is there.
        identity = before if before is not None and runtimes.get(before) is not None else None
    if identity is None:
        python = program.python_for(instance.state, None, control.status(instance.run) or {} if before else {})
        version = requirements.installed_version() or ""
        chosen = Choice(None, python or Path(sys.executable), version)
    else:
        made = runtimes.get(identity)
        chosen = Choice(identity, runtimes.python(identity), made.litellm if made else "")
    if identity == before:
        return chosen
    was = (now.manifest.litellm if now is not None else "") or "?"
    line = f"~ runtime {before or 'installation'} → {identity or 'installation'} (LiteLLM {was} → {chosen.litellm})"
    return Choice(chosen.id, chosen.python, chosen.litellm, (line, *notes))


def _not_the_same(target: Generation) -> list[str]:
    """The installation is not ours to freeze: somebody may have changed it since."""
    was, now = target.manifest.litellm, requirements.installed_version()
    if target.manifest.runtime is not None or not was or was == now:
        return []
    return [f"! generation {target.number} was proved with LiteLLM {was}; the installation has {now} now"]


def prune(instance: Instance, held: bool = False) -> list[str]:
    """Remove the runtimes that no generation and no process needs. ``held``: the caller has their lock."""
    runtimes = Runtimes(instance.state)
    if not runtimes.ids():
        return []
    needed = {generation.manifest.runtime for generation in GenerationStore(instance.state).all()}
    needed.add((control.status(instance.run) or {}).get("runtime"))
    if held:
        return runtimes.prune(needed)
    with runtimes.held(wait=False) as taken:
        return runtimes.prune(needed) if taken else []
