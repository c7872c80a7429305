"""Providers as services: start, stop and look at the unit that runs one, without users getting an error for it."""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass
from typing import Any

from aiops.actions.instance.desired import desired
from aiops.actions.instance.held import agreed, held
from aiops.actions.provider.managed import Outcome, known, managed, require_room
from aiops.actions.provider.wait import routes_to, wait_until_drained, wait_until_serving
from aiops.apply import audit
from aiops.errors import Interrupted, Precondition, RolledBack, VerificationFailed
from aiops.host.credentials import provider_key
from aiops.host.instance import Instance
from aiops.host.provider_unit import ProviderUnit
from aiops.host.signals import brought_to_an_end
from aiops.output import Output
from aiops.spec.shapes.model import Provider
from aiops.verify import provider_load, providers
from aiops.verify.check import Check, Skipped, timed
from aiops.verify.provider_load import Load


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
    load: Load | None
    routes: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    def __str__(self) -> str:
        unit = f"{self.unit} {self.running}" if self.unit else "no unit"
        boot = f", {self.at_boot} at boot" if self.at_boot else ""
        answers = f"; answers {', '.join(self.routes)}" if self.routes else ""
        load = f"; {self.load}" if self.load else ""
        return f"{self.name} ({self.status}): {unit}{boot}; {self.check.detail}{load}{answers}"


def start(
    instance: Instance, name: str, *, limit: float, dry_run: bool, assume_yes: bool, reason: str, out: Output
) -> Outcome:
    """Start its unit and wait, at most ``limit`` seconds, until it serves its models.

    Raises Precondition when another of its exclusive group runs, RolledBack or VerificationFailed (it is stopped
    again) when it does not come to serve, Interrupted.
    """
    started = time.monotonic()
    with held(instance, "provider start", out, dry_run=dry_run), brought_to_an_end():
        state = desired(instance)
        server = managed(instance, state, name)
        server.unit.require()
        require_room(instance, state, server)
        runs = server.unit.now().runs
        out.say(f"+ start {server.unit}" if not runs else f"{server.unit} runs already")
        if dry_run:
            return Outcome("planned", f"{server.unit} would be started", name, str(server.unit), 0.0)
        agreed(out, assume_yes)
        with out.progress(f"starting {name}") as bar:
            if not runs:
                server.unit.start()
            try:
                wait_until_serving(server, limit, bar.update)
            except (RolledBack, VerificationFailed, KeyboardInterrupt) as error:
                if not runs:
                    server.unit.stop(bar.update)
                if isinstance(error, KeyboardInterrupt):
                    undone = "was running before and still is" if runs else "is stopped again"
                    raise Interrupted(f"interrupted; {server.unit} {undone}", undone=not runs) from error
                raise
    seconds = time.monotonic() - started
    verb = "serves already" if runs else "serves"
    outcome = Outcome("unchanged" if runs else "applied", f"{name} {verb}", name, str(server.unit), seconds)
    _audit(instance, "provider start", outcome, reason)
    return outcome


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
) -> Outcome:
    """Stop its unit, after the requests of a generation that is leaving have finished (at most ``drain`` seconds).

    Raises Precondition when users would notice and ``force`` is not given.
    """
    started = time.monotonic()
    with held(instance, "provider stop", out, dry_run=dry_run):
        server = managed(instance, desired(instance), name)
        server.unit.require()
        answered = routes_to(instance, name)
        if answered and not force:
            raise Precondition(
                f"{name} answers {', '.join(answered)} now; without it they would fail",
                f"`{instance.command} disable {name}` sends them to their fallbacks first; --force stops it anyway",
            )
        out.say(f"- stop {server.unit}")
        if dry_run:
            return Outcome("planned", f"{server.unit} would be stopped", name, str(server.unit), 0.0)
        agreed(out, assume_yes)
        with out.progress(f"stopping {name}") as bar:
            wait_until_drained(instance, drain, bar.update, out)
            stopped = server.unit.stop(bar.update)
    seconds = time.monotonic() - started
    sentence = f"{name} is stopped" if stopped else f"{name} was not running"
    outcome = Outcome("applied" if stopped else "unchanged", sentence, name, str(server.unit), seconds)
    _audit(instance, "provider stop", outcome, reason)
    return outcome


def status(instance: Instance, name: str | None) -> list[State]:
    """Of one provider, or of all that are not templates. Raises UsageError for an unknown one, Precondition."""
    state = desired(instance)
    wanted = [known(state, name)] if name else [each for each in state.providers.values() if each.status != "template"]
    return [_state(instance, provider) for provider in wanted]


def _state(instance: Instance, provider: Provider) -> State:
    check = timed(f"provider:{provider.name}", lambda: _served(instance, provider))
    running = at_boot = None
    if provider.service is not None:
        unit = ProviderUnit(provider.service)
        why = unit.why_unknown()
        now = unit.now()
        running = f"unknown: {why}" if why else f"{now.active} ({now.sub})" if now.load == "loaded" else now.load
        at_boot = now.enabled or None
    return State(
        name=provider.name,
        status=provider.status,
        unit=provider.service.unit if provider.service else None,
        scope=provider.service.scope if provider.service else None,
        running=running,
        at_boot=at_boot,
        exclusive_group=provider.service.exclusive_group if provider.service else None,
        check=check,
        load=provider_load.load(provider, provider_key(instance, provider)) if check.status == "pass" else None,
        routes=routes_to(instance, provider.name),
    )


def _served(instance: Instance, provider: Provider) -> str:
    if provider.kind.cloud:
        raise Skipped("a service on the Internet: not asked")
    return providers.serves(provider, provider_key(instance, provider))


def _audit(instance: Instance, verb: str, outcome: Outcome, reason: str) -> None:
    audit.record(
        instance.audit_log,
        verb=verb,
        outcome=outcome.outcome,
        provider=outcome.provider,
        unit=outcome.unit,
        reason=reason,
        seconds=round(outcome.seconds, 3),
    )
