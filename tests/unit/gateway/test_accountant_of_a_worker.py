"""The accountant as a worker sees it: who does not answer whose a key is hangs, and who takes long does not."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from aiops.gateway.accountant.server import Peer, Server
from aiops.gateway.shared import accounting
from aiops.gateway.shared.accounting import Answer, Question
from aiops.gateway.worker import accountant
from aiops.gateway.worker.accountant import Accountant, Away


@asynccontextmanager
async def asked(run: Path, reply: Callable[[Question], Awaitable[Answer | None]]) -> AsyncIterator[Accountant]:
    async def answer(_: Peer, question: Question) -> Answer | None:
        return accounting.Welcome("here", 1) if isinstance(question, accounting.Hello) else await reply(question)

    server = Server(run, answer, lambda: None)
    await server.listen()
    worker = Accountant(run, 1, "http://127.0.0.1:1", lambda _: None)
    connected = asyncio.create_task(worker.stay_connected())
    try:
        yield worker
    finally:
        connected.cancel()
        await asyncio.gather(connected, return_exceptions=True)
        await server.close()


def test_a_slow_act_is_no_reason_to_doubt_keys_and_a_look_up_that_nobody_answers_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(accountant, "WAIT_SECONDS", 0.3)
    monkeypatch.setattr(accountant, "MANAGE_SECONDS", 0.3)

    async def never(_: Question) -> None:
        await asyncio.Event().wait()

    async def act() -> None:
        async with asked(tmp_path, never) as worker:
            with pytest.raises(Away, match="does not answer"):
                await worker.manage(accounting.Manage("GET", "/key/list"))
            with pytest.raises(Away, match="does not answer"):
                await worker.renew((), 1.0)
            assert worker.state == accounting.WELL
            with pytest.raises(Away, match="does not answer"):
                await worker.identity("a hash")
            assert (worker.state, worker.store.state) == ("lost", "unknown")

    asyncio.run(act())
