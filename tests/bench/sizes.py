"""Sections about the gateway itself: memory, growth with the number of models, requests per second."""

from __future__ import annotations

import asyncio
import contextlib
import json
import subprocess
import time
from collections.abc import Iterator

import yaml

from tests.bench.figures import Figure, median
from tests.bench.gateways import BIN, Instance, environment, private_mb
from tests.bench.session import Session


def memory(session: Session) -> Iterator[Figure]:
    """Private memory of each further worker and of a staged candidate, against a stock process."""
    with contextlib.ExitStack() as stack:
        upstream = session.provider(stack, ("one",))
        other = session.provider(stack, ("two",))
        instance = session.instance(stack, workers=2)
        instance.add("one", upstream.url, "one")
        busy(instance.url, instance.key, "one")
        workers = [private_mb(pid) for pid in instance.workers()]
        known = set(instance.workers())
        with subprocess.Popen(
            [str(BIN / "aiops"), "--home", str(instance.home), "--yes", "add-provider", "two",
             "--type", "openai_compatible", "--base-url", other.url, "--model", "two"],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environment(),
        ) as adding:  # fmt: skip
            candidates: dict[int, float] = {}
            while adding.poll() is None:
                for pid in set(instance.workers()) - known:
                    candidates[pid] = max(candidates.get(pid, 0.0), private_mb(pid))
                time.sleep(0.02)
        stock = session.stock(stack, upstream.url)
        stock.change(["one"])
        busy(stock.url, stock.key, "one")
        whole = private_mb(stock.process.pid) if stock.process else 0.0
    yield Figure("memory: a worker, private, after requests", max(workers, default=0), "MB", 80)
    yield Figure("memory: a staged candidate, private, at most", max(candidates.values(), default=0), "MB", 80)
    yield Figure("memory: a stock process, private", whole, "MB")


def scale(session: Session) -> Iterator[Figure]:
    """Validation and planning as the number of models grows; nothing runs."""
    limits = {100: (None, None), 1_000: (None, None), 10_000: (2.0, 3.0)}
    if session.quick:
        del limits[10_000]
    times: dict[str, list[float]] = {"validate": [], "plan": []}
    for models, bounds in limits.items():
        instance = Instance(session.directory / f"scale-{models}")
        instance.create()
        write_providers(instance, models)
        for words, bound in ((("validate", "--offline"), bounds[0]), (("plan",), bounds[1])):
            samples = [instance.run(*words).seconds for _ in range(session.rounds(3, 1))]
            figure = median(f"scale: {' '.join(words)}, {models} models", samples, limit=bound)
            times[words[0]].append(figure.value)
            yield figure
    # Each step has ten times the models: linear is at most ten times the time, and the start of Python makes it less.
    for verb, seconds in times.items():
        growth = seconds[-1] / seconds[-2]
        yield Figure(f"scale: {verb}, the last ten times more models", growth, "x the time", 12)


def write_providers(instance: Instance, models: int) -> None:
    """A hundred providers (ten for a hundred models) that share ``models`` names."""
    count = min(100, models // 10)
    providers = {
        f"provider-{number}": {
            "type": "openai_compatible",
            "base_url": f"http://127.0.0.1:{20_000 + number}",
            "status": "active",
            "models": [f"model-{number}-{index}" for index in range(models // count)],
        }
        for number in range(count)
    }
    (instance.home / "config" / "providers.yaml").write_text(yaml.safe_dump({"providers": providers}))


def throughput(session: Session) -> Iterator[Figure]:
    """Requests per second of one worker, ours and stock, with the same upstream and the same client."""
    seconds = session.rounds(6, 3)
    with contextlib.ExitStack() as stack:
        upstream = session.provider(stack, ("one",))
        instance = session.instance(stack)
        instance.add("one", upstream.url, "one")
        busy(instance.url, instance.key, "one", 1.0)
        ours = busy(instance.url, instance.key, "one", seconds)
        instance.stop()
        stock = session.stock(stack, upstream.url)
        stock.change(["one"])
        busy(stock.url, stock.key, "one", 1.0)
        theirs = busy(stock.url, stock.key, "one", seconds)
    yield Figure("throughput: the gateway, one worker", ours, "req/s")
    yield Figure("throughput: stock litellm", theirs, "req/s")
    yield Figure("throughput: the gateway, times stock", ours / theirs, "x", 0.9, at_least=True)


def busy(url: str, key: str, model: str, seconds: float = 1.5, connections: int = 8) -> float:
    """Ask over keep-alive connections as fast as answers come; return the 200s per second.

    A bare socket client: it leaves the processor to what is measured.
    """
    body = json.dumps({"model": model, "messages": [{"role": "user", "content": "hi"}]}).encode()
    head = f"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {key}\r\n"
    head += f"content-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
    port = int(url.rpartition(":")[2])

    async def client(until: float) -> int:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        answered = 0
        while time.monotonic() < until:
            writer.write(head.encode() + body)
            answer = (await reader.readuntil(b"\r\n\r\n")).lower()
            length = int(answer.split(b"content-length:")[1].split(b"\r")[0])
            await reader.readexactly(length)
            answered += answer.startswith(b"http/1.1 200")
        writer.close()
        return answered

    async def everyone() -> int:
        until = time.monotonic() + seconds
        return sum(await asyncio.gather(*(client(until) for _ in range(connections))))

    return asyncio.run(everyone()) / seconds
