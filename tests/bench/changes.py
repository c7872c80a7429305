"""Sections about changes: how fast, how safe, how reversible, and what users notice."""

from __future__ import annotations

import contextlib
import hashlib
import statistics
import time
from collections.abc import Iterator
from pathlib import Path

from tests.bench.figures import Figure, median
from tests.bench.gateways import Instance, Ran
from tests.bench.session import Session
from tests.load import BackgroundLoad, LoadReport, Mix, Target

STREAM_TOKENS, CHUNK_DELAY = 12, 0.1  # a stream lives 1.2 s: longer than a change, so every change meets some
MIX = Mix(new_connection=2, keep_alive=2, openai=2, stream=3, openai_stream=2, idle=6, pause=0.05, idle_seconds=15)


def change(session: Session) -> Iterator[Figure]:
    """A new provider live and verified, against writing YAML and restarting stock LiteLLM."""
    rounds = session.rounds(10, 3)
    models = tuple(f"model-{number}" for number in range(rounds + 1))
    with contextlib.ExitStack() as stack:
        upstreams = [session.provider(stack, (model,)) for model in models]
        instance = session.instance(stack)
        instance.add("base", upstreams[0].url, models[0])
        ours = [
            instance.add(f"provider-{number}", upstreams[number].url, models[number]).seconds
            for number in range(1, rounds + 1)
        ]
    with contextlib.ExitStack() as stack:
        upstream = session.provider(stack, models)
        stock = session.stock(stack, upstream.url)
        stock.change([models[0]])
        theirs = [stock.change(list(models[: number + 1])) for number in range(1, session.rounds(5, 2) + 1)]
    yield median("change: aiops add-provider, exec to exit", ours, limit=1.0)
    yield median("change: YAML, restart stock litellm, poll", theirs)
    ratio = statistics.median(theirs) / statistics.median(ours)
    yield Figure("change: times faster", ratio, "x", 8.0, at_least=True)


def refusal(session: Session) -> Iterator[Figure]:
    """A candidate that cannot answer: how long until it is refused, and what it leaves behind."""
    differing, reached, seconds = 0, 0, []
    with contextlib.ExitStack() as stack:
        instance = session.instance(stack)
        good = session.provider(stack, ("good",))
        instance.add("good", good.url, "good")
        for mode in ("500", "401", "html", "wrong_json", "drop_before")[: session.rounds(5, 2)]:
            bad = session.provider(stack, ("bad",), mode=mode)
            before = fingerprints(instance.home / "config")
            serving = instance.run("status").result.get("generation")
            seconds.append(instance.add(f"bad-{mode.replace('_', '-')}", bad.url, "bad", expect=7).seconds)
            differing += fingerprints(instance.home / "config") != before
            reached += instance.run("status").result.get("generation") != serving
    yield median("refusal: a candidate that cannot answer", seconds, limit=1.5)
    yield Figure("refusal: runs that changed a source file", differing, "", 0)
    yield Figure("refusal: runs after which another generation served", reached, "", 0)


def rollback(session: Session) -> Iterator[Figure]:
    """Back to the generation before, verified."""
    seconds = []
    with contextlib.ExitStack() as stack:
        instance = session.instance(stack)
        instance.add("one", session.provider(stack, ("one",)).url, "one")
        two = session.provider(stack, ("two",)).url
        for number in range(session.rounds(10, 3)):
            instance.add("two", two, "two")
            seconds.append(instance.run("rollback", "--reason", f"bench round {number}").seconds)
    yield median("rollback: to verified, exec to exit", seconds, limit=1.0)


def zero_loss(session: Session) -> Iterator[Figure]:
    """Fifty changes under load, then the same load on a stock restart so that it is known to see failures."""
    changes, requests = session.rounds(50, 8), session.rounds(10_000, 800)
    with contextlib.ExitStack() as stack:
        steady = session.provider(stack, ("steady",), tokens=STREAM_TOKENS, chunk_delay=CHUNK_DELAY)
        extra = session.provider(stack, ("extra",))
        instance = session.instance(stack)
        instance.add("steady", steady.url, "steady")
        target = Target(instance.url, instance.key, "steady", STREAM_TOKENS)
        began, seconds = time.perf_counter(), []
        with BackgroundLoad(target, MIX) as load:
            for number in range(changes):
                seconds.append(one_of_four(instance, extra.url, number).seconds)
                # Spread the changes over the requests, so that each of them meets its share.
                while load.alive and load.report.requests < (number + 1) * requests / changes:
                    time.sleep(0.02)
                session.say(f"  change {number + 1}/{changes}, {describe(load.report)}")
        report = load.report
    yield Figure("zero-loss: changes under load", changes, "", detail=f"in {time.perf_counter() - began:.0f} s")
    yield median("zero-loss: one change under load", seconds)
    yield Figure("zero-loss: requests", report.requests, "", requests, at_least=True)
    yield Figure("zero-loss: streams", report.streams, "", session.rounds(200, 16), at_least=True)
    yield Figure("zero-loss: failed", report.failed, "", 0, detail=first_example(report))
    yield Figure("zero-loss: truncated streams", report.truncated, "", 0)
    yield Figure("zero-loss: generations that answered", len(report.generations), "", changes / 2, at_least=True)

    with contextlib.ExitStack() as stack:
        steady = session.provider(stack, ("steady", "extra"), tokens=STREAM_TOKENS, chunk_delay=CHUNK_DELAY)
        stock = session.stock(stack, steady.url)
        stock.change(["steady"])
        with BackgroundLoad(Target(stock.url, stock.key, "steady", STREAM_TOKENS), MIX) as load:
            time.sleep(2)
            stock.change(["steady", "extra"])
            time.sleep(1)
    seen = load.report.failed + load.report.truncated
    yield Figure("zero-loss: the same load, one stock restart: lost", seen, "", 1, True, describe(load.report))


def one_of_four(instance: Instance, url: str, number: int) -> Ran:
    """Add, disable, enable, roll back to before the add, and so on."""
    match number % 4:
        case 0:
            return instance.add("extra", url, "extra")
        case 1:
            # Nothing else answers for its model: that is what --force is for.
            return instance.run("disable", "extra", "--force")
        case 2:
            return instance.run("enable", "extra")
    history = instance.run("status").result["generation"]
    return instance.run("rollback", str(history - 3), "--reason", f"bench change {number}")


def fingerprints(directory: Path) -> dict[str, str]:
    return {
        str(path.relative_to(directory)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in directory.rglob("*")
        if path.is_file()
    }


def describe(report: LoadReport) -> str:
    return f"{report.requests} requests, {report.streams} streams, {report.failed} failed, {report.truncated} truncated"


def first_example(report: LoadReport) -> str:
    return next((text for kind in report.kinds.values() for text in kind.examples), "")
