"""What contenders do under load: how many requests and streams, how soon, and for how much of the processor."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from statistics import median as middle

from tests.bench import shared
from tests.bench.figures import Figure
from tests.bench.gateways import BenchError
from tests.bench.lanes import load, wire
from tests.bench.lanes.contenders import AIOPS, STOCK, Contender
from tests.bench.lanes.load import Answers
from tests.bench.session import Session

EVENTS = 200
CONNECTIONS = 32
STREAMS = {"in bursts of 20": (20, 100.0), "one by one": (1, 20.0)}
"""How many events at once, and how many times as many streams as stock's are promised."""
RATES = (1_000, 3_000)
ROOM = 1.1  # times a rate must fit into what a contender can do, for it to be asked at that rate


@dataclass
class Field:
    """``straight``: the provider itself, asked without a gateway. ``rates``: whole answers a second, by name."""

    session: Session
    contenders: Sequence[Contender]
    straight: Contender
    rates: dict[str, float] = field(default_factory=dict)

    def of(self, name: str) -> Contender:
        return next(each for each in self.contenders if each.name == name)

    @property
    def peers(self) -> list[Contender]:
        """Those that are a product, and not ours."""
        return [each for each in self.contenders if each.is_peer]


@dataclass
class Sample:
    """Of the rounds of one contender. ``cpu``: seconds of its core for one answer."""

    answers: list[Answers] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)

    def middle(self, what: Callable[[Answers], float]) -> float:
        return middle(map(what, self.answers))

    def together(self) -> Answers:
        return Answers(1.0, [answer for each in self.answers for answer in each.all])


def whole(found: Field) -> Iterator[Figure]:
    """Small chat completions, as many as go."""
    seconds, rounds = found.session.rounds(5, 2), found.session.rounds(5, 1)
    everyone = [found.straight, *found.contenders]
    samples = _in_turns(everyone, rounds, lambda one: load.saturate(one.port, one.request(), CONNECTIONS, seconds))
    for one in everyone:
        sample = samples[one.name]
        found.rates[one.name] = rate = sample.middle(lambda each: each.rate)
        yield from _spread("requests", one.name, sample, rate, "req/s")
    harness = found.rates[found.straight.name] / max(found.rates[one.name] for one in found.contenders)
    yield Figure("lanes: requests, client and provider alone, times the quickest", harness, "x", 2, at_least=True)
    yield from _times(found, "requests", found.rates, samples, 30, 5)


def streams(found: Field) -> Iterator[Figure]:
    """Answers of 200 events, as many as go; and what one event costs that comes alone."""
    seconds, rounds = found.session.rounds(5, 2), found.session.rounds(3, 1)
    for way, (at_once, promised) in STREAMS.items():
        prompt = wire.prompt(EVENTS, at_once, 0)
        samples = _in_turns(
            found.contenders,
            rounds,
            lambda one, prompt=prompt: load.saturate(  # type: ignore[misc]
                one.port, one.request(prompt, stream=True), CONNECTIONS // 2, seconds
            ),
        )
        rates = {name: sample.middle(lambda each: each.rate) for name, sample in samples.items()}
        for name, sample in samples.items():
            yield from _spread(f"streams, {way}", name, sample, rates[name], "streams/s")
        yield from _times(found, f"streams, {way}", rates, samples, promised, None)
    alone = wire.prompt(EVENTS, 1, 5_000)
    samples = _in_turns(
        found.contenders, rounds, lambda one: load.saturate(one.port, one.request(alone, stream=True), 4, seconds)
    )
    for name, sample in samples.items():
        cpu = middle(sample.cpu) / EVENTS * 1e6
        yield Figure(f"lanes: streams, an event each 5 ms, CPU for one, {name}", cpu, "µs")


def first_token(found: Field) -> Iterator[Figure]:
    """How much later the first token comes, one client alone."""
    seconds, rounds = found.session.rounds(3, 1), found.session.rounds(5, 1)
    prompt = wire.prompt(8, 1, 0)
    samples = _in_turns(
        [found.straight, *found.contenders],
        rounds,
        lambda one: load.saturate(one.port, one.request(prompt, stream=True), 1, seconds),
    )
    least = samples[found.straight.name].middle(lambda each: each.first(50))
    for one in found.contenders:
        added = (samples[one.name].middle(lambda each: each.first(50)) - least) * 1e3
        limit = 1.0 if one.name == AIOPS else None
        yield Figure(f"lanes: first token, added at the median, {one.name}", added, "ms", limit)


def equal_load(found: Field) -> Iterator[Figure]:
    """All are asked as often as half of what stock can do."""
    rate, seconds = found.rates[STOCK] / 2, found.session.rounds(10, 5)
    rounds = found.session.rounds(4, 1)
    samples = _in_turns(
        found.contenders, rounds, lambda one: load.at_rate(one.port, one.request(), rate, seconds), warm=False
    )
    slowest: dict[str, float] = {}
    for name, sample in samples.items():
        every = sample.together()
        slowest[name] = every.latency(99) * 1e3
        detail = f"p50 {every.latency(50) * 1e3:.2f} ms; {len(every.all)} requests, {every.failed} failed"
        yield Figure(f"lanes: {rate:.0f} req/s, p99, {name}", slowest[name], "ms", detail=detail)
    share = slowest[AIOPS] / slowest[STOCK]
    yield Figure("lanes: equal load, p99, direct to stock", share, "x", 0.1)


def fixed_rates(found: Field) -> Iterator[Figure]:
    """As peers publish it: how much later answers come than without a gateway."""
    seconds, rounds = found.session.rounds(10, 2), found.session.rounds(3, 1)
    for rate in RATES:
        able = [one for one in found.contenders if found.rates[one.name] >= rate * ROOM]
        for one in found.contenders:
            if one not in able:
                found.session.say(f"   {one.name} cannot do {rate:,} req/s here: {found.rates[one.name]:.0f}")
        samples = _in_turns(
            [found.straight, *able],
            rounds,
            lambda one, rate=rate: load.at_rate(one.port, one.request(), rate, seconds),  # type: ignore[misc]
            warm=False,
        )
        least = samples[found.straight.name]
        for one in able:
            sample = samples[one.name]
            failed = sum(each.failed for each in sample.answers)
            for share in (50, 99):
                added = [
                    (mine.latency(share) - its.latency(share)) * 1e3
                    for mine, its in zip(sample.answers, least.answers, strict=True)
                ]
                detail = f"{failed} failed; CPU {middle(sample.cpu) * 1e6:.0f} µs each"
                yield Figure(f"lanes: {rate:,} req/s, p{share} added, {one.name}", middle(added), "ms", detail=detail)


def _in_turns(
    contenders: Sequence[Contender],
    rounds: int,
    ask: Callable[[Contender], object],
    *,
    warm: bool = True,
) -> dict[str, Sample]:
    """Each in each round. Raises BenchError for one that answers nothing."""
    samples = {one.name: Sample() for one in contenders}
    for number in range(rounds):
        for one in contenders if number % 2 == 0 else reversed(contenders):
            if warm and number == 0:
                load.run(load.saturate(one.port, one.request(), 4, 0.3))
            before = shared.cpu(list(one.processes()))
            answers = load.run(ask(one))  # type: ignore[arg-type]
            used = shared.cpu(list(one.processes())) - before
            if not answers.good:
                raise BenchError(f"{one.name} answered none of {len(answers.all)} requests")
            samples[one.name].answers.append(answers)
            samples[one.name].cpu.append(used / len(answers.all))
    return samples


def _spread(what: str, whose: str, sample: Sample, rate: float, unit: str) -> Iterator[Figure]:
    every = sample.together()
    detail = f"p50 {every.latency(50) * 1e3:.1f}, p99 {every.latency(99) * 1e3:.1f} ms; {every.failed} failed"
    rates = tuple(each.rate for each in sample.answers)
    yield Figure(f"lanes: {what}, {whose}", rate, unit, detail=detail, samples=rates)
    yield Figure(f"lanes: {what}, CPU for one, {whose}", middle(sample.cpu) * 1e6, "µs")


def _times(
    found: Field, what: str, rates: dict[str, float], samples: dict[str, Sample], stock: float, peer: float | None
) -> Iterator[Figure]:
    """Ours to theirs, judged; and by the processor alone, told: what else the machine does disturbs that less."""
    for other in found.peers:
        limit = stock if other.name == STOCK else peer if other.name.startswith("portkey") else None
        times = rates[AIOPS] / rates[other.name]
        by_cpu = middle(samples[other.name].cpu) / (middle(samples[AIOPS].cpu) or 1e-9)
        yield Figure(
            f"lanes: {what}, direct, times {other.name}",
            times,
            "x",
            limit,
            at_least=True,
            detail=f"by CPU {by_cpu:.1f}",
        )
