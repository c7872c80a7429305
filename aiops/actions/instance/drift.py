"""How the files differ from what serves."""

from __future__ import annotations

from typing import Any

from aiops.apply.store import GenerationStore
from aiops.errors import AiopsError
from aiops.host.files import read
from aiops.host.instance import GENERATED, Instance, read_sources
from aiops.spec.sources import fingerprint


def serving_fingerprint(instance: Instance) -> str | None:
    generations = GenerationStore(instance.state)
    current = generations.current()
    return generations.get(current).manifest.fingerprint if current is not None else None


def generated_is_edited(instance: Instance) -> bool:
    generations = GenerationStore(instance.state)
    current = generations.current()
    now = read(instance.generated)
    served = generations.get(current).release().get(GENERATED) if current is not None else None
    return now is not None and served is not None and now != served


def drift(instance: Instance, generations: GenerationStore, current: int | None) -> list[str]:
    """How the files differ from what serves, in sentences."""
    if current is None:
        return []
    generation = generations.get(current)
    found = []
    try:
        now = fingerprint(read_sources(instance))
        if now != generation.manifest.fingerprint and f"{current} {now}" != _acknowledged(instance):
            changed = _changed_files(instance, generation.sources())
            found.append(f"{', '.join(changed)} edited since generation {current}: `{instance.command} plan` shows it")
    except AiopsError as error:
        found.append(error.message)
    published, served = read(instance.generated), generation.release().get(GENERATED)
    if served is None:
        damaged = f"generation {current} is damaged, {generation.directory}/release/{GENERATED} is missing"
        found.append(f"{damaged}: `{instance.command} rollback --reason …` or the next change puts that right")
    elif published is None:
        found.append(f"{instance.generated} is missing; the next change writes it again")
    elif published != served:
        found.append(f"{instance.generated} was edited by hand: `{instance.command} diff --generated` shows it")
    return found


def _acknowledged(instance: Instance) -> str:
    return (read(instance.state / "same") or b"").decode().strip()


def _changed_files(instance: Instance, served: Any) -> list[str]:
    now = read_sources(instance)
    return [name for name in sorted({*now, *served}) if now.get(name) != served.get(name)]
