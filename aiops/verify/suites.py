"""Suites: which checks prove what. Everything here only reads; probes of models are real, tiny requests."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from aiops.spec.routes.routes import Endpoint, Route, RouteTable
from aiops.verify.check import Check, Failed, Skipped, timed
from aiops.verify.client import Client
from aiops.verify.side_by_side import side_by_side

WRONG_KEY = "sk-this-key-is-wrong-on-purpose"
PARALLEL = 4  # probes at a time: providers are not ours to load
FALLBACK_HEADER = "x-litellm-attempted-fallbacks"

Step = Callable[[Check], None]

# A suite has its time-out and this much for every model that has to be proved.
SECONDS_A_PROBE = 0.5


@dataclass(frozen=True)
class Subject:
    """What has to be true: the routes of one generation, and which of its models have to be proved."""

    generation: int
    table: RouteTable
    prove: Sequence[str]
    allow_billable: bool
    prove_fallback: Sequence[str] = ()

    def routes(self) -> list[Route]:
        return _named(self.table, self.prove)

    def falling_back(self) -> list[Route]:
        """Routes whose fallbacks have to be proved, one for each distinct way out."""
        ways = {
            (route.provider, route.fallbacks): route
            for route in reversed(_named(self.table, [*self.prove, *self.prove_fallback]))
            if route.fallbacks and route.mode in ("chat", "completion")
        }
        return sorted(ways.values(), key=lambda route: route.model)


def _named(table: RouteTable, models: Sequence[str]) -> list[Route]:
    wanted = set(models)
    return [route for route in table.routes if route.model in wanted]


def private(clients: Sequence[Client], subject: Subject, timeout: float, step: Step) -> list[Check]:
    """Prove a candidate through the private sockets of its workers, one client each. ``timeout``: whole suite, s."""
    first = clients[0]
    jobs: list[tuple[str, Callable[[], str]]] = []
    for number, client in enumerate(clients, 1):
        jobs.append((f"worker:{number}:generation", _bind(_same_generation, client, subject.generation)))
        jobs.append((f"worker:{number}:models", _bind(_exact_models, client, subject.table)))
    jobs += _auth(first)
    jobs += _probes(first, subject)
    return list(_run(jobs, timeout, step))


def public(client: Client, subject: Subject, timeout: float, step: Step, requests: int = 3) -> list[Check]:
    """Prove what users see on the public port. ``requests``: fresh connections that must reach the generation."""
    jobs: list[tuple[str, Callable[[], str]]] = [
        ("public:ready", _bind(_ready, client)),
        ("public:generation", _bind(_same_generation, client, subject.generation, requests)),
        ("public:models", _bind(_exact_models, client, subject.table)),
    ]
    jobs += [(f"public:{name}", act) for name, act in _auth(client)]
    one = next((route for route in subject.routes() if subject.allow_billable or not route.billable), None)
    if one is not None:
        jobs.append((f"public:answer:{one.model}", _bind(_answers, client, one, subject.allow_billable)))
    return list(_run(jobs, timeout, step))


def everything(client: Client, workers: Sequence[Client], subject: Subject, timeout: float, step: Step) -> list[Check]:
    """``aiops verify``: what users see, what every worker serves, and the probes of the models named in ``prove``."""
    checks = public(client, subject, timeout, step)
    return checks + (private(workers, subject, timeout, step) if workers else [])


def _auth(client: Client) -> list[tuple[str, Callable[[], str]]]:
    return [
        ("auth:missing-key", _bind(_refused, client, None)),
        ("auth:wrong-key", _bind(_refused, client, WRONG_KEY)),
    ]


def _probes(client: Client, subject: Subject) -> Iterator[tuple[str, Callable[[], str]]]:
    """An answer per model; a stream per provider; a fallback per distinct way out."""
    streamed: set[str] = set()
    for route in subject.routes():
        yield f"answer:{route.model}", _bind(_answers, client, route, subject.allow_billable)
        # Whoever answered for the name, the others have to be able to as well.
        for one in route.endpoints if len(route.endpoints) > 1 else ():
            yield (
                f"answer:{route.model}@{one.member.provider}/{one.member.model}",
                _bind(_member_answers, client, one, subject.allow_billable),
            )
        if route.mode == "chat" and route.provider not in streamed:
            streamed.add(route.provider)
            yield f"stream:{route.model}", _bind(_streams, client, route, subject.allow_billable)
    for route in subject.falling_back():
        yield f"fallback:{route.model}", _bind(_falls_back, client, route, subject)


def _run(jobs: Iterable[tuple[str, Callable[[], str]]], timeout: float, step: Step) -> Iterator[Check]:
    """Run the checks, probes side by side, and report each. What the time does not suffice for has failed."""
    deadline = time.monotonic() + timeout

    def one(job: tuple[str, Callable[[], str]]) -> Check:
        identity, act = job
        if time.monotonic() > deadline:
            return Check(identity, "fail", f"not reached within the {timeout:g} s of the suite")
        return timed(identity, act)

    for check in side_by_side(one, jobs, PARALLEL):
        step(check)
        yield check


def _bind(act: Callable[..., str], *arguments: object) -> Callable[[], str]:
    return lambda: act(*arguments)


def _same_generation(client: Client, generation: int, requests: int = 1) -> str:
    seen = {client.generation() for _ in range(requests)}
    if seen != {str(generation)}:
        raise Failed(f"expected generation {generation}, answered by {', '.join(sorted(seen)) or 'nobody'}")
    return f"generation {generation}"


def _exact_models(client: Client, table: RouteTable) -> str:
    served, wanted = client.models(), sorted(table.models)
    if served != wanted:
        missing = sorted(set(wanted) - set(served))
        surplus = sorted(set(served) - set(wanted))
        raise Failed(
            "; ".join(
                text
                for text in (
                    f"missing: {', '.join(missing[:10])}" if missing else "",
                    f"not wanted: {', '.join(surplus[:10])}" if surplus else "",
                    "listed twice" if not missing and not surplus else "",
                )
                if text
            )
        )
    return f"{len(served)} model{'s' if len(served) != 1 else ''}"


def _refused(client: Client, key: str | None) -> str:
    headers = {"authorization": f"Bearer {key}"} if key else {}
    answer = client.request("GET", "/v1/models", headers=headers)
    if answer.status_code != 401:
        raise Failed(f"expected HTTP 401, got {answer.status_code}")
    return "HTTP 401"


def _ready(client: Client) -> str:
    answer = client.request("GET", "/_health/ready")
    status = str(answer.json().get("status")) if answer.headers.get("content-type", "").startswith("app") else "?"
    if answer.status_code != 200:
        raise Failed(f"HTTP {answer.status_code}, {status}")
    return status


def _unless_billable(route: Route, allowed: bool) -> None:
    if route.billable and not allowed:
        raise Skipped(f"{route.provider} costs money; `verify: {{billable: true}}` in aiops.yaml allows the probe")


def _answers(client: Client, route: Route, allow_billable: bool) -> str:
    _unless_billable(route, allow_billable)
    client.ask(route.model, route.mode)
    return f"answered by {route.provider}" + (f" for {route.substitute_for}" if route.substitute_for else "")


def _member_answers(client: Client, one: Endpoint, allow_billable: bool) -> str:
    """LiteLLM answers to the id of a deployment as it does to its name."""
    if one.billable and not allow_billable:
        raise Skipped(f"{one.member.provider} costs money; `verify: {{billable: true}}` in aiops.yaml allows the probe")
    client.ask(one.member.deployment, one.mode)
    return f"answered by {one.member.provider} as {one.member.model}"


def _streams(client: Client, route: Route, allow_billable: bool) -> str:
    _unless_billable(route, allow_billable)
    return f"{client.stream(route.model)} events"


def _falls_back(client: Client, route: Route, subject: Subject) -> str:
    ways = [subject.table.route(model) for model in route.fallbacks]
    for way in ways:
        if way is not None:
            _unless_billable(way, subject.allow_billable)
    answer = client.ask(route.model, route.mode, fail_primary=True)
    if int(answer.headers.get(FALLBACK_HEADER, "0")) < 1:
        raise Failed("answered, but not by a fallback")
    return f"answered by {' or '.join(route.fallbacks[:3])} when {route.provider} fails"
