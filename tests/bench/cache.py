"""What it is worth that a conversation stays where it was: time to the first token of prompts that begin as others did,
between two real llama.cpp servers that together keep all of them, and one of them alone does not."""

from __future__ import annotations

import contextlib
import random
import time
from collections.abc import Iterator
from statistics import median

import httpx

from aiops.demo import tiny_model
from aiops.demo.child import DemoProvider
from aiops.spec.choosing.said import samples
from tests.bench.figures import Figure
from tests.bench.gateways import BenchError, Instance
from tests.bench.routing import write
from tests.bench.session import Session

STRATEGIES = ("cache_aware", "round-robin", "least_loaded")
SLOTS = 4  # of each server: so many prompts it keeps
DOCUMENTS, WORDS = 6, 250  # words of six letters, which are 1,750 tokens
SHAPE = tiny_model.Shape(embedding=256, blocks=2, heads=8, kv_heads=4, feed_forward=512, context=4096)
AT_LEAST = 1.5  # times as fast as the better of the others
CACHED, COMPUTED = "llamacpp:prompt_tokens_cached_total", "llamacpp:prompt_tokens_total"


def cache(session: Session) -> Iterator[Figure]:
    """Questions about a few long documents, one after the other and in no order; the first one to each is not counted,
    since nobody can have computed it. The strategies take turns, each with documents of its own."""
    with contextlib.ExitStack() as stack:
        servers = [stack.enter_context(server(session)) for _ in range(2)]
        instance = Instance(session.directory / f"home-{session.number()}")
        stack.callback(instance.stop)
        instance.create()
        names = ("one", "two")
        kind = {"type": "llama_cpp", "status": "active", "max_parallel": SLOTS}
        providers = {
            name: {**kind, "base_url": each.url, "models": [f"{name}-model"]}
            for name, each in zip(names, servers, strict=True)
        }
        balanced = {
            each: {"strategy": each, "providers": [{"provider": name} for name in names]} for each in STRATEGIES
        }
        write(instance, "providers.yaml", {"providers": providers})
        write(instance, "model-mappings.yaml", {"load_balancing": balanced})
        instance.start()
        seconds: dict[str, list[float]] = {each: [] for each in STRATEGIES}
        reused: dict[str, list[float]] = {each: [] for each in STRATEGIES}
        for turn in range(session.rounds(3, 1)):
            for strategy in STRATEGIES:
                measured, share = asked(instance, servers, strategy, turn)
                seconds[strategy] += measured
                reused[strategy].append(share)
                session.say(f"  {strategy}: {median(measured) * 1000:.0f} ms, {share:.0%} of the tokens from a cache")
    for strategy in STRATEGIES:
        found = sorted(seconds[strategy])
        detail = (
            f"mean of {len(found)} requests, median {median(found) * 1000:.0f} ms, 90% within "
            f"{found[len(found) * 9 // 10] * 1000:.0f} ms; {median(reused[strategy]):.0%} of the tokens from a cache"
        )
        label = f"cache: first token of a known beginning, {strategy}"
        yield Figure(label, sum(found) / len(found) * 1000, "ms", detail=detail, samples=tuple(found))
    for other in STRATEGIES[1:]:
        faster = sum(seconds[other]) / sum(seconds["cache_aware"])
        detail = "of the means; each server keeps 4 prompts, 6 are asked about"
        yield Figure(f"cache: {other} / cache_aware", faster, "x", AT_LEAST, at_least=True, detail=detail)


def server(session: Session) -> DemoProvider:
    """A real llama.cpp that keeps what is in its slots, as a GPU keeps what is in its memory, and nothing beside."""
    model = tiny_model.ensure(session.directory, SHAPE)
    context = ("--context", str(SLOTS * SHAPE.context), "--slots", str(SLOTS), "--cache-ram", "0")
    return DemoProvider.llama_cpp(more=("--model", str(model), *context))


def asked(instance: Instance, servers: list[DemoProvider], model: str, turn: int) -> tuple[list[float], float]:
    """Seconds to the first token of each question, and the share of the prompts' tokens that was in a cache."""
    chance = random.Random(turn)
    documents = [text(f"{model} {turn} {number}") for number in range(DOCUMENTS)]
    with httpx.Client(base_url=instance.url, timeout=120, trust_env=False) as client:
        for document in chance.sample(documents, DOCUMENTS):
            first_token(client, instance.key, model, f"{document} what is it about?")
        before = [counted(each) for each in servers]
        questions = [(document, number) for document in documents for number in range(4)]
        chance.shuffle(questions)
        measured = [
            first_token(client, instance.key, model, f"{document} what does part {number} say?")
            for document, number in questions
        ]
    after = [counted(each) for each in servers]
    cached, computed = (sum(b[at] - a[at] for a, b in zip(before, after, strict=True)) for at in (0, 1))
    return measured, cached / (cached + computed)


def text(seed: str) -> str:
    chance = random.Random(seed)
    return " ".join("".join(chance.choices("abcdefghijklm", k=6)) for _ in range(WORDS))


def first_token(client: httpx.Client, key: str, model: str, prompt: str) -> float:
    body = {"model": model, "stream": True, "max_tokens": 4, "messages": [{"role": "user", "content": prompt}]}
    seconds = None
    began = time.perf_counter()
    with client.stream("POST", "/v1/chat/completions", json=body, headers={"authorization": f"Bearer {key}"}) as answer:
        for line in answer.iter_lines():  # to its end: the next request finds the server idle
            if seconds is None and '"content":"' in line and '"content":""' not in line:
                seconds = time.perf_counter() - began
    if seconds is None:
        raise BenchError(f"no token from {model}: HTTP {answer.status_code}")
    return seconds


def counted(server: DemoProvider) -> tuple[float, float]:
    """Tokens of prompts that it had in a cache, and that it computed."""
    page = httpx.get(f"{server.url}/metrics", timeout=30, trust_env=False).text
    found = samples(page, CACHED, COMPUTED)
    return found[CACHED][0][1], found[COMPUTED][0][1]
