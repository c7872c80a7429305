"""``aiops route STRATEGY``: another way of choosing between deployments, measured before and after."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from aiops.actions.change.make import make
from aiops.actions.change.prepare import Intent, Prepared
from aiops.actions.change.result import Result
from aiops.actions.instance.snapshot import Snapshot
from aiops.errors import UsageError
from aiops.host import credentials
from aiops.host.instance import Instance
from aiops.host.ports import url_of
from aiops.output import Output
from aiops.render import routing
from aiops.spec.choosing.rules import ALIASES, Group, Member, RoutingTable, Strategy, strategy
from aiops.spec.edit.edit import set_strategy
from aiops.spec.suggest import did_you_mean, listed
from aiops.verify.client import Client
from aiops.verify.comparison import Comparison
from aiops.verify.measure import Measured, measure

MOST_GROUPS = 5  # measured by one change: a person waits for it


@dataclass(frozen=True)
class StrategyIntent:
    """``requests``: measured for each group, before and again after; 0 measures nothing."""

    strategy: Strategy
    group: str | None = None
    requests: int = 20


@dataclass(frozen=True)
class Changed:
    """``notes``: what was not compared, and why."""

    result: Result
    comparisons: tuple[Comparison, ...] = ()
    notes: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        return {
            **self.result.to_json(),
            "comparison": [each.to_json() for each in self.comparisons],
            "comparison_notes": list(self.notes),
        }


@dataclass
class _Groups:
    """What a change touches: the groups that will choose in another way, those worth measuring first."""

    changed: dict[str, tuple[Strategy, Strategy]] = field(default_factory=dict)
    to_measure: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def wanted(text: str) -> Strategy:
    """The strategy that is meant. Raises UsageError with the nearest one that exists."""
    try:
        return strategy(text)
    except ValueError:
        names = [each.value for each in Strategy]
        hint = did_you_mean(text, [*names, *ALIASES], f"strategies: {listed(names, 20)}")
        raise UsageError(f"there is no strategy `{text}`", hint) from None


def change(instance: Instance, wanted: StrategyIntent, intent: Intent, out: Output) -> Changed:
    """Measure, change, measure again. ``intent``: everything but the edit. Raises what ``make`` raises."""
    intent = replace(intent, edit=lambda sources: set_strategy(sources, wanted.strategy, wanted.group))
    groups, before = _Groups(), dict[str, Measured]()

    def measure_before(prepared: Prepared) -> None:
        """Agreed to, and the lock is held: these are the groups that will choose in another way."""
        _touch(groups, prepared)
        if wanted.requests > 0 and prepared.now.master is not None:
            before.update(_measure(prepared.now, groups.to_measure, wanted.requests, out, "as it is"))

    result = make(instance, intent, out, measure_before)
    if result.outcome != "applied":
        return Changed(result)
    now = Snapshot.of(instance)  # again: another generation serves
    after = _measure(now, list(before), wanted.requests, out, f"with {wanted.strategy}")
    comparisons = tuple(Comparison(name, *groups.changed[name], before[name], after[name]) for name in before)
    return Changed(result, comparisons, tuple(groups.notes))


def go_back(instance: Instance, changed: Changed, reason: str, out: Output) -> Result:
    """To the generation before, which was proved and served."""
    previous = changed.result.previous
    assert previous is not None
    return make(instance, Intent("rollback", reason, restore=lambda _: previous, assume_yes=True), out)


def _touch(groups: _Groups, prepared: Prepared) -> None:
    try:
        was = RoutingTable.from_json(prepared.now.release.get(routing.NAME, b""))
    except (ValueError, KeyError, TypeError):  # none, or one of another aiops
        groups.notes.append("nothing was measured: what serves was made by another version")
        return
    now = RoutingTable.from_json(prepared.release[routing.NAME])
    groups.changed = changed_strategies(was.names, now.names)
    if not groups.changed:
        groups.notes.append("no group chooses in another way than before")
    for name in groups.changed:
        paid = _billable(prepared, [*was.names[name].members, *now.names[name].members])
        if paid and not prepared.state.verify.billable:
            groups.notes.append(
                f"`{name}` was not measured: {paid} costs money (`verify: {{billable: true}}` allows it)"
            )
        elif len(groups.to_measure) == MOST_GROUPS:
            groups.notes.append(f"`{name}` was not measured: {MOST_GROUPS} groups were")
        else:
            groups.to_measure.append(name)


def changed_strategies(was: Mapping[str, Group], now: Mapping[str, Group]) -> dict[str, tuple[Strategy, Strategy]]:
    """Groups of several members that choose in another way than before: name to (before, after)."""
    return {
        name: (was[name].strategy, group.strategy)
        for name, group in now.items()
        if name in was and len(group.members) > 1 and was[name].strategy != group.strategy
    }


def _billable(prepared: Prepared, members: Sequence[Member]) -> str:
    """Who of them costs money, or is not known any more and may."""
    known = prepared.state.providers
    paid = {
        member.provider
        for member in members
        if member.provider not in known or known[member.provider].bills(member.model or "")
    }
    return listed(paid)


def _measure(now: Snapshot, names: Sequence[str], requests: int, out: Output, how: str) -> dict[str, Measured]:
    """Each group in turn, as it serves now, through the public port, as users reach it."""
    if now.routes is None or not names:
        return {}
    table, summary = now.routes
    settings = summary.settings
    key = credentials.read_master_key(now.instance.key_file(settings.get("master_key_file")))
    url = url_of(str(settings["gateway.host"]), int(settings["gateway.port"]))
    modes = {route.model: route.mode for route in table.routes}
    done, total = 0, len(names) * requests

    client = Client(key, float(settings["verify.timeout"]), url=url)
    with out.progress(f"measuring {how}") as bar:

        def step() -> None:
            nonlocal done
            done += 1
            bar.update(done, total)

        return {name: measure(client, name, modes[name], requests, step) for name in names}
