"""How the files differ from what serves."""

from __future__ import annotations

from aiops.actions.instance.snapshot import Snapshot
from aiops.errors import AiopsError
from aiops.host.files import read
from aiops.host.instance import GENERATED, Instance
from aiops.spec.sources import Sources, fingerprint


def generated_is_edited(now: Snapshot) -> bool:
    """Whether somebody wrote into the published copy of what is served."""
    published, served = read(now.instance.generated), now.release.get(GENERATED)
    return published is not None and served is not None and published != served


def drift(now: Snapshot) -> list[str]:
    """How the files differ from what serves, in sentences."""
    generation, instance = now.committed, now.instance
    if generation is None:
        return []
    number = generation.number
    found = []
    try:
        if changed := edited_files(now):
            found.append(f"{', '.join(changed)} edited since generation {number}: `{instance.command} plan` shows it")
    except AiopsError as error:
        found.append(error.message)
    if now.declares_keys:
        from aiops.actions.instance.tenancy import drift_of_rows  # SQLAlchemy, for those alone who have a keys.yaml

        try:
            found += drift_of_rows(now)
        except AiopsError as error:
            found.append(error.message)
    published, served = read(instance.generated), now.release.get(GENERATED)
    if served is None:
        damaged = f"generation {number} is damaged, {generation.directory}/release/{GENERATED} is missing"
        found.append(f"{damaged}: `{instance.command} rollback --reason …` or the next change puts that right")
    elif published is None:
        found.append(f"{instance.generated} is missing; the next change writes it again")
    elif published != served:
        found.append(f"{instance.generated} was edited by hand: `{instance.command} diff --generated` shows it")
    return found


def edited_files(now: Snapshot) -> tuple[str, ...]:
    """The names of the operator's files that say something else than the committed generation. Raises InvalidState."""
    generation = now.committed
    if generation is None:
        return ()
    files = fingerprint(now.sources)
    if files == generation.manifest.fingerprint or f"{generation.number} {files}" == _acknowledged(now.instance):
        return ()
    return tuple(_changed_files(now.sources, generation.sources()))


def _acknowledged(instance: Instance) -> str:
    return (read(instance.state / "same") or b"").decode().strip()


def _changed_files(now: Sources, served: Sources) -> list[str]:
    return [name for name in sorted({*now, *served}) if now.get(name) != served.get(name)]
