"""What the accountant answers its workers: whatever it is, the others are answered too."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from aiops.gateway.accountant.server import Peer, Server
from aiops.gateway.shared import accounting, protocol
from aiops.gateway.shared.accounting import Answer, Managed, Question
from aiops.gateway.worker.accountant import Accountant, Away

TOO_MUCH = "x" * protocol.MAX_LINE
NO_JSON = {1, 2}


@pytest.mark.parametrize(
    ("body", "said"),
    [(TOO_MUCH, "too much for one answer: ask for a page"), (NO_JSON, "the accountant failed: TypeError")],
)
def test_an_answer_that_cannot_be_said_costs_nobody_the_connection(tmp_path: Path, body: Any, said: str) -> None:
    met = 0

    async def reply(peer: Peer, question: Question) -> Answer | None:
        nonlocal met
        match question:
            case accounting.Hello():
                met += 1
                return accounting.Welcome("r", 1)
            case accounting.Manage():
                return Managed(200, body)
            case _:
                return accounting.Done()

    async def act() -> None:
        server = Server(tmp_path, reply, lambda: None)
        await server.listen()
        worker = Accountant(tmp_path, 1, "", lambda changed: None)
        connection = asyncio.create_task(worker.stay_connected())
        try:
            with pytest.raises(Away, match=said):
                await worker.manage(accounting.Manage("GET", "/key/list"))
            await worker.ingest()
            assert met == 1, "it had to connect again"
        finally:
            connection.cancel()
            await asyncio.gather(connection, return_exceptions=True)
            await server.close()

    asyncio.run(act())
