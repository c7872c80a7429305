"""What serves now, and whether it is what the files say: one read-only look, for ``status`` and ``doctor``."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from aiops.apply import lock, recovery
from aiops.apply.store import GenerationStore, Manifest
from aiops.apply.writes import read
from aiops.errors import AiopsError
from aiops.host import control
from aiops.host.instance import GENERATED, Instance, read_sources
from aiops.host.supervise_process import ProcessSupervisor
from aiops.spec.sources import fingerprint


@dataclass(frozen=True)
class Situation:
    """``generation`` is what serves, ``desired_generation`` what was committed last; None when there is none.

    ``gateway_state``: running, starting, degraded, stopping, stopped. ``notes`` are sentences for people.
    """

    generation: int | None
    desired_generation: int | None
    supervisor: str
    gateway_state: str
    url: str
    models: list[str]
    drift: list[str]
    notes: list[str]
    manifest: Manifest | None
    master: dict[str, Any] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        return {
            "generation": self.generation,
            "desired_generation": self.desired_generation,
            "supervisor": self.supervisor,
            "gateway": {
                "state": self.gateway_state,
                "url": self.url,
                "pid": self.master.get("pid"),
                "litellm": self.master.get("litellm"),
                "uptime": self.master.get("uptime"),
                "groups": self.master.get("groups", []),
            },
            "models": self.models,
            "drift": self.drift,
            "notes": self.notes,
        }


def look(instance: Instance) -> Situation:
    """Raises Precondition when there is no instance. Contacts nobody but the gateway's own master."""
    instance.require()
    generations = GenerationStore(instance.state)
    desired = generations.current()
    committed = generations.get(desired) if desired is not None else None
    master = control.status(instance.run, timeout=0.5)
    supervisor = ProcessSupervisor(instance)
    notes: list[str] = []
    state, serving = _gateway(master, supervisor, desired, notes, instance)
    table, summary = committed.routes() if committed else (None, None)
    url = ""
    if summary is not None:
        url = f"http://{summary.settings['gateway.host']}:{summary.settings['gateway.port']}/v1"
    holder = lock.holder(instance.state)
    pending = recovery.pending(instance.state)
    if holder is not None:
        notes.append(f"a change is going on: {holder}")
    elif pending is not None:
        notes.append(f"{pending}; the next verb tidies it up")
    return Situation(
        generation=serving,
        desired_generation=desired,
        supervisor=supervisor.name,
        gateway_state=state,
        url=url,
        models=list(table.models) if table and state not in ("stopped", "starting") else [],
        drift=drift(instance, generations, desired) if holder is None else [],
        notes=notes,
        manifest=committed.manifest if committed else None,
        master=master or {},
    )


def _gateway(
    master: dict[str, Any] | None,
    supervisor: ProcessSupervisor,
    desired: int | None,
    notes: list[str],
    instance: Instance,
) -> tuple[str, int | None]:
    if master is None:
        orphans = supervisor.orphans()
        if not orphans:
            return "stopped", None
        notes.append(
            f"the master is gone; {len(orphans)} worker(s) serve on; `{instance.command} up` starts a new master"
        )
        return "degraded", desired
    if master["state"] == "busy":
        return "starting", None
    serving: int | None = master.get("generation")
    state = {"serving": "running", "stopping": "stopping"}.get(str(master["state"]), "starting")
    revert = master.get("last_revert")
    if revert:
        notes.append(
            str(revert["reason"])
            if revert.get("boot")
            else f"generation {revert['generation']} was taken back: {revert['reason']}"
        )
        state = "degraded" if revert.get("boot") else state
    for group in master.get("groups", []):
        if group["crash_loop"] and group["role"] != "draining":
            state = "degraded"
            notes.append(f"workers of generation {group['generation']} keep dying: {group['last_failure']}")
        elif group["role"] == "draining":
            notes.append(
                f"generation {group['generation']} is finishing {len(group['workers'])} worker(s)' last requests"
            )
    return state, serving


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
