"""The kinds of client. Each ``ask`` is one request by one kind; nothing in here retries or swallows.

A whole answer is one with status 200 and content; a whole stream has its content pieces, a finish reason and
``[DONE]``.
"""

from __future__ import annotations

import json
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

import httpx
import openai

from tests.load.report import KindReport

Ask = Callable[[KindReport], Awaitable[None]]
GENERATION = "x-aiops-generation"


@dataclass(frozen=True)
class Target:
    """Where the load goes. ``expect_chunks`` is how many content pieces a whole stream has; None: at least one."""

    url: str
    key: str
    model: str
    expect_chunks: int | None = None
    max_tokens: int = 64
    timeout: float = 60.0
    saw_generation: Callable[[str], None] = field(default=lambda _: None, compare=False)

    def body(self, *, stream: bool) -> dict[str, Any]:
        messages = [{"role": "user", "content": "Say something."}]
        return {"model": self.model, "messages": messages, "max_tokens": self.max_tokens, "stream": stream}

    def note(self, headers: httpx.Headers) -> None:
        self.saw_generation(headers.get(GENERATION, "none"))


def http_client(target: Target, *, keep_alive: bool, connections: int) -> httpx.AsyncClient:
    """An httpx client that keeps idle connections for ever, or none at all."""
    limits = httpx.Limits(
        max_connections=connections,
        max_keepalive_connections=connections if keep_alive else 0,
        keepalive_expiry=None,
    )
    return httpx.AsyncClient(
        transport=httpx.AsyncHTTPTransport(retries=0, limits=limits, verify=False, trust_env=False),
        base_url=target.url,
        headers={"authorization": f"Bearer {target.key}"},
        timeout=target.timeout,
    )


def openai_client(target: Target, connections: int) -> openai.AsyncOpenAI:
    return openai.AsyncOpenAI(
        base_url=f"{target.url}/v1",
        api_key=target.key,
        max_retries=0,
        timeout=target.timeout,
        http_client=http_client(target, keep_alive=True, connections=connections),
    )


async def ask_http(client: httpx.AsyncClient, target: Target, report: KindReport) -> None:
    began = time.perf_counter()
    response = await client.post("/v1/chat/completions", json=target.body(stream=False))
    target.note(response.headers)
    if response.status_code != 200:
        report.failed(f"status {response.status_code}", response.text)
        return
    choices = response.json().get("choices") or [{}]
    if not choices[0].get("finish_reason"):
        report.failed("not an answer", response.text)
        return
    report.latencies.append(time.perf_counter() - began)


async def ask_openai(client: openai.AsyncOpenAI, target: Target, report: KindReport) -> None:
    began = time.perf_counter()
    raw = await client.chat.completions.with_raw_response.create(**target.body(stream=False))
    target.note(raw.headers)
    completion = raw.parse()
    # The SDK hands anything that is not JSON over as a plain string.
    if isinstance(completion, str) or not completion.choices or not completion.choices[0].finish_reason:
        report.failed("not an answer", str(completion))
        return
    report.latencies.append(time.perf_counter() - began)


@dataclass
class StreamSeen:
    """What has come of one stream so far."""

    chunks: int = 0
    finished: bool = False
    done: bool = False
    first_at: float = 0.0

    def take(self, choices: list[dict[str, Any]]) -> None:
        for choice in choices:
            if (choice.get("delta") or {}).get("content"):
                self.chunks += 1
                self.first_at = self.first_at or time.perf_counter()
            self.finished = self.finished or bool(choice.get("finish_reason"))

    def missing(self, target: Target) -> str:
        """What is not there that a whole stream has; empty when it is whole."""
        expected = target.expect_chunks
        if self.chunks != expected if expected is not None else not self.chunks:
            return f"{self.chunks} content chunks, expected {'some' if expected is None else expected}"
        if not self.finished:
            return "no finish_reason"
        return "" if self.done else "no [DONE]"


async def ask_stream(client: httpx.AsyncClient, target: Target, report: KindReport) -> None:
    began, seen = time.perf_counter(), StreamSeen()
    async with client.stream("POST", "/v1/chat/completions", json=target.body(stream=True)) as response:
        target.note(response.headers)
        if response.status_code != 200:
            await response.aread()
            report.failed(f"status {response.status_code}", response.text)
            return
        try:
            async for line in response.aiter_lines():
                if not line.startswith("data:"):
                    continue
                data = line[5:].strip()
                if data == "[DONE]":
                    seen.done = True
                    continue
                event = json.loads(data)
                if "error" in event:
                    report.cut(f"error event after {seen.chunks} chunks: {data}")
                    return
                seen.take(event.get("choices") or [])
        except (httpx.HTTPError, ValueError) as error:
            report.cut(f"{error!r} after {seen.chunks} chunks")
            return
    _settle(seen, target, report, began)


async def ask_openai_stream(client: openai.AsyncOpenAI, target: Target, report: KindReport) -> None:
    began, seen = time.perf_counter(), StreamSeen()
    raw = await client.chat.completions.with_raw_response.create(**target.body(stream=True))
    target.note(raw.headers)
    try:
        async for chunk in raw.parse():
            seen.take([choice.model_dump() for choice in chunk.choices])
    except (httpx.HTTPError, openai.OpenAIError, ValueError) as error:
        report.cut(f"{error!r} after {seen.chunks} chunks")
        return
    seen.done = True  # the SDK keeps [DONE] to itself; the count and the finish reason are what it lets us check
    _settle(seen, target, report, began)


def _settle(seen: StreamSeen, target: Target, report: KindReport, began: float) -> None:
    if missing := seen.missing(target):
        report.cut(missing)
    else:
        report.latencies.append(seen.first_at - began)
