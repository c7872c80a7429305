"""``aiops scale-in``: back from a shared Postgres and Redis to files of its own, with all that is there."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

from aiops.actions.change.make import make
from aiops.actions.change.prepare import Intent
from aiops.actions.change.result import Result
from aiops.actions.change.terms import Terms
from aiops.actions.instance import database
from aiops.actions.instance.heeded import LIVE_SECONDS
from aiops.actions.instance.snapshot import Snapshot
from aiops.actions.scale.moving import Move, put_aside
from aiops.errors import Precondition
from aiops.host import files
from aiops.host.instance import Instance
from aiops.output import Output
from aiops.spec.edit.edit import Edit, set_standalone
from aiops.spec.sources import Sources
from aiops.state.counters.opened import ALONE
from aiops.state.replica import replica
from aiops.state.store import marker, open, replicas

WHY = "keys and usage are being brought to one box by `aiops scale-in`"


def scale_in(instance: Instance, terms: Terms, out: Output) -> Result:
    """Raises Precondition while other gateways use the database, unless forced, and what ``make`` raises."""
    now = Snapshot.of(instance)
    if database.shared(instance) is None:
        raise Precondition("this gateway has a database of its own already", "there is nothing to bring back")
    if now.current is None or now.master is None:
        raise Precondition("the gateway does not run", f"`{instance.command} up` starts it")
    url = database.where(instance)
    with database.engine(instance) as engine, open.reading(engine) as connection:
        mine = replica(instance.state)
        others = [each for each in replicas.live(connection, LIVE_SECONDS) if each.id != mine]
    if others and not terms.force:
        names = ", ".join(each.host for each in others)
        raise Precondition(
            f"other gateways live on the same database: {names}",
            "`aiops down` there first; with --force they go on with what they have, and the two drift apart",
        )
    path = database.path(instance)

    def edit(sources: Sources) -> Edit:
        edited = set_standalone(sources)
        kept = f"{database.named(url)} keeps what it has; while it is counted over, it takes no changes"
        return replace(edited, notes=(*edited.notes, kept))

    move = Move(instance, url, path, WHY, out)

    def begin() -> None:
        if path.exists():  # it was never used, or was left when somebody killed `scale-out` at the very end
            with files.explained(path, "rename"):
                put_aside(path, now.generations.next_number())
        marker.forget(path)
        move.begin()
        _begin_counters(instance.state / ALONE)

    intent = replace(Intent.of("scale-in", terms, edit), moves=True, landing=move.land)
    try:
        result = make(instance, intent, out, before=lambda _: begin())
    except BaseException:
        move.undo()
        raise
    if result.outcome != "applied":
        move.undo()
        return result
    if not move.finish(path, goes_on=True):
        out.say(f"warning: the accountant has not come to {path} yet; `{instance.command} logs` shows why")
    result.notes.append(move.sentence)
    return result


def _begin_counters(directory: Path) -> None:
    """Those of this host have not seen what was spent elsewhere: they begin anew, and the ledger tells them."""
    from aiops.state.counters.shared import Shared

    counters = Shared(directory)
    try:
        asyncio.run(counters.begin_epoch())
    finally:
        counters.close()
