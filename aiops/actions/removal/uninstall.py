"""``aiops uninstall``: everything that aiops made for an instance goes; what people wrote stays, and is named."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from aiops.actions.instance.asking import Stopwatch
from aiops.actions.instance.held import agreed, tell
from aiops.actions.instance.place import place
from aiops.actions.instance.supervisor import choose
from aiops.actions.removal import kept_running, on_disk
from aiops.actions.removal.thing import Found, Thing
from aiops.errors import AiopsError, InvalidState, Precondition
from aiops.host import master
from aiops.host.instance import Instance
from aiops.output import Output
from aiops.supervise.container import ContainerSupervisor
from aiops.supervise.contract import Supervisor
from aiops.supervise.detached import ProcessSupervisor


@dataclass(frozen=True)
class Uninstalled:
    """``removed``, ``left``: in sentences. ``seconds`` is wall time, thinking excepted."""

    outcome: str
    sentence: str
    removed: tuple[str, ...]
    left: tuple[str, ...]
    seconds: float

    def lines(self) -> list[str]:
        return [self.sentence, *(f"left: {each}" for each in self.left)]

    def to_json(self) -> dict[str, Any]:
        return {
            "outcome": self.outcome,
            "removed": list(self.removed),
            "left": list(self.left),
            "seconds": round(self.seconds, 3),
        }


def uninstall(
    instance: Instance, out: Output, *, drain: float, purge: bool, dry_run: bool, assume_yes: bool
) -> Uninstalled:
    """``drain``: seconds that requests may take to finish. Again, it goes on where it stopped, or has nothing to do.

    Raises Precondition when something cannot be taken away; what went before that is gone.
    """
    watch = Stopwatch()

    def look() -> Found:
        return _look(instance, out, drain, purge=purge)

    found = look()
    if not found.things:
        where = f"{instance.config} and {instance.state}"
        return Uninstalled("unchanged", f"nothing of aiops is in {where}", (), found.left, watch.seconds)
    if dry_run:
        tell(found, out)
        return Uninstalled("planned", "dry run: nothing was taken away", (), found.left, watch.seconds)
    instance.make_directories()  # for the lock; an uninstall that was stopped may have taken them away
    with agreed(instance, "uninstall", out, look, assume_yes=assume_yes, watch=watch) as now:
        for number, thing in enumerate(now.things):
            try:
                thing.remove()
            except AiopsError as error:
                rest = ", ".join(each.what for each in now.things[number:])
                error.hint = f"{error.hint}; then the same command again: it goes on with {rest}".removeprefix("; ")
                raise
        strange = on_disk.finish(instance, purge=purge)
    removed = tuple(thing.what for thing in now.things)
    left = (*now.left, *strange, "aiops itself: `uv tool uninstall aiops`, `pipx uninstall aiops`, or your checkout")
    return Uninstalled("applied", "what aiops made is taken away", removed, left, watch.seconds)


def _look(instance: Instance, out: Output, drain: float, *, purge: bool) -> Found:
    """Everything there is, in the order in which it goes: nobody is served any more before anything is removed."""
    supervisor = _supervisor(instance)
    found = _gateway(instance, supervisor, out, drain) + kept_running.gateway_units(instance)
    if isinstance(supervisor, ContainerSupervisor):
        found += kept_running.containers(instance)
    return found + kept_running.provider_units(instance, purge=purge) + on_disk.made(instance, purge=purge)


def _supervisor(instance: Instance) -> Supervisor:
    """Also while the files are invalid, or gone."""
    try:
        return place(instance).supervisor
    except (InvalidState, Precondition):
        return choose(instance, "auto")


def _gateway(instance: Instance, supervisor: Supervisor, out: Output, drain: float) -> Found:
    def stop() -> None:
        with out.progress("finishing requests") as bar:
            supervisor.stop(drain, bar.update)

    if master.status(instance.run) is None and not ProcessSupervisor(instance).pids():
        return Found()
    return Found((Thing(f"the gateway that runs: requests may take {drain:g} s to finish", stop),))
