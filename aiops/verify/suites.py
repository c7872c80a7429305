"""Suites: which checks prove what. Everything here only reads; probes of models are real, tiny requests."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from aiops.spec.routes.routes import Endpoint, Route, RouteTable
from aiops.verify.check import About, Absent, Check, Failed, Skipped
from aiops.verify.client import Client
from aiops.verify.lanes import Act, Job, Step, run

KNOWN_SECONDS = 20.0  # until the accountant of a gateway that has just started says which keys there are
WRONG_KEY = "sk-this-key-is-wrong-on-purpose"
MANAGED = "/key/list"  # of the management API
FALLBACK_HEADER = "x-litellm-attempted-fallbacks"


@dataclass(frozen=True)
class Subject:
    """What has to be true: the routes of one generation, and which of its models have to be proved.

    ``absent``: providers that are known not to answer, and why; they are not asked. ``lanes``: of each server that may
    load one model at a time the providers, see ``lanes``. ``every_model``: also of one that takes long to load them.
    ``known``: deployments of groups that served before, as they are.
    """

    generation: int
    table: RouteTable
    prove: Sequence[str]
    allow_billable: bool
    prove_fallback: Sequence[str] = ()
    absent: Mapping[str, str] = field(default_factory=dict)
    lanes: Mapping[str, str] = field(default_factory=dict)
    every_model: bool = False
    known: Collection[tuple[str, str]] = ()

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


def private(clients: Sequence[Client], subject: Subject, step: Step) -> list[Check]:
    """Prove a candidate through the private sockets of its workers, one client each."""
    first = clients[0]
    jobs: list[Job] = []
    for number, client in enumerate(clients, 1):
        jobs.append(Job(f"worker:{number}:generation", _bind(_same_generation, client, subject.generation)))
        jobs.append(Job(f"worker:{number}:models", _bind(_exact_models, client, subject.table)))
    return run([*jobs, *_auth(first), *_probes(first, subject)], step, every_model=subject.every_model)


def public(client: Client, subject: Subject, step: Step, requests: int = 3) -> list[Check]:
    """Prove what users see on the public port. ``requests``: fresh connections that must reach the generation.

    One model is asked, and of those that have to be proved the last: a server that loads one at a time still has it.
    """
    jobs = [
        Job("public:ready", _bind(_ready, client)),
        Job("public:generation", _bind(_same_generation, client, subject.generation, requests)),
        Job("public:models", _bind(_exact_models, client, subject.table)),
    ]
    jobs += _auth(client, "public:")
    one = next((route for route in reversed(subject.routes()) if subject.allow_billable or not route.billable), None)
    if one is not None:
        jobs.append(Job(f"public:answer:{one.model}", _bind(_answers, client, one, subject), _about(one)))
    return run(jobs, step)


def apart(public: Client, admin: Client, step: Step) -> list[Check]:
    """That the management API is on its own port, answers nobody without a key there, and is nowhere else. It is not
    asked for anything: the database may be away, and this is no question of it."""
    jobs = [
        Job("admin:ready", _bind(_ready, admin)),
        Job("admin:auth:missing-key", _bind(_refused, admin, None, MANAGED)),
        Job("admin:auth:wrong-key", _bind(_refused, admin, WRONG_KEY, MANAGED)),
        Job("admin:not-public", _bind(_not_there, public)),
    ]
    return run(jobs, step)


def everything(client: Client, workers: Sequence[Client], subject: Subject, step: Step) -> list[Check]:
    """``aiops verify``: what users see, what every worker serves, and the probes of the models named in ``prove``."""
    checks = public(client, subject, step)
    return checks + (private(workers, subject, step) if workers else [])


def _auth(client: Client, prefix: str = "") -> list[Job]:
    return [
        Job(f"{prefix}auth:missing-key", _bind(_refused, client, None)),
        Job(f"{prefix}auth:wrong-key", _bind(_refused, client, WRONG_KEY)),
    ]


def _probes(client: Client, subject: Subject) -> Iterator[Job]:
    """An answer per model; a stream per provider; a fallback per distinct way out."""
    streamed: set[str] = set()
    for route in subject.routes():
        yield _job(f"answer:{route.model}", _bind(_answers, client, route, subject), subject, route)
        # Whoever answered for the name, the others have to be able to as well.
        for one in route.endpoints if len(route.endpoints) > 1 else ():
            if (route.model, one.member.deployment) not in subject.known:
                identity = f"answer:{route.model}@{one.member.provider}/{one.member.model}"
                act = _bind(_member_answers, client, one, subject.allow_billable)
                yield _job(identity, act, subject, route, one.member.provider, one.member.model)
        if route.mode == "chat" and route.provider not in streamed:
            streamed.add(route.provider)
            yield _job(f"stream:{route.model}", _bind(_streams, client, route, subject), subject, route)
    for route in subject.falling_back():
        ways = [way for name in route.fallbacks if (way := subject.table.route(name)) is not None]
        there = next((way for way in ways if not _all_absent(way, subject)), next(iter(ways), route))
        yield _job(f"fallback:{route.model}", _bind(_falls_back, client, route, subject), subject, there)


def _job(
    identity: str, act: Act, subject: Subject, route: Route, provider: str | None = None, backend: str | None = None
) -> Job:
    about = About(provider or route.provider, route.model, backend or route.backend_model)
    gone = subject.absent.get(about.provider)
    if gone is not None and (provider is not None or _all_absent(route, subject)):
        act = _bind(_is_gone, gone)
    # A group is answered by whichever of its servers is chosen: none of them can be spared by the order of proofs.
    alone = provider is not None or len(route.endpoints) < 2
    return Job(identity, act, about, subject.lanes.get(about.provider) if alone else None)


def _is_gone(reason: str) -> str:
    raise Absent(reason)


def _about(route: Route) -> About:
    return About(route.provider, route.model, route.backend_model)


def _all_absent(route: Route, subject: Subject) -> bool:
    return all(name in subject.absent for name in route.providers)


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


def _refused(client: Client, key: str | None, path: str = "/v1/models") -> str:
    headers = {"authorization": f"Bearer {key}"} if key else {}
    patience = time.monotonic() + KNOWN_SECONDS
    answer = client.request("GET", path, headers=headers)
    while answer.status_code == 503 and "retry-after" in answer.headers and time.monotonic() < patience:
        time.sleep(0.2)  # who knows the keys has just been started
        answer = client.request("GET", path, headers=headers)
    if answer.status_code != 401:
        raise Failed(f"expected HTTP 401, got {answer.status_code}")
    return "HTTP 401"


def _not_there(client: Client) -> str:
    answer = client.get(MANAGED)
    if answer.status_code != 404:
        raise Failed(f"the management API is on the public port, too: HTTP {answer.status_code}")
    return "HTTP 404"


def _ready(client: Client) -> str:
    answer = client.request("GET", "/_health/ready")
    status = str(answer.json().get("status")) if answer.headers.get("content-type", "").startswith("app") else "?"
    if answer.status_code != 200:
        raise Failed(f"HTTP {answer.status_code}, {status}")
    return status


def _unless_billable(route: Route, allowed: bool) -> None:
    if route.billable and not allowed:
        raise Skipped(f"{route.provider} costs money; `verify: {{billable: true}}` in aiops.yaml allows the probe")


def _answers(client: Client, route: Route, subject: Subject) -> str:
    _unless_billable(route, subject.allow_billable)
    # Each member of a group is asked by itself; of the name it is enough that somebody answers.
    client.ask(route.model, route.mode, anybody=len(route.endpoints) > 1)
    return f"answered by {route.provider}" + (f" for {route.substitute_for}" if route.substitute_for else "")


def _member_answers(client: Client, one: Endpoint, allow_billable: bool) -> str:
    """LiteLLM answers to the id of a deployment as it does to its name."""
    if one.billable and not allow_billable:
        raise Skipped(f"{one.member.provider} costs money; `verify: {{billable: true}}` in aiops.yaml allows the probe")
    client.ask(one.member.deployment, one.mode)
    return f"answered by {one.member.provider} as {one.member.model}"


def _streams(client: Client, route: Route, subject: Subject) -> str:
    _unless_billable(route, subject.allow_billable)
    return f"{client.stream(route.model, anybody=len(route.endpoints) > 1)} events"


def _falls_back(client: Client, route: Route, subject: Subject) -> str:
    ways = [subject.table.route(model) for model in route.fallbacks]
    for way in ways:
        if way is not None:
            _unless_billable(way, subject.allow_billable)
    answer = client.ask(route.model, route.mode, fail_primary=True)
    if int(answer.headers.get(FALLBACK_HEADER, "0")) < 1:
        raise Failed("answered, but not by a fallback")
    return f"answered by {' or '.join(route.fallbacks[:3])} when {route.provider} fails"
