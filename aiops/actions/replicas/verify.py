"""``aiops verify --suite distributed``: limits, budgets, accounting and revocation, at the address of each replica."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from aiops.actions.instance.database import engine
from aiops.actions.instance.snapshot import Snapshot
from aiops.actions.replicas import load
from aiops.actions.replicas.ledger import Ledger
from aiops.actions.replicas.listed import Listed, listed
from aiops.actions.replicas.proofs import Run
from aiops.actions.replicas.throwaway import MINUTES, Throwaway
from aiops.errors import AiopsError, Precondition
from aiops.host import credentials, signals
from aiops.host.instance import Instance
from aiops.host.ports import url_of
from aiops.output import Output
from aiops.state.replica import replica
from aiops.state.store.open import reading
from aiops.verify.check import Check
from aiops.verify.client import Client
from aiops.verify.side_by_side import side_by_side
from aiops.verify.verified import Verified, require_place, verified

SUITE = "distributed"


@dataclass(frozen=True)
class Asked:
    """``model``: None for the one that costs least. ``at``: addresses of replicas by name. ``wait``: as long as a
    refusal says, and ask again."""

    model: str | None = None
    at: Mapping[str, str] | None = None
    billable: bool = False
    wait: bool = False


def verify(instance: Instance, asked: Asked, report: Path | None, out: Output) -> Verified:
    """Its keys are gone at the end, whatever that is. Raises Precondition when there is nothing to prove, or the
    report cannot be written; UnknownName, UsageError. A failed check is no error."""
    require_place(report)
    now = Snapshot.of(instance)
    if now.current is None or now.routes is None:
        raise Precondition("no generation was made yet", f"`{instance.command} up` makes the first")
    table, summary = now.routes
    settings = summary.settings
    key = credentials.read_master_key(instance.key_file(settings.master_key_file))
    own = Client(key, settings.verify.timeout, url=url_of(settings.gateway.host, settings.gateway.port))
    with ExitStack() as stack:
        database = stack.enter_context(engine(instance))
        with reading(database) as connection:
            there = listed(connection, replica(instance.state), asked.at or {})
        if not there.replicas:
            raise Precondition("no gateway lives that could be asked", f"`{instance.command} up` starts this one")
        billable = asked.billable or settings.verify.billable
        if asked.model is not None:  # before there is any key
            load.named(table, asked.model, billable)
        keys = Throwaway(instance, database, settings.verify.timeout)
        stack.enter_context(signals.brought_to_an_end())
        try:
            served = _served(keys, there)
            route = load.choose(table, asked.model, billable, own, served)
            keys.model = route.model
            wanted = load.Load(route, len(there.replicas))
            for line in wanted.lines:
                out.say(line)
            _note_one(there, out)
            bar = stack.enter_context(out.progress("proving"))
            checks = list(there.missed)

            def step(check: Check) -> None:
                checks.append(check)
                bar.update(len(checks), max(len(checks) + 1, 12 + 7 * len(there.replicas)), check.id)

            Run(instance, database, keys, Ledger(instance, database), there, wanted, key, step).prove(wait=asked.wait)
        finally:
            with signals.undisturbed():
                _remove(keys, out)
        return verified(SUITE, checks, report)


def _served(keys: Throwaway, there: Listed) -> dict[str, frozenset[str]]:
    """The names by replica, of those that say so: their master keys may be others, so it is asked with a key."""
    anybody = keys.make("models")
    found = side_by_side(lambda replica: (replica.name, anybody.served(replica)), there.replicas, len(there.replicas))
    return {name: names for name, names in found if names is not None}


def _remove(keys: Throwaway, out: Output) -> None:
    """What stopped the run is told, and not that this failed too."""
    try:
        keys.remove()
    except AiopsError as error:
        out.say(
            f"warning: the keys of this run could not be removed ({error.message}); they expire within {MINUTES} min"
        )


def _note_one(there: Listed, out: Output) -> None:
    if len(there.replicas) == 1:
        only = there.replicas[0]
        workers = f"{only.workers} worker{'s' * (only.workers != 1)}"
        out.say(f"there is one replica: what is proved is proved over its {workers}, and of no other")
