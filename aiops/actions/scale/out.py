"""``aiops scale-out``: from files of its own to a Postgres and a Redis that several gateways share, in one change."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

from aiops.actions.change.make import make
from aiops.actions.change.prepare import Intent
from aiops.actions.change.result import Result
from aiops.actions.change.terms import Terms
from aiops.actions.instance import database
from aiops.actions.instance.snapshot import Snapshot
from aiops.actions.scale import preflight
from aiops.actions.scale.moving import Move, put_aside
from aiops.actions.scale.preflight import Fitness
from aiops.errors import Precondition
from aiops.host.instance import Instance
from aiops.output import Output
from aiops.spec.edit.edit import Edit, set_distributed
from aiops.spec.sources import Sources
from aiops.state import moving
from aiops.state.counters.meters import Unavailable
from aiops.state.counters.redis import PATIENCE, Redis
from aiops.state.replica import replica
from aiops.state.store import open, schema

DATABASE_URL, REDIS_URL = "database_url", "redis_url"  # in secrets/
WHY = "keys and usage are being brought to PostgreSQL by `aiops scale-out`"


def scale_out(instance: Instance, database_url_file: Path, redis_url_file: Path, terms: Terms, out: Output) -> Result:
    """Raises Precondition with every reason why not, before anything is touched; and what ``make`` raises."""
    now = Snapshot.of(instance)
    _require_alone(instance, now)
    found = Fitness()
    database_url = preflight.read_url(database_url_file, "PostgreSQL", found)
    redis_url = preflight.read_url(redis_url_file, "Redis", found)
    with out.progress("looking at both"):
        looked = preflight.look(database_url, redis_url, strict=now.desired.profile == "prod")
    problems = [*found.problems, *looked.problems]
    hint = "nothing was changed"
    if database_url is not None and not looked.problems and (twice := _conflicts(instance, database_url)):
        problems += twice
        hint += f"; {moving.RENAME}"
    if problems or database_url is None or redis_url is None:
        raise Precondition("\n".join(problems), hint)
    for line in looked.lines:
        out.say(line)

    def edit(sources: Sources) -> Edit:
        edited = set_distributed(sources, DATABASE_URL, REDIS_URL)
        return replace(edited, notes=(*edited.notes, *looked.notes, _kept(instance)))

    def begin() -> None:
        move.begin()
        if move.again:
            asyncio.run(_begin_counters(redis_url))

    move = Move(instance, database.path(instance), database_url, WHY, out)
    secrets = {DATABASE_URL: f"{database_url}\n".encode(), REDIS_URL: f"{redis_url}\n".encode()}
    intent = replace(Intent.of("scale-out", terms, edit), secrets=secrets, moves=True, landing=move.land)
    try:
        result = make(instance, intent, out, before=lambda _: begin())
    except BaseException:
        move.undo()
        raise
    if result.outcome != "applied":
        move.undo()
        return result
    if not move.finish(database_url, goes_on=False):
        out.say(f"warning: the accountant has not come to PostgreSQL yet; `{instance.command} logs` shows why")
    result.notes.append(move.sentence)
    result.notes.append(_put_aside(instance, result.generation or 0))
    return result


def _require_alone(instance: Instance, now: Snapshot) -> None:
    if now.current is None or now.master is None:
        raise Precondition("the gateway does not run", f"`{instance.command} up` starts it")
    if database.shared(instance) is not None:
        raise Precondition("this gateway shares its database already", f"`{instance.command} status` shows it")


def _conflicts(instance: Instance, url: str) -> list[str]:
    """With a database that others use."""
    path = database.path(instance)
    target = open.engine(url, connections=1)
    source = open.engine(path, connections=1)
    try:
        if not path.exists() or schema.Behind(0) in (schema.schema_state(target), schema.schema_state(source)):
            return []
        with open.reading(source) as here, open.reading(target) as there:
            return moving.conflicts(here, there, replica(instance.state))
    finally:
        source.dispose()
        target.dispose()


def _kept(instance: Instance) -> str:
    return f"{database.path(instance)} is frozen while its rows are counted over, and kept aside afterwards"


async def _begin_counters(redis_url: str) -> None:
    """Those that stayed behind have not seen what was spent since: they begin anew, and the ledger tells them."""
    redis = Redis(redis_url, connect=PATIENCE, command=PATIENCE)
    try:
        await redis.begin_epoch()
    except Unavailable as error:
        raise Precondition(str(error), "is it running?") from error
    finally:
        await redis.close()


def _put_aside(instance: Instance, generation: int) -> str:
    """What was in files of its own, out of the way of whoever comes back."""
    try:
        return f"the old database is kept as {put_aside(database.path(instance), generation)}"
    except OSError as error:
        return f"the old database is frozen, and left where it is: {error.strerror or error}"
