"""Making an instance out of the commented defaults."""

from __future__ import annotations

from importlib import resources
from pathlib import Path

from aiops.host import credentials, files
from aiops.host.instance import Instance
from aiops.spec.edit.edit import set_value
from aiops.spec.sources import AT_INIT, SETTINGS, Sources


def make_instance(instance: Instance, *, profile: str | None, supervisor: str | None, port: int | None) -> list[Path]:
    """Write what is missing; returns what was made. Raises Precondition when it cannot be written."""
    sources: Sources = defaults()
    values = {("profile",): profile, ("supervisor",): supervisor, ("gateway", "port"): port}
    for path, value in values.items():
        if value is not None:
            sources = set_value(sources, SETTINGS, path, value).sources
    made: list[Path] = []
    with files.explained(instance.config, "make the instance in"):
        instance.make_directories()
        fresh = not instance.exists
        # aiops.yaml last: it is what says that there is an instance.
        for name in sorted(AT_INIT, key=lambda each: each == SETTINGS):
            if fresh and not (instance.config / name).exists():
                files.write(instance.config / name, sources[name])
                made.append(instance.config / name)
        if credentials.make_master_key(instance):
            made.append(instance.master_key)
    return made


def defaults() -> dict[str, bytes]:
    """The commented examples: package data of an installed wheel, ``config/`` of a checkout."""
    packaged = resources.files("aiops") / "data" / "config"
    checkout = Path(__file__).parents[2] / "config"
    return {
        name: (packaged / name).read_bytes() if (packaged / name).is_file() else (checkout / name).read_bytes()
        for name in AT_INIT
    }
