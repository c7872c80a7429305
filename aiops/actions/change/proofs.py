"""Proving one change: which suites run against what, with whose keys."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from aiops.actions.change.prepare import Prepared
from aiops.host.credentials import provider_keys
from aiops.host.ports import url_of
from aiops.output import Output
from aiops.verify.check import Check, failures


class Prover:
    """Runs the suites for one change."""

    def __init__(self, prepared: Prepared, generation: int, key: str, out: Output) -> None:
        self._now = prepared.now
        self._state = prepared.state
        self._table = prepared.table
        self._plan = prepared.plan
        changed = prepared.plan.diff.changed_models
        # Another LiteLLM may talk to any provider differently, whatever the files say.
        everything = dict.fromkeys([*changed, *prepared.table.one_of_each()])
        self._prove = tuple(everything) if prepared.runtime.changes else changed
        self._key = key
        self._out = out
        self._generation = generation

    def warm(self) -> None:
        import aiops.verify.suites  # noqa: F401

    def _subject(self) -> Any:
        from aiops.verify.suites import Subject

        verify = self._state.verify
        changes = self._plan.diff
        return Subject(self._generation, self._table, self._prove, verify.billable, changes.new_fallbacks)

    def private(self, sockets: Sequence[str]) -> list[Check]:
        """Providers first, because their own words explain more than a failed completion does."""
        from aiops.verify import suites
        from aiops.verify.client import Client

        looked = self._look_at_providers()
        if failures(looked):
            return looked
        timeout = self._state.verify.timeout
        clients = [Client(self._key, timeout, socket=path) for path in sockets]
        with self._out.progress("proving the new generation") as bar:
            probes = len(self._prove)
            step = _counter(bar, probes + 2 * len(sockets) + 2)
            budget = timeout + suites.SECONDS_A_PROBE * probes
            proved = suites.private(clients, self._subject(), budget, step)
        return looked + (self._explained(proved) if failures(proved) else proved)

    def _explained(self, checks: list[Check]) -> list[Check]:
        from aiops.verify import diagnose

        known = self._state.providers
        keys = provider_keys(self._now.instance, list(known.values()), self._now.environment)
        servers = {name: diagnose.Server.of(provider, keys.get(name)) for name, provider in known.items()}
        return diagnose.explained(checks, self._table, servers)

    def public(self) -> list[Check]:
        from aiops.verify import suites
        from aiops.verify.client import Client

        gateway = self._state.gateway
        client = Client(self._key, self._state.verify.timeout, url=url_of(gateway.host, gateway.port))
        return suites.public(client, self._subject(), self._state.verify.timeout, lambda _: None)

    def _look_at_providers(self) -> list[Check]:
        from aiops.verify import providers

        named = {change.name for change in self._plan.diff.changes if change.kind == "provider"}
        changed = [provider for name, provider in self._state.providers.items() if name in named]
        return providers.look(changed, provider_keys(self._now.instance, changed, self._now.environment))


def _counter(bar: Any, total: int) -> Callable[[Check], None]:
    done = 0

    def step(check: Check) -> None:
        nonlocal done
        done += 1
        bar.update(done, max(total, done + 1), check.id)

    return step
