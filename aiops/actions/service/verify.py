"""``aiops verify``: proving the gateway as it is, at any time."""

from __future__ import annotations

from contextlib import ExitStack

from aiops.actions.instance.drift import drift
from aiops.apply.store import Generation, GenerationStore
from aiops.errors import Precondition
from aiops.gateway.shared.messages import Status
from aiops.host import credentials
from aiops.host import master as control
from aiops.host.instance import Instance
from aiops.host.ports import url_of
from aiops.output import Output
from aiops.spec.routes.routes import RouteTable
from aiops.verify import suites
from aiops.verify.check import Check
from aiops.verify.client import Client


def prove(instance: Instance, out: Output, suite: str, billable: bool) -> list[Check]:
    """All checks of a suite. Raises Precondition when there is nothing to prove."""
    instance.require()
    generations = GenerationStore(instance.state)
    current = generations.current()
    if current is None:
        raise Precondition("no generation was made yet", f"`{instance.command} up` makes the first")
    generation = generations.get(current)
    master = control.status(instance.run)
    table, summary = generation.routes()
    settings = summary.settings
    key = credentials.read_master_key(instance.key_file(settings.master_key_file))
    timeout = settings.verify.timeout
    subject = suites.Subject(current, table, _to_prove(table, suite), billable or settings.verify.billable)
    checks = [_same_as_files(instance, generations, generation), _confirmed(master, current)]
    with ExitStack() as stack, out.progress("proving") as bar:
        total = len(subject.prove) * 2 + 10
        done = 0

        def step(check: Check) -> None:
            nonlocal done
            done += 1
            bar.update(done, max(total, done + 1), check.id)

        url = url_of(settings.gateway.host, settings.gateway.port)
        sockets = [worker.http for worker in master.serving if worker.http] if master is not None else []
        public = stack.enter_context(Client(key, timeout, url=url))
        workers = [stack.enter_context(Client(key, timeout, socket=path)) for path in sockets]
        budget = timeout + suites.SECONDS_A_PROBE * len(subject.prove)
        return checks + suites.everything(public, workers, subject, budget, step)


def _to_prove(table: RouteTable, suite: str) -> list[str]:
    if suite == "all":
        return list(table.models)
    return table.one_of_each()


def _same_as_files(instance: Instance, generations: GenerationStore, generation: Generation) -> Check:
    found = drift(instance, generations, generation.number)
    return Check(
        "desired", "fail" if found else "pass", "; ".join(found) or f"the files are generation {generation.number}"
    )


def _confirmed(master: Status | None, current: int) -> Check:
    if master is None:
        return Check("master", "fail", "the gateway's master is not running")
    if master.generation != current:
        return Check("master", "fail", f"generation {current} was committed, {master.generation} serves")
    return Check("master", "pass", f"pid {master.pid}")
