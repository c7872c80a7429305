"""When a client's connection is idle: only then may it be handed over. And how one is handed over."""

from __future__ import annotations

import asyncio
import socket
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from aiops.gateway.worker.connections import (
    ADMIN_LISTENER,
    ADOPT,
    ADOPT_ADMIN,
    LISTENER,
    Exchange,
    Heirs,
    ask_for_listener,
    is_idle,
    retire,
    stand_by,
)


def connection(**changes: Any) -> Any:
    """As uvicorn's protocol looks between two requests; ``changes`` say what is different."""
    scope: dict[str, Any] = {}
    facts = {"closing": False, "unsent": 0, "pipeline": [], "scope": scope, "complete": True, "cycle_scope": scope}
    facts |= changes
    transport = SimpleNamespace(is_closing=lambda: facts["closing"], get_write_buffer_size=lambda: facts["unsent"])
    cycle = SimpleNamespace(response_complete=facts["complete"], scope=facts["cycle_scope"])
    return SimpleNamespace(
        transport=transport,
        pipeline=facts["pipeline"],
        scope=facts["scope"],
        cycle=cycle if facts["scope"] is not None else None,
    )


def test_between_two_requests_a_connection_is_idle() -> None:
    assert is_idle(connection())


def test_a_connection_on_which_nothing_was_sent_is_idle() -> None:
    assert is_idle(connection(scope=None))


@pytest.mark.parametrize(
    "changes",
    [{"closing": True}, {"unsent": 1}, {"pipeline": [object()]}, {"complete": False}, {"cycle_scope": {"an": "other"}}],
    ids=["it is closing", "an answer is unsent", "a request waits", "a request runs", "a request is half received"],
)
def test_a_connection_is_not_idle_when(changes: dict[str, Any]) -> None:
    assert not is_idle(connection(**changes))


@pytest.mark.parametrize("admin", [False, True], ids=["of a user", "of an administrator"])
def test_a_connection_changes_hands_with_what_it_has_received(tmp_path: Path, admin: bool) -> None:
    async def story() -> bytes:
        adopted: list[tuple[socket.socket, bool]] = []
        listener, (client, server) = socket.create_server(("127.0.0.1", 0)), socket.socketpair()
        exchange = Exchange(
            tmp_path / "1.fd", [listener], lambda sock, admin: adopted.append((sock, admin)), *[ignore] * 4
        )
        client.sendall(b"GET / HTTP/1.1")
        heirs = Heirs()
        heirs.name([str(tmp_path / "gone.fd"), str(tmp_path / "1.fd")])
        assert heirs.any
        assert heirs.give(server, ADOPT_ADMIN if admin else ADOPT)
        server.close()
        # Nothing was received yet: closing takes what is on its way first.
        exchange.close()
        heirs.close()
        [(taken, by_admin)] = adopted
        assert by_admin is admin
        with taken, client, listener:
            return taken.recv(100)

    assert asyncio.run(story()) == b"GET / HTTP/1.1"


def ignore(*_: object) -> None:
    pass


def test_a_worker_stands_by_for_as_long_as_the_next_master_wants_it_and_lives(tmp_path: Path) -> None:
    async def story() -> list[str]:
        told: list[str] = []
        path = str(tmp_path / "1.fd")
        with socket.create_server(("127.0.0.1", 0)) as listener, socket.create_server(("127.0.0.1", 0)) as other:
            exchange = Exchange(
                tmp_path / "1.fd",
                [listener],
                ignore,
                retire=lambda heirs: told.append("leaves"),
                stand_by=lambda: told.append("stands by"),
                resume=lambda: told.append("resumes"),
                take=ignore,
            )
            for mine in (other, listener):
                links = await asyncio.to_thread(stand_by, [path, str(tmp_path / "gone.fd")], mine)
                assert list(links) == [path]
                assert told == (["stands by"] if mine is listener else []), "answered when it is done"
                links[path].close()
                await asyncio.sleep(0.05)
            links = await asyncio.to_thread(stand_by, [path], listener)
            assert await asyncio.to_thread(retire, path, [], links[path])
            await asyncio.sleep(0.05)
            exchange.close()
        return told

    # It resumes after it was told to leave, which a worker that leaves does not do.
    assert asyncio.run(story()) == ["stands by", "resumes", "stands by", "leaves", "resumes"]


def test_without_an_heir_the_connection_stays_where_it_is() -> None:
    near, far = socket.socketpair()
    heirs = Heirs()
    heirs.name(["/nowhere/1.fd"])
    with near, far:
        assert heirs.named
        assert not heirs.any
        assert not heirs.give(near)
        assert near.fileno() >= 0


def test_a_worker_without_a_port_for_administrators_says_so(tmp_path: Path) -> None:
    async def story() -> None:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            exchange = Exchange(tmp_path / "1.fd", [listener], ignore, ignore, ignore, ignore, ignore)
            asking = asyncio.to_thread(ask_for_listener, str(tmp_path / "1.fd"), ADMIN_LISTENER)
            assert await asyncio.wait_for(asking, 1) is None, "at once: a master that starts asks each worker"
            exchange.close()

    asyncio.run(story())


def test_the_next_master_gets_the_listeners_and_can_retire_the_worker(tmp_path: Path) -> None:
    async def story() -> None:
        told: list[list[str]] = []
        with socket.create_server(("127.0.0.1", 0)) as listener, socket.create_server(("127.0.0.1", 0)) as admin:
            exchange = Exchange(tmp_path / "1.fd", [listener, admin], ignore, told.append, ignore, ignore, ignore)
            for which, mine in ((LISTENER, listener), (ADMIN_LISTENER, admin)):
                inherited = await asyncio.to_thread(ask_for_listener, str(tmp_path / "1.fd"), which)
                assert inherited is not None
                with inherited:
                    assert inherited.getsockname() == mine.getsockname()
            assert await asyncio.to_thread(retire, str(tmp_path / "1.fd"), ["2.fd"])
            await asyncio.sleep(0.05)
            exchange.close()
        assert told == [["2.fd"]]
        assert ask_for_listener(str(tmp_path / "1.fd")) is None
        assert not retire(str(tmp_path / "1.fd"), [])

    asyncio.run(story())
