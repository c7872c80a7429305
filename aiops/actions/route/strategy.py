"""``aiops route STRATEGY``: another way of choosing between deployments, measured before and after."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from aiops.actions.change.make import make
from aiops.actions.change.prepare import Intent, Prepared, prepare
from aiops.actions.change.result import Result
from aiops.apply.store import GenerationStore
from aiops.errors import UsageError
from aiops.host import credentials, master
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
class Wish:
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


def change(instance: Instance, wish: Wish, intent: Intent, out: Output) -> Changed:
    """Measure, change, measure again. ``intent``: everything but the edit. Raises what ``make`` raises."""
    intent = replace(intent, edit=lambda sources: set_strategy(sources, wish.strategy, wish.group))
    instance.require()
    prepared = prepare(instance, intent)
    groups = _touched(instance, prepared)
    asks = wish.requests > 0 and not intent.dry_run and master.status(instance.run) is not None
    before = _measure(instance, groups.to_measure, wish.requests, out, "as it is") if asks else {}
    result = make(instance, intent, out)
    if result.outcome != "applied":
        return Changed(result)
    after = _measure(instance, list(before), wish.requests, out, f"with {wish.strategy}")
    comparisons = tuple(Comparison(name, *groups.changed[name], before[name], after[name]) for name in before)
    return Changed(result, comparisons, tuple(groups.notes))


def go_back(instance: Instance, changed: Changed, reason: str, out: Output) -> Result:
    """To the generation before, which was proved and served."""
    assert changed.result.previous is not None
    return make(instance, Intent("rollback", reason, restore=changed.result.previous, assume_yes=True), out)


def _touched(instance: Instance, prepared: Prepared) -> _Groups:
    groups = _Groups()
    base = prepared.plan.base_generation
    content = GenerationStore(instance.state).get(base).release().get(routing.NAME) if base is not None else None
    try:
        was = RoutingTable.from_json(content or b"")
    except (ValueError, KeyError, TypeError):  # none, or one of another aiops
        groups.notes.append("nothing was measured: what serves was made by another version")
        return groups
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
    return groups


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


def _measure(instance: Instance, names: Sequence[str], requests: int, out: Output, how: str) -> dict[str, Measured]:
    """Each group in turn, as it serves now, through the public port, as users reach it."""
    generations = GenerationStore(instance.state)
    current = generations.current()
    if current is None or not names:
        return {}
    table, summary = generations.get(current).routes()
    settings = summary.settings
    key = credentials.read_master_key(instance.key_file(settings.master_key_file))
    url = url_of(settings.gateway.host, settings.gateway.port)
    modes = {route.model: route.mode for route in table.routes}
    done, total = 0, len(names) * requests

    with Client(key, settings.verify.timeout, url=url) as client, out.progress(f"measuring {how}") as bar:

        def step() -> None:
            nonlocal done
            done += 1
            bar.update(done, total)

        return {name: measure(client, name, modes[name], requests, step) for name in names}
