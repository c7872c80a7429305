"""``aiops verify``: proving the gateway as it is, at any time."""

from __future__ import annotations

from pathlib import Path

from aiops.actions.instance.drift import drift
from aiops.actions.instance.snapshot import Snapshot
from aiops.errors import Precondition
from aiops.gateway.shared.messages import Status
from aiops.host import credentials, files
from aiops.host.instance import Instance
from aiops.host.ports import url_of
from aiops.output import Output
from aiops.spec.routes.routes import RouteTable
from aiops.verify import diagnose, suites
from aiops.verify.check import Check
from aiops.verify.client import Client
from aiops.verify.lanes import lanes
from aiops.verify.unproved import still
from aiops.verify.verified import Verified, require_place, verified


def verify(instance: Instance, suite: str, billable: bool, report: Path | None, out: Output) -> Verified:
    """``suite``: quick or all. ``report``: where the checks are written as JUnit XML, if anywhere.

    Raises Precondition when there is nothing to prove, or the report cannot be written. A failed check is no error.
    """
    require_place(report)
    return verified(suite, prove(instance, out, suite, billable), report)


def prove(instance: Instance, out: Output, suite: str, billable: bool) -> list[Check]:
    """All checks of a suite. Raises Precondition when there is nothing to prove."""
    now = Snapshot.of(instance)
    current = now.current
    if current is None or now.routes is None:
        raise Precondition("no generation was made yet", f"`{instance.command} up` makes the first")
    master = now.master
    table, summary = now.routes
    settings = summary.settings
    key = credentials.read_master_key(instance.key_file(settings.master_key_file))
    timeout = settings.verify.timeout
    every = suite == "all"
    subject = suites.Subject(
        current,
        table,
        _to_prove(table, suite),
        billable or settings.verify.billable,
        lanes=lanes(summary.providers),
        every_model=every,
    )
    checks = [_same_as_files(now), _confirmed(master, current)]
    with out.progress("proving") as bar:
        total = len(subject.prove) * 2 + 10
        done = 0

        def step(check: Check) -> None:
            nonlocal done
            done += 1
            bar.update(done, max(total, done + 1), check.id)

        url = url_of(settings.gateway.host, settings.gateway.port)
        sockets = [worker.http for worker in master.serving if worker.http] if master is not None else []
        public = Client(key, timeout, url=url)
        workers = [Client(key, timeout, socket=path) for path in sockets]
        proved = suites.everything(public, workers, subject, step)
        if settings.gateway.admin is not None:
            proved += suites.apart(public, Client(key, timeout, url=url_of(*settings.gateway.admin)), step)
    servers = {name: diagnose.Server(name, facts["type"], facts["url"]) for name, facts in summary.providers.items()}
    checks += diagnose.explained(proved, table, servers)
    _take_off(now, checks)
    return checks


def _take_off(now: Snapshot, checks: list[Check]) -> None:
    """What was served unproved and has answered now is proved."""
    committed = now.committed
    if committed is None or not committed.unproved:
        return
    served = {(each.provider, name) for each in committed.unproved for name in each.models}
    left = still(committed.unproved, checks, served)
    if left != list(committed.unproved):
        with files.explained(committed.directory, "write"):
            now.generations.leave_unproved(committed.number, left)


def _to_prove(table: RouteTable, suite: str) -> list[str]:
    if suite == "all":
        return list(table.models)
    return table.one_of_each()


def _same_as_files(now: Snapshot) -> Check:
    found = drift(now)
    return Check("desired", "fail" if found else "pass", "; ".join(found) or f"the files are generation {now.current}")


def _confirmed(master: Status | None, current: int) -> Check:
    if master is None:
        return Check("master", "fail", "the gateway's master is not running")
    if master.generation != current:
        return Check("master", "fail", f"generation {current} was committed, {master.generation} serves")
    return Check("master", "pass", f"pid {master.pid}")
