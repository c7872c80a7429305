"""Proving one change: which suites run against what, with whose keys, and what may stay unproved."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

from aiops.actions.change.prepare import Intent, Prepared
from aiops.host.credentials import provider_keys
from aiops.host.ports import url_of
from aiops.output import Output
from aiops.verify.check import Absent, Check, failures
from aiops.verify.unproved import Unproved, still, unproved

if TYPE_CHECKING:
    from aiops.spec.shapes.model import Provider
    from aiops.verify.providers import Looked

SILENT = (Absent.cause, "slow")


class Prover:
    """Runs the suites for one change."""

    def __init__(self, intent: Intent, prepared: Prepared, generation: int, key: str, out: Output) -> None:
        self._lenient = intent.lenient
        self._now = prepared.now
        self._state = prepared.state
        self._table = prepared.table
        self._plan = prepared.plan
        changed = prepared.plan.diff.changed_models
        # Another LiteLLM may talk to any provider differently, whatever the files say.
        everything = dict.fromkeys([*changed, *prepared.table.one_of_each()])
        self._prove = tuple(everything) if prepared.runtime.changes else changed
        self._anew = prepared.runtime.changes
        self._key = key
        self._out = out
        self._generation = generation
        self._named = {change.name for change in self._plan.diff.changes if change.kind == "provider"}
        self._before = self._now.committed.unproved if self._now.committed is not None else ()
        self._checks: list[Check] = []

    def warm(self) -> None:
        import aiops.verify.suites  # noqa: F401

    def _subject(self, absent: Mapping[str, str], prove: Sequence[str]) -> Any:
        from aiops.spec.routes.summary import summarise
        from aiops.verify.lanes import lanes
        from aiops.verify.suites import Subject

        verify = self._state.verify
        return Subject(
            self._generation,
            self._table,
            prove,
            verify.billable,
            self._plan.diff.new_fallbacks,
            absent=absent,
            lanes=lanes(summarise(self._state).providers),
            every_model=verify.every_model or self._lenient == "nothing",
            known=self._known,
        )

    def private(self, sockets: Sequence[str]) -> list[Check]:
        """Providers first, because their own words explain more than a failed completion does."""
        from aiops.verify import providers, suites
        from aiops.verify.client import Client

        changed = [provider for name, provider in self._state.providers.items() if name in self._named]
        looked = providers.look_closely(changed, self._keys(changed))
        seen = [self._allowed(each.check) for each in looked]
        hopeless = [check for check, each in zip(seen, looked, strict=True) if not self._may_answer(each)]
        if failures(hopeless):
            return seen
        absent = {each.about.provider: each.detail for each in seen if each.cause in SILENT and each.about}
        clients = [Client(self._key, self._state.verify.timeout, socket=path) for path in sockets]
        with self._out.progress("proving the new generation") as bar:
            step = _counter(bar, len(self._prove) + 2 * len(sockets) + 2)
            proofs = suites.private(clients, self._subject(absent, self._prove), step)
        self._checks = self._diagnosed([self._allowed(check) for check in self._weighed(seen, looked, proofs)])
        return self._checks

    def _diagnosed(self, checks: list[Check]) -> list[Check]:
        """With what is the matter at the providers whose answers were missing."""
        if not failures(checks):
            return checks
        from aiops.verify import diagnose

        known = self._state.providers
        keys = self._keys(list(known.values()))
        servers = {name: diagnose.Server.of(provider, keys.get(name)) for name, provider in known.items()}
        return diagnose.explained(checks, self._table, servers)

    def public(self) -> list[Check]:
        from aiops.verify import suites
        from aiops.verify.client import Client

        gateway = self._state.gateway
        client = Client(self._key, self._state.verify.timeout, url=url_of(gateway.host, gateway.port))
        passed = (check for check in self._checks if _is_answer(check) and check.status == "pass")
        answered = {check.about.name for check in passed if check.about is not None}
        prove = [name for name in self._prove if name in answered]
        proved = suites.public(client, self._subject({}, prove), lambda _: None)
        if gateway.admin_port is None:
            return proved
        admin = Client(self._key, self._state.verify.timeout, url=url_of(gateway.admin_host, gateway.admin_port))
        return [*proved, *suites.apart(client, admin, lambda _: None)]

    def unproved(self) -> tuple[Unproved, ...]:
        """What is served unproved once the private suite has passed, and what was before and still is."""
        new = unproved(self._checks)
        served = {(provider, route.model) for route in self._table.routes for provider in route.providers}
        again = {name for each in new for name in each.models}
        before = [each for each in still(self._before, self._checks, served) if not again & set(each.models)]
        return (*new, *before)

    # --- judging ------------------------------------------------------------------------------------------------

    def _may_answer(self, looked: Looked) -> bool:
        """Whether its models are asked although it does not list them: an answer counts more than a list."""
        provider = looked.check.about.provider if looked.check.about is not None else ""
        return bool(looked.unlisted) and not any(
            route.billable and not self._state.verify.billable
            for route in self._table.routes
            if provider in route.providers
        )

    def _weighed(self, seen: Sequence[Check], looked: Sequence[Looked], proofs: Sequence[Check]) -> Iterator[Check]:
        """Answers against lists: who answers for a model has it; of who does not, the list says more."""
        from aiops.verify import modes
        from aiops.verify.providers import missing

        answered = {check.about and (check.about.provider, check.about.backend) for check in proofs
                    if _is_answer(check) and check.status == "pass"}  # fmt: skip
        explained: set[tuple[str, str]] = set()
        for check, each in zip(seen, looked, strict=True):
            about = check.about
            if about is None or not each.unlisted:
                yield check
                continue
            silent = [name for name in each.unlisted if (about.provider, name) not in answered]
            explained |= {(about.provider, name) for name in silent}
            if silent:
                yield replace(check, detail="; ".join(missing(name, each.listed) for name in silent))
            else:
                yield replace(
                    check, status="pass", detail=f"answers to {', '.join(each.unlisted)}, which it does not list"
                )
        for check in proofs:
            about = check.about
            if check.status != "fail" or about is None:
                yield check
            elif (about.provider, about.backend) not in explained:
                yield self._explained(check, modes.other)

    def _explained(self, check: Check, other: Callable[..., str | None]) -> Check:
        """What fails as a chat may not be one."""
        about = check.about
        provider = self._state.providers.get(about.provider) if about is not None else None
        spec = provider.model(about.backend) if provider is not None and about is not None else None
        if check.cause or provider is None or about is None or (spec is not None and spec.mode != "chat"):
            return check
        # A server that breaks says nothing of the model; what Ollama says of it does.
        refused = check.detail.startswith("HTTP 4") or "support" in check.detail
        if not _is_answer(check) or not (refused or provider.type == "ollama"):
            return check
        if provider.bills(about.backend) and not self._state.verify.billable:
            return check
        mode = other(provider, about.backend, self._keys([provider]).get(provider.name))
        return replace(check, detail=f"{check.detail}; {mode}") if mode else check

    def _allowed(self, check: Check) -> Check:
        """A failure that does not stop this change is a skip: it was not proved."""
        if check.status != "fail" or check.about is None:
            return check
        name = check.about.provider
        known = name not in self._named and any(each.provider == name for each in self._before)
        if check.cause in SILENT and (self._lenient in ("absent", "all") or (known and self._lenient != "nothing")):
            return replace(check, status="skip")
        return replace(check, status="skip", cause=check.cause or "wrong") if self._lenient == "all" else check

    # --- what it starts from --------------------------------------------------------------------------------------

    def _keys(self, providers: Sequence[Provider]) -> Mapping[str, str]:
        return provider_keys(self._now.instance, providers, self._now.environment)

    @cached_property
    def _known(self) -> frozenset[tuple[str, str]]:
        """Members of groups, as (name, deployment), that this change leaves as they were."""
        if self._now.routes is None or self._anew:
            return frozenset()
        old = {route.model: route for route in self._now.routes[0].routes}
        return frozenset(
            (route.model, one.member.deployment)
            for route in self._table.routes
            for one in route.endpoints
            if one.member.provider not in self._named
            and route.model in old
            and any(
                (one.member, one.mode, one.params) == (was.member, was.mode, was.params)
                for was in old[route.model].endpoints
            )
        )


def _is_answer(check: Check) -> bool:
    return check.id.startswith("answer:")


def _counter(bar: Any, total: int) -> Callable[[Check], None]:
    done = 0

    def step(check: Check) -> None:
        nonlocal done
        done += 1
        bar.update(done, max(total, done + 1), check.id)

    return step
