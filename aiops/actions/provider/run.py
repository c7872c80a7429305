"""Providers as services: start, stop and look at the unit that runs one, without users getting an error for it."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from aiops.actions.instance.asking import Stopwatch
from aiops.actions.instance.held import agreed, tell
from aiops.actions.instance.snapshot import Snapshot
from aiops.actions.provider.managed import Managed, ProviderResult, known, managed, require_room
from aiops.actions.provider.wait import wait_until_drained, wait_until_serving
from aiops.apply import audit
from aiops.errors import Interrupted, Precondition, RolledBack, VerificationFailed
from aiops.host.instance import Instance
from aiops.host.provider_unit import ProviderUnit
from aiops.host.signals import brought_to_an_end
from aiops.output import Output
from aiops.spec.choosing.said import Said
from aiops.spec.shapes.model import Provider
from aiops.verify import provider_load, providers
from aiops.verify.check import Check, Skipped, timed


@dataclass(frozen=True)
class State:
    """What there is to know about one provider. ``running`` is systemd's word, None without a unit to ask about;
    ``routes`` are the models that it answers now."""

    name: str
    status: str
    unit: str | None
    scope: str | None
    running: str | None
    at_boot: str | None
    exclusive_group: str | None
    check: Check
    load: Said | None
    routes: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    def __str__(self) -> str:
        unit = f"{self.unit} {self.running}" if self.unit else "no unit"
        boot = f", {self.at_boot} at boot" if self.at_boot else ""
        answers = f"; answers {', '.join(self.routes)}" if self.routes else ""
        load = f"; {self.load}" if self.load else ""
        return f"{self.name} ({self.status}): {unit}{boot}; {self.check.detail}{load}{answers}"


@dataclass(frozen=True)
class _Start:
    """Its unit will be started; nothing but waiting when it runs already."""

    server: Managed
    runs: bool

    @property
    def lines(self) -> tuple[str, ...]:
        return (f"{self.server.unit} runs already" if self.runs else f"+ start {self.server.unit}",)

    @property
    def digest(self) -> str:
        return self.lines[0]

    @property
    def asks(self) -> bool:
        return not self.runs


@dataclass(frozen=True)
class _Stop:
    """Its unit will be stopped."""

    server: Managed

    @property
    def lines(self) -> tuple[str, ...]:
        return (f"- stop {self.server.unit}",)

    @property
    def digest(self) -> str:
        return self.lines[0]

    @property
    def asks(self) -> bool:
        return True


def start(
    instance: Instance, name: str, *, limit: float, dry_run: bool, assume_yes: bool, reason: str, out: Output
) -> ProviderResult:
    """Start its unit and wait, at most ``limit`` seconds, until it serves its models.

    Raises Precondition when another of its exclusive group runs, RolledBack or VerificationFailed (it is stopped
    again) when it does not come to serve, Interrupted.
    """
    verb, watch = "provider start", Stopwatch()

    def propose() -> _Start:
        now = Snapshot.of(instance)
        server = managed(now, name)
        server.unit.require()
        require_room(now, server)
        return _Start(server, server.unit.now().runs)

    if dry_run:
        planned = propose()
        tell(planned, out)
        unit = planned.server.unit
        return ProviderResult("planned", f"{unit} would be started", name, str(unit), 0.0)
    with agreed(instance, verb, out, propose, assume_yes=assume_yes, watch=watch) as plan, brought_to_an_end():
        unit = plan.server.unit
        with out.progress(f"starting {name}") as bar:
            if not plan.runs:
                unit.start()
            try:
                wait_until_serving(plan.server, limit, bar.update)
            except (RolledBack, VerificationFailed, KeyboardInterrupt) as error:
                if not plan.runs:
                    unit.stop(bar.update)
                if isinstance(error, KeyboardInterrupt):
                    undone = "was running before and still is" if plan.runs else "is stopped again"
                    raise Interrupted(f"interrupted; {unit} {undone}", undone=not plan.runs) from error
                raise
    outcome, how = ("unchanged", "serves already") if plan.runs else ("applied", "serves")
    result = ProviderResult(outcome, f"{name} {how}", name, str(unit), watch.seconds)
    _audit(instance, verb, result, reason)
    return result


def stop(
    instance: Instance,
    name: str,
    *,
    drain: float,
    force: bool,
    dry_run: bool,
    assume_yes: bool,
    reason: str,
    out: Output,
) -> ProviderResult:
    """Stop its unit, after the requests of a generation that is leaving have finished (at most ``drain`` seconds).

    Raises Precondition when users would notice and ``force`` is not given.
    """
    verb, watch = "provider stop", Stopwatch()

    def propose() -> _Stop:
        now = Snapshot.of(instance)
        server = managed(now, name)
        server.unit.require()
        answered = now.routes_to(name)
        if answered and not force:
            raise Precondition(
                f"{name} answers {', '.join(answered)} now; without it they would fail",
                f"`{instance.command} disable {name}` sends them to their fallbacks first; --force stops it anyway",
            )
        return _Stop(server)

    if dry_run:
        planned = propose()
        tell(planned, out)
        unit = planned.server.unit
        return ProviderResult("planned", f"{unit} would be stopped", name, str(unit), 0.0)
    with agreed(instance, verb, out, propose, assume_yes=assume_yes, watch=watch) as plan:
        unit = plan.server.unit
        with out.progress(f"stopping {name}") as bar:
            wait_until_drained(instance, drain, bar.update, out)
            stopped = unit.stop(bar.update)
    outcome, how = ("applied", "is stopped") if stopped else ("unchanged", "was not running")
    result = ProviderResult(outcome, f"{name} {how}", name, str(unit), watch.seconds)
    _audit(instance, verb, result, reason)
    return result


def status(instance: Instance, name: str | None) -> list[State]:
    """Of one provider, or of all that are not templates. Raises UsageError for an unknown one, Precondition."""
    now = Snapshot.of(instance)
    providers = now.desired.providers.values()
    asked = [known(now.desired, name)] if name else [each for each in providers if each.status != "template"]
    return [_state(now, provider) for provider in asked]


def _state(now: Snapshot, provider: Provider) -> State:
    check = timed(f"provider:{provider.name}", lambda: _served(now, provider))
    running = at_boot = None
    if provider.service is not None:
        unit = ProviderUnit(provider.service)
        why = unit.why_unknown()
        seen = unit.now()
        running = f"unknown: {why}" if why else f"{seen.active} ({seen.sub})" if seen.load == "loaded" else seen.load
        at_boot = seen.enabled or None
    return State(
        name=provider.name,
        status=provider.status,
        unit=provider.service.unit if provider.service else None,
        scope=provider.service.scope if provider.service else None,
        running=running,
        at_boot=at_boot,
        exclusive_group=provider.service.exclusive_group if provider.service else None,
        check=check,
        load=provider_load.load(provider, now.key_of(provider)) if check.status == "pass" else None,
        routes=now.routes_to(provider.name),
    )


def _served(now: Snapshot, provider: Provider) -> str:
    if provider.kind.cloud:
        raise Skipped("a service on the Internet: not asked")
    return providers.serves(provider, now.key_of(provider))


def _audit(instance: Instance, verb: str, result: ProviderResult, reason: str) -> None:
    audit.record(
        instance.audit_log,
        verb=verb,
        outcome=result.outcome,
        provider=result.provider,
        unit=result.unit,
        reason=reason,
        seconds=round(result.seconds, 3),
    )
