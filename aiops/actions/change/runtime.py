"""Which runtime a change leads to: a new one, that of the generation gone back to, or the one there is."""

from __future__ import annotations

import sys
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from aiops.actions.instance.snapshot import Snapshot
from aiops.apply.store import Generation
from aiops.errors import AiopsError
from aiops.host import engines
from aiops.host.engines import is_image
from aiops.host.instance import Instance
from aiops.spec.shapes.model import DesiredState
from aiops.supervise import program, requirements
from aiops.supervise.program import Interpreter, Program
from aiops.supervise.runtimes import Runtimes


@dataclass(frozen=True)
class Choice:
    """``id`` None is the environment of this installation. ``lines`` tell people what changes; empty when nothing."""

    id: str | None
    program: Program
    litellm: str
    lines: tuple[str, ...] = ()

    @property
    def changes(self) -> bool:
        return bool(self.lines)


def choose(now: Snapshot, wanted: str | None, restore: int | None, state: DesiredState) -> Choice:
    """``wanted``: a runtime that was built for this change; ``restore``: go back to what that generation ran in.

    ``state`` is what the change leads to. Raises Precondition when that runtime is gone.
    """
    instance, base = now.instance, now.committed
    runtimes = Runtimes(instance.state)
    before = base.manifest.runtime if base is not None else None
    running = now.master or {}
    if is_image(running.get("runtime", before)):
        return _image(now, wanted, restore, state)
    notes: list[str] = []
    if wanted is not None:
        identity: str | None = wanted
    elif restore is not None:
        target = now.generations.get(restore)
        identity = target.manifest.runtime if not is_image(target.manifest.runtime) else None
        notes += _not_the_same(target)
    else:
        # One that somebody removed cannot be kept; the change is proved in what is there.
        identity = before if before is not None and runtimes.get(before) is not None else None
    if identity is None:
        python = program.python_for(instance.state, None, running if before else {}) or Path(sys.executable)
        # What runs is what the change will be proved in; only without it does the installation have to be asked.
        runs = str(running.get("litellm") or "") if before is None and running.get("runtime") is None else ""
        chosen = Choice(None, Interpreter(python, instance.run), runs or requirements.installed_version() or "")
    else:
        made = runtimes.get(identity)
        python = runtimes.python(identity)
        chosen = Choice(identity, Interpreter(python, instance.run), made.litellm if made else "")
    if identity == before:
        return chosen
    was = (base.manifest.litellm if base is not None else "") or "?"
    line = f"~ runtime {before or 'installation'} → {identity or 'installation'} (LiteLLM {was} → {chosen.litellm})"
    return replace(chosen, lines=(line, *notes))


def _image(now: Snapshot, wanted: str | None, restore: int | None, state: DesiredState) -> Choice:
    """In a container the image is the runtime. Another: by `upgrade`, by its name in aiops.yaml, or by going back."""
    from aiops.actions.instance.containers import containers_of  # what only a container needs
    from aiops.supervise.image_program import ImageProgram

    instance, base, running = now.instance, now.committed, now.master or {}
    before = str(running.get("runtime") or (base.manifest.runtime if base else ""))
    containers, image = containers_of(instance), state.settings.container.image
    identity = wanted or before
    if restore is not None:
        target = now.generations.get(restore).manifest.runtime
        identity = target if target is not None and is_image(target) else before
    elif wanted is None and base is not None and _image_name(now) not in (None, image):
        identity = engines.runtime_of(containers.wanted_image(image))
    was = str(running.get("litellm") or (base.manifest.litellm if base else ""))
    if identity == before:
        return Choice(before, Interpreter(Path(sys.executable), instance.run), was)
    found = containers.image_of(identity)
    litellm, _ = containers.versions(found)
    requirements.require_acceptable(litellm)
    made = containers.made(found, state.gateway.host, state.gateway.port)
    line = f"~ runtime {before} → {identity} (LiteLLM {was or '?'} → {litellm})"
    return Choice(identity, ImageProgram(containers, made, instance.run), litellm, (line,))


def _image_name(now: Snapshot) -> str | None:
    """What aiops.yaml called the image when the last change was committed; None when that was no container."""
    name = now.routes[1].settings.get("container.image") if now.routes is not None else None
    return str(name) if name else None


def _not_the_same(target: Generation) -> list[str]:
    """The installation is not ours to freeze: somebody may have changed it since."""
    was, now = target.manifest.litellm, requirements.installed_version()
    if target.manifest.runtime is not None or not was or was == now:
        return []
    return [f"! generation {target.number} was proved with LiteLLM {was}; the installation has {now} now"]


def prune(instance: Instance, held: bool = False) -> list[str]:
    """Remove the runtimes that no generation and no process needs. ``held``: the caller has their lock."""
    runtimes = Runtimes(instance.state)
    now = Snapshot(instance)  # a new one: a change was made, and with it the generations and the runtime may be others
    running = (now.master or {}).get("runtime")
    if not runtimes.ids() and not is_image(running):
        return []
    needed = {generation.manifest.runtime for generation in now.generations.all()} | {running}
    if is_image(running):
        from aiops.actions.instance.containers import containers_of

        with suppress(AiopsError):  # what is not tidied up now is tidied up after the next change
            containers_of(instance).forget_images(needed)
    if held:
        return runtimes.prune(needed)
    with runtimes.held(wait=False) as taken:
        return runtimes.prune(needed) if taken else []
