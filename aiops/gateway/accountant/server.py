"""What workers ask the accountant, over a unix socket that only the owner may use."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from aiops.gateway.accountant.database import Unusable
from aiops.gateway.accountant.say import say
from aiops.gateway.shared import accounting, protocol
from aiops.gateway.shared.accounting import Answer, Push, Question
from aiops.gateway.shared.journald import WARNING
from aiops.state.store.open import reason

MOST_UNREAD = 16 * 1024 * 1024  # bytes that a worker leaves in its socket: it hangs, and asks again when it does not


class TooMuch(Exception):
    """More than whoever listens takes in one line: the connection would be given up."""


@dataclass(eq=False)
class Peer:
    """A worker that is connected; ``hello`` None until it has said who it is. ``applied``: the last change that it
    has."""

    writer: asyncio.StreamWriter
    hello: accounting.Hello | None = None
    applied: int | None = None
    tasks: set[asyncio.Task[None]] = field(default_factory=set)

    def say(self, message: Answer | Push, id: int | None = None) -> None:
        """Raises TypeError for what is no JSON, and TooMuch."""
        numbered = {} if id is None else {"id": id}
        line = protocol.encode({**numbered, **message.plain()})
        if len(line) > protocol.MAX_LINE:
            raise TooMuch
        self.writer.write(line)
        if self.writer.transport.get_write_buffer_size() > MOST_UNREAD:
            self.writer.transport.abort()


Reply = Callable[[Peer, Question], Awaitable[Answer | None]]


class Server:
    """``reply`` answers a question, or raises Unusable; ``applied`` is called when a worker says so, comes or goes."""

    def __init__(self, run: Path, reply: Reply, applied: Callable[[], None]) -> None:
        self._path = run / accounting.SOCKET
        self._reply = reply
        self._applied = applied
        self._server: asyncio.Server | None = None
        self.peers: set[Peer] = set()

    @property
    def workers(self) -> list[Peer]:
        """Those that have said who they are."""
        return [peer for peer in self.peers if peer.hello is not None]

    async def listen(self) -> None:
        """Raises OSError."""
        draft = self._path.with_name(f"{accounting.SOCKET}.{os.getpid()}")
        draft.unlink(missing_ok=True)
        before = os.umask(0o177)
        try:
            self._server = await asyncio.start_unix_server(self._meet, str(draft))
        finally:
            os.umask(before)
        # In one step: there is no moment at which nobody could connect, and none for a stranger.
        draft.rename(self._path)
        self._inode = self._path.stat().st_ino

    async def close(self) -> None:
        """Nobody is answered any more."""
        if self._server is None:
            return
        self._server.close()
        with suppress(OSError):
            if self._path.stat().st_ino == self._inode:  # and not that of the next one
                self._path.unlink()
        for peer in list(self.peers):
            peer.writer.close()
        await asyncio.sleep(0)

    def tell(self, message: Push) -> None:
        """All that are connected."""
        for peer in self.workers:
            peer.say(message)

    def applied_by_all(self, seq: int) -> int:
        """The last change that every worker has; ``seq``: of the last one there is."""
        return min((peer.applied if peer.applied is not None else 0 for peer in self.workers), default=seq)

    async def _meet(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        peer = Peer(writer)
        self.peers.add(peer)
        buffer = protocol.LineBuffer()
        try:
            while data := await reader.read(65536):
                for message in buffer.feed(data):
                    self._hear(peer, message)
        except (OSError, ValueError) as error:
            say(f"a connection is given up: {error}", WARNING)
        finally:
            self.peers.discard(peer)
            for task in peer.tasks:
                task.cancel()
            writer.close()
            self._applied()

    def _hear(self, peer: Peer, message: protocol.Message) -> None:
        said = accounting.said(message)
        if isinstance(said, accounting.Applied):
            peer.applied = said.seq
            self._applied()
        elif isinstance(said, Question):
            task = asyncio.create_task(self._answer(peer, said, int(message.get("id", 0))))
            peer.tasks.add(task)
            task.add_done_callback(peer.tasks.discard)

    async def _answer(self, peer: Peer, question: Question, id: int) -> None:
        try:
            answer = await self._reply(peer, question)
            if answer is not None:
                peer.say(answer, id)
        except Unusable as error:
            peer.say(accounting.Failed(str(error)), id)
        except TooMuch:
            peer.say(accounting.Failed("too much for one answer: ask for a page"), id)
        except Exception as error:  # one question that is not understood is no reason to leave the others alone
            say(f"`{question.word}` failed: {type(error).__name__}: {reason(error)}", WARNING)
            peer.say(accounting.Failed(f"the accountant failed: {type(error).__name__}"), id)
