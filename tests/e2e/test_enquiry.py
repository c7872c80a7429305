"""Servers are asked how busy they are: a real llama.cpp, a double that writes what vLLM writes, and those that say
nothing."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from aiops.demo.child import DemoProvider
from aiops.gateway.worker import enquiry
from aiops.gateway.worker.hearsay import Hearsay
from aiops.gateway.worker.slots import Slots
from aiops.spec.choosing.rules import Figures, ProviderFacts, RoutingTable
from aiops.spec.choosing.said import Kind, Said

Seen = Callable[[Said | None], bool]
SECONDS = 20.0


class Asking:
    """Workers of one gateway, each of which asks."""

    def __init__(self, workers: int, **figures: Figures) -> None:
        self.table = RoutingTable(
            providers={name: ProviderFacts(1, True, figures=each) for name, each in figures.items()}
        )
        slots = Slots(workers, len(figures))
        places = {name: place for place, name in enumerate(figures)}
        self.heard = [Hearsay(slots, worker, places, time.monotonic) for worker in range(workers)]

    @contextlib.asynccontextmanager
    async def going_on(self) -> AsyncIterator[Hearsay]:
        tasks = [task for heard in self.heard for task in enquiry.keep_asking(self.table, heard)]
        try:
            yield self.heard[0]
        finally:
            for task in tasks:
                task.cancel()
            done = await asyncio.gather(*tasks, return_exceptions=True)
        assert [each for each in done if not isinstance(each, asyncio.CancelledError)] == []

    def until(
        self, seen: Callable[[Said | None], bool], provider: str = "gpu", seconds: float = SECONDS
    ) -> Said | None:
        """What is said, once it is what is waited for."""

        async def go_on() -> Said | None:
            async with self.going_on() as heard, asyncio.timeout(seconds):
                while not seen(found := heard.said(provider)):
                    await asyncio.sleep(0.02)
                return found

        return asyncio.run(go_on())


def at(kind: Kind, url: str, key: str | None = None) -> Asking:
    return Asking(1, gpu=Figures(kind, url, key))


def test_vllm_is_heard_in_the_words_of_its_metrics() -> None:
    """vLLM needs a GPU: this is a double, which writes the page as vLLM's source does."""
    with DemoProvider.double(face="vllm", models=("m",)) as provider:
        provider.control(waiting=3, cache=0.95)
        assert at("vllm", provider.url).until(lambda said: said is not None) == Said(0, 3, 0.95, beside=3)


def busy(url: str, requests: int, seen: Callable[[], Said | None], **headers: str) -> Said | None:
    """What is seen while a real llama.cpp works on ``requests``."""
    body = {"model": "m", "messages": [{"role": "user", "content": "hi"}], "max_tokens": 900}
    over = False

    def ask() -> None:
        while not over:
            httpx.post(f"{url}/v1/chat/completions", json=body, timeout=30, headers=headers, trust_env=False)

    with ThreadPoolExecutor(requests) as clients:
        asking = [clients.submit(ask) for _ in range(requests)]
        try:
            return seen()
        finally:
            over = True
            [each.result() for each in asking]


def test_a_real_llama_cpp_is_heard_with_what_it_had_to_put_off() -> None:
    with DemoProvider.llama_cpp() as provider:  # two slots
        asking = at("llama_cpp", provider.url)
        assert asking.until(lambda said: said is not None) == Said(0, 0)
        said = busy(provider.url, 4, lambda: asking.until(lambda said: said is not None and bool(said.waiting)))
    assert said is not None
    assert said.running == 2
    assert said.is_full
    assert said.beside == said.running + (said.waiting or 0), "this gateway has sent none of them"


def test_a_real_llama_cpp_without_metrics_is_heard_by_its_slots() -> None:
    with DemoProvider.llama_cpp(metrics=False) as provider:
        asking = at("llama_cpp", provider.url)
        assert asking.until(lambda said: said is not None) == Said(0)
        said = busy(provider.url, 2, lambda: asking.until(lambda said: said is not None and said.running == 2))
    assert said == Said(2, beside=2)


def test_a_real_llama_cpp_that_wants_a_key_is_asked_with_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GPU_KEY", "sk-of-the-gpu")
    with DemoProvider.llama_cpp(api_key_env="GPU_KEY") as provider:
        assert at("llama_cpp", provider.url, "GPU_KEY").until(lambda said: said is not None) == Said(0, 0)
        with pytest.raises(TimeoutError):
            at("llama_cpp", provider.url).until(lambda said: said is not None, seconds=1.0)


@pytest.mark.parametrize("mode", ["hang", "500", "html", "redirect", "wrong_json", "drop_before"])
def test_one_that_says_nothing_in_time_is_as_if_it_were_not_asked(mode: str) -> None:
    with DemoProvider.double(face="vllm", models=("m",)) as provider:
        provider.control(mode=mode)
        with pytest.raises(TimeoutError):
            at("vllm", provider.url).until(lambda said: said is not None, seconds=1.0)
        assert [each["path"] for each in provider.requests()] == ["/metrics"], "and it is not asked again at once"


def test_one_without_such_a_page_is_left_alone_for_a_while() -> None:
    with DemoProvider.double(models=("m",)) as provider:
        asking = at("llama_cpp", provider.url)
        with pytest.raises(TimeoutError):
            asking.until(lambda said: said is not None, seconds=3.0)
        assert [each["path"] for each in provider.requests()] == ["/metrics", "/slots"]
        assert asking.heard[0].due("gpu") > enquiry.SILENT - 10


def test_one_that_is_away_is_heard_when_it_is_back_and_the_others_all_the_time() -> None:
    with DemoProvider.double(face="vllm", models=("m",)) as provider, DemoProvider.double(face="vllm") as gone:
        gone.stop()
        asking = Asking(1, gpu=Figures("vllm", provider.url), gone=Figures("vllm", gone.url))
        assert asking.until(lambda said: said is not None) is not None
        assert asking.until(lambda said: True, "gone") is None
        with gone.restarted():
            assert asking.until(lambda said: said is not None, "gone") is not None


def test_several_workers_ask_no_more_often_than_one() -> None:
    async def for_a_while(asking: Asking) -> None:
        async with asking.going_on():
            for _ in range(25):
                for heard in asking.heard:
                    heard.said("gpu")
                await asyncio.sleep(0.1)

    with DemoProvider.double(face="vllm", models=("m",)) as provider:
        asking = Asking(4, gpu=Figures("vllm", provider.url))
        asyncio.run(for_a_while(asking))
        asked = len(provider.requests())
    assert all(heard.said("gpu") is not None for heard in asking.heard)
    assert 2 <= asked <= 12, "2.5 s, each half a second; two may see at once that it is time"


def test_nobody_is_asked_while_nobody_wants_to_know() -> None:
    async def for_a_while(asking: Asking) -> None:
        async with asking.going_on():
            await asyncio.sleep(1.0)

    with DemoProvider.double(face="vllm", models=("m",)) as provider:
        asyncio.run(for_a_while(at("vllm", provider.url)))
        assert provider.requests() == []


def test_where_nobody_goes_by_it_nothing_is_started() -> None:
    table = RoutingTable(providers={"gpu": ProviderFacts(1, True)})
    assert enquiry.keep_asking(table, Hearsay(Slots(1, 1), 0, {}, time.monotonic)) == []
