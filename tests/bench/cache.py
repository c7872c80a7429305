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
SLOTS, DOCUMENTS = 8, 12  # each server keeps so many prompts, and so many are asked about
WORDS = 250  # of six letters, which are 1,750 tokens
SHAPE = tiny_model.Shape(embedding=256, blocks=2, heads=8, kv_heads=4, feed_forward=512, context=2560)
AT_LEAST = 1.5  # times as fast as each of the others
CACHED, COMPUTED = "llamacpp:prompt_tokens_cached_total", "llamacpp:prompt_tokens_total"


def cache(session: Session) -> Iterator[Figure]:
    """Questions about long documents, one after the other and in no order. The first one to each is not counted: nobody
    can have computed it. Each strategy has two servers of its own, and they take turns with each question."""
    with contextlib.ExitStack() as stack:
        servers = {each: [stack.enter_context(server(session)) for _ in range(2)] for each in STRATEGIES}
        instance = serving(session, stack, servers)
        found: dict[str, list[float]] = {each: [] for each in STRATEGIES}
        documents = [text(number) for number in range(DOCUMENTS)]
        questions = [(document, number) for document in documents for number in range(session.rounds(6, 3))]
        chance = random.Random(7)
        chance.shuffle(questions)
        with httpx.Client(base_url=instance.url, timeout=120, trust_env=False) as client:
            for document in documents:
                for strategy in STRATEGIES:
                    first_token(client, instance.key, strategy, f"{document} what is it about?")
            before = {each: counted(servers[each]) for each in STRATEGIES}
            for document, number in questions:
                for strategy in chance.sample(STRATEGIES, len(STRATEGIES)):
                    asked = f"{document} what does part {number} say?"
                    found[strategy].append(first_token(client, instance.key, strategy, asked))
        for strategy in STRATEGIES:
            yield told(strategy, sorted(found[strategy]), before[strategy], counted(servers[strategy]))
        for other in STRATEGIES[1:]:
            faster = sum(found[other]) / sum(found["cache_aware"])
            detail = f"of the means; each server keeps {SLOTS} prompts, {DOCUMENTS} are asked about"
            yield Figure(f"cache: {other} / cache_aware", faster, "x", AT_LEAST, at_least=True, detail=detail)


def server(session: Session) -> DemoProvider:
    """A real llama.cpp that keeps what is in its slots, as a GPU keeps what is in its memory, and nothing beside."""
    model = tiny_model.ensure(session.directory, SHAPE)
    context = ("--context", str(SLOTS * SHAPE.context), "--slots", str(SLOTS), "--cache-ram", "0")
    return DemoProvider.llama_cpp(more=("--model", str(model), *context))


def serving(session: Session, stack: contextlib.ExitStack, servers: dict[str, list[DemoProvider]]) -> Instance:
    """A gateway with one name for each strategy, which is its name."""
    instance = Instance(session.directory / f"home-{session.number()}")
    stack.callback(instance.stop)
    instance.create()
    kind = {"type": "llama_cpp", "status": "active", "max_parallel": SLOTS}
    providers, balanced = {}, {}
    for strategy, pair in servers.items():
        names = [f"{strategy}-{number}" for number in range(len(pair))]
        for name, each in zip(names, pair, strict=True):
            providers[name] = {**kind, "base_url": each.url, "models": [f"model-of-{name}"]}
        balanced[strategy] = {"strategy": strategy, "providers": [{"provider": name} for name in names]}
    write(instance, "providers.yaml", {"providers": providers})
    write(instance, "model-mappings.yaml", {"load_balancing": balanced})
    instance.start()
    return instance


def told(strategy: str, found: list[float], before: Tokens, after: Tokens) -> Figure:
    cached, computed = after[0] - before[0], after[1] - before[1]
    detail = (
        f"mean of {len(found)} requests, median {median(found) * 1000:.0f} ms, 90% within "
        f"{found[len(found) * 9 // 10] * 1000:.0f} ms; {cached / (cached + computed):.0%} of the tokens from a cache"
    )
    label = f"cache: first token of a known beginning, {strategy}"
    return Figure(label, sum(found) / len(found) * 1000, "ms", detail=detail, samples=tuple(found))


def text(seed: int) -> str:
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


Tokens = tuple[float, float]


def counted(servers: list[DemoProvider]) -> Tokens:
    """Tokens of prompts that they had in a cache, and that they computed."""
    pages = [httpx.get(f"{each.url}/metrics", timeout=30, trust_env=False).text for each in servers]
    found = [samples(page, CACHED, COMPUTED) for page in pages]
    return sum(each[CACHED][0][1] for each in found), sum(each[COMPUTED][0][1] for each in found)
