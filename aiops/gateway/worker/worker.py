"""A forked child that serves one generation under uvicorn: a full one with LiteLLM's application behind its front and
its lanes, a light one without (see ``full`` and ``light``).

Roles and who may reach it:

    candidate     private unix socket only
    provisional   public too, until somebody confirms
    serving       public
    standby       public no longer (the management API's own port is), warm, ready to serve again
    draining      finishes what it has, hands its idle connections to the next generation, leaves

The master says which role through a socket pair. When the master dies the worker decides by its role alone:
a candidate and a provisional leave, a standby serves again, a serving one goes on serving until the next
master comes and takes over.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import sys
import time
import traceback
import zlib
from contextlib import AbstractAsyncContextManager
from typing import Any, NoReturn

import uvicorn

from aiops.gateway.shared import protocol, tallies
from aiops.gateway.shared.steady import LOST, WELL, Condition
from aiops.gateway.worker import collector, connections, egress, enquiry, giving, introspect, readiness, warmth
from aiops.gateway.worker.accepting import Accepting
from aiops.gateway.worker.assignment import Assignment
from aiops.gateway.worker.behind import Behind
from aiops.gateway.worker.board import Board
from aiops.gateway.worker.desk import Desk
from aiops.gateway.worker.dispatch import Dispatch
from aiops.gateway.worker.extension import OWN, Extension
from aiops.gateway.worker.front.asgi import ADMIN, Application
from aiops.gateway.worker.front.doors import Doors
from aiops.gateway.worker.readiness import Readiness
from aiops.spec.choosing.rules import RoutingTable
from aiops.state.replica import replica

# Longer than any common client keeps an idle connection, so that the client closes first and nothing races.
KEEP_ALIVE_SECONDS = 75
DRAIN_TICK = 0.05
COUNTED_SECONDS = 0.25  # for an answer that its client has, until it is counted


def run(assignment: Assignment) -> NoReturn:
    """Serve until told to leave. Never returns into the master's code."""
    code = 1
    try:
        with asyncio.Runner(loop_factory=egress.Loop) as runner:
            code = runner.run(Worker(assignment).serve())
    except BaseException as error:
        assignment.channel.setblocking(True)
        reason = f"{type(error).__name__}: {error}".strip()
        with contextlib.suppress(OSError):
            assignment.channel.sendall(protocol.encode({"event": "failed", "reason": reason}))
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


class Worker:
    def __init__(self, assignment: Assignment) -> None:
        self._given = assignment
        self._settings = assignment.settings
        self._role = protocol.CANDIDATE
        self._accepting = Accepting(assignment.listener, assignment.admin, assignment.backlog, self._protocol)
        self._leave = asyncio.Event()
        self._limit = assignment.settings.drain_seconds
        self._heirs = connections.Heirs()
        self._full = giving.FullWorkers(self._heirs)  # what a light worker gives to
        self._arriving: set[asyncio.Task[None]] = set()  # connections on their way from another generation
        self._master_lost: float | None = None  # since when, seconds since 1970
        self._doors = Doors(assignment.settings.expose)
        self._not_there: tuple[str, ...] = ()  # open on the port, and unknown to this LiteLLM
        self._desk: Desk | None = None

    def readiness(self) -> Readiness:
        lost = self._master_lost
        master = Condition(WELL) if lost is None else Condition(LOST, lost, "it has ended")
        return readiness.judge(
            {
                "master": master,
                **self._full.conditions(),
                **(self._desk.conditions() if self._desk is not None else {}),
            },
            drains=self._role == protocol.DRAINING,
            closed=self._desk is not None and self._desk.closed,
            said={"role": self._role, "extension": "pass", "replica": self._desk.replica if self._desk else ""},
            notes=self._not_there,
        )

    async def serve(self) -> int:
        os.environ.update(self._given.environment)
        os.environ["CONFIG_FILE_PATH"] = str(self._settings.config)
        self._known_modules = set(sys.modules)
        collecting = asyncio.create_task(collector.collect_between_callbacks())
        loop = asyncio.get_running_loop()
        if self._settings.addresses is not None and isinstance(loop, egress.Loop):
            egress.guard(loop, self._settings.addresses)
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._drain_now)
        async with self._behind() as behind:
            await self._serve(behind)
        collecting.cancel()
        return 0

    def _behind(self) -> AbstractAsyncContextManager[Behind]:
        if self._given.models is not None:
            from aiops.gateway.worker.light import light

            return light(self._given.models, self._full, lambda: self._report(event="litellm"))
        # This imports LiteLLM: not before the master has prepared its environment.
        from aiops.gateway.worker.full import litellm

        return litellm()

    async def _serve(self, behind: Behind) -> None:
        table, index = self._settings.routing or RoutingTable(), self._given.index
        board = Board(table, self._given.slots, index, taken=index + self._first_turn())
        board.deployments = behind.models.deployments()
        dispatch = Dispatch(board, behind.models)
        behind.choose_with(dispatch)
        warming = [*warmth.keep_watch(dispatch), *enquiry.keep_asking(table, board.hearsay)]
        extension = Extension(behind.app, self, self._settings.generation, board)
        self._not_there = await behind.prove(extension, self._given.environment, self._settings)
        self._desk = desk = Desk(
            extension,
            self._doors,
            OWN,
            self._settings,
            behind.models,
            dispatch,
            state=self._given.state,
            run=self._given.directory,
        )
        behind.count_with(desk)
        desk.says = self.readiness
        counting = desk.start()
        self._server = self._make_server(behind, behind.around(desk.front))
        exchange = await self._listen()
        self._reader, self._writer = await asyncio.open_connection(sock=self._given.channel)
        self._report(
            event="ready",
            pid=os.getpid(),
            http=str(self._given.address(os.getpid(), "http")),
            exchange=str(self._given.address(os.getpid(), "fd")),
            modules=self._new_modules(),
        )
        listening = asyncio.create_task(self._obey())
        ticking = asyncio.create_task(self._server.main_loop())
        await self._leave.wait()
        deadline = time.monotonic() + self._limit
        await self._drain(extension, deadline)
        exchange.close()
        await self._drain(extension, deadline)  # what arrived at the very last moment
        await desk.finish(max(0.0, deadline - time.monotonic()))
        await self._leave_tallies(extension, board)
        await desk.leave()
        self._heirs.close()
        with contextlib.suppress(OSError):  # a read-only disk
            self._given.address(os.getpid(), "http").unlink(missing_ok=True)
        self._report(event="drained")
        self._server.should_exit = True
        await ticking
        listening.cancel()
        for task in (*warming, *counting):
            task.cancel()

    def _make_server(self, behind: Behind, application: Application) -> uvicorn.Server:
        config = uvicorn.Config(
            application,
            **behind.server,
            lifespan="off",
            log_config=None,
            access_log=False,
            proxy_headers=False,
            server_header=False,
            timeout_keep_alive=KEEP_ALIVE_SECONDS,
            backlog=self._given.backlog,
            headers=[(protocol.GENERATION_HEADER, str(self._settings.generation))],
        )
        config.load()
        server = uvicorn.Server(config)
        server.lifespan = config.lifespan_class(config)
        server.lifespan.state.update(behind.state)
        return server

    async def _listen(self) -> connections.Exchange:
        path = self._given.address(os.getpid(), "http")
        private = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        private.bind(str(path))
        path.chmod(0o600)
        await self._server.startup(sockets=[private])
        # uvicorn sets the default headers in its tick, which comes after the first request could.
        await self._server.on_tick(0)
        return connections.Exchange(
            self._given.address(os.getpid(), "fd"),
            [self._given.listener, *([self._given.admin] if self._given.admin is not None else ())],
            self._adopt,
            retire=self._drain_now,
            stand_by=self._stand_by,
            resume=self._resume,
            take=self._take,
        )

    # --- what the master says ---------------------------------------------------------------------------------

    async def _obey(self) -> None:
        buffer = protocol.LineBuffer()
        while data := await self._reader.read(65536):
            for message in buffer.feed(data):
                if "role" in message:
                    await self._take_role(message)
                if "litellm" in message:  # why there is none; nothing: it is on its way
                    self._full.say(str(message["litellm"]))
        self._master_lost = time.time()
        sys.stderr.write(f"worker {os.getpid()}: the master is gone while I am {self._role}\n")
        if self._role in (protocol.CANDIDATE, protocol.PROVISIONAL):
            self._drain_now()
        elif self._role == protocol.STANDBY:
            await self._accepting.open()
            self._role = protocol.SERVING

    async def _take_role(self, message: protocol.Message) -> None:
        role = str(message["role"])
        if role in protocol.PUBLIC_ROLES:
            await self._accepting.open()
        elif role == protocol.STANDBY:
            self._accepting.stand_by()
        else:
            self._accepting.close()
        self._role = role
        if role == protocol.DRAINING:
            self._heirs.name(str(address) for address in message.get("heirs", ()))
            self._limit = float(message.get("limit", self._limit))
            self._begin_to_leave()
        self._report(event="role", role=role, modules=self._new_modules())

    def _new_modules(self) -> list[str]:
        """What was imported since last asked: the master imports it too, and shares it with workers to come."""
        new = sorted(set(sys.modules) - self._known_modules)
        self._known_modules.update(new)
        return new

    def _report(self, **event: Any) -> None:
        with contextlib.suppress(OSError, RuntimeError):
            self._writer.write(protocol.encode(event))

    def _drain_now(self, heirs: list[str] | None = None) -> None:
        self._heirs.name(heirs or [])
        self._accepting.close()
        self._role = protocol.DRAINING
        self._begin_to_leave()

    def _begin_to_leave(self) -> None:
        """Heirs, if there are any, have been named."""
        stopping = "" if self._heirs.named else "the gateway is stopping"
        self._full.say(stopping, stopping)
        self._leave.set()

    def _stand_by(self) -> None:
        """A master that is not this worker's tries its own generation at the same address."""
        if self._role == protocol.SERVING:
            self._accepting.stand_by()
            self._role = protocol.STANDBY

    def _resume(self) -> None:
        """That master is gone, or took its generation back."""
        if self._role == protocol.STANDBY:
            self._opening = asyncio.ensure_future(self._serve_again())

    async def _serve_again(self) -> None:
        self._role = protocol.SERVING
        await self._accepting.open()
        if self._role != protocol.SERVING:  # told otherwise meanwhile
            self._accepting.close()

    def _first_turn(self) -> int:
        """Another one in each of several gateways, which would else all ask the same provider first."""
        return 0 if self._settings.deployment is None else zlib.crc32(replica(self._given.state).encode())

    # --- connections ------------------------------------------------------------------------------------------

    def _protocol(self, admin: bool) -> asyncio.Protocol:
        """``admin``: it came by the port of the management API, which the front is told."""
        config = self._server.config
        made = config.http_protocol_class(  # type: ignore[call-arg]
            config=config,
            server_state=self._server.server_state,
            app_state=self._server.lifespan.state | ({ADMIN: True} if admin else {}),
            _loop=asyncio.get_running_loop(),
        )
        assert isinstance(made, asyncio.Protocol)
        return made

    def _adopt(self, sock: socket.socket, admin: bool) -> None:
        """Go on with a client connection that another generation handed over."""
        self._arrive(sock, admin, None)

    def _take(self, sock: socket.socket, said: bytes, memory: int) -> None:
        """The same, with a request that came by it and was not answered."""
        given = giving.taken(said, memory)
        self._arrive(sock, given.admin, given)

    def _arrive(self, sock: socket.socket, admin: bool, given: giving.Given | None) -> None:
        sock.setblocking(False)
        task = asyncio.ensure_future(self._go_on_with(sock, admin, given))
        self._arriving.add(task)
        task.add_done_callback(self._arriving.discard)

    async def _go_on_with(self, sock: socket.socket, admin: bool, given: giving.Given | None) -> None:
        loop = asyncio.get_running_loop()
        _, made = await loop.connect_accepted_socket(lambda: self._protocol(admin), sock)
        if given is not None:
            giving.feed(made, given)
        # uvicorn starts this clock after a response; this connection may never see another one.
        idle: Any = made
        if idle.scope is None and idle.timeout_keep_alive_task is None:
            idle.timeout_keep_alive_task = loop.call_later(KEEP_ALIVE_SECONDS, idle.timeout_keep_alive_handler)

    # --- leaving ----------------------------------------------------------------------------------------------

    async def _drain(self, extension: Extension, deadline: float) -> None:
        """Finish requests and streams, give idle connections to the heirs; at most until ``deadline``, monotonic."""
        state = self._server.server_state
        while (state.connections or self._arriving) and time.monotonic() < deadline:
            if not self._heirs.named:
                connections.close_after_response(state.connections)
            for connection in connections.idle(state.connections):
                self._part_with(connection)
            if extension.active == 0 and not state.connections and not self._arriving:
                break
            await asyncio.sleep(DRAIN_TICK)
        for connection in list(state.connections):
            connection.transport.abort()

    async def _leave_tallies(self, extension: Extension, board: Board) -> None:
        """What was counted here outlives this worker. While its socket is there it can still be asked."""
        until = time.monotonic() + COUNTED_SECONDS
        while extension.active and time.monotonic() < until:
            await asyncio.sleep(DRAIN_TICK)  # answered, its connection closed, and about to be counted
        with contextlib.suppress(OSError):  # a full or read-only disk
            worker = introspect.this_worker(os.getpid())
            tallies.leave(self._given.directory, worker, introspect.minutes(board, time.time()))

    def _part_with(self, connection: Any) -> None:
        if not self._heirs.named:
            connection.transport.close()
            return
        if not self._heirs.any:
            return  # the heirs have left before us: served here until the master names others, or the client leaves
        sock, admin = connections.detach(connection), ADMIN in connection.app_state
        if sock is None:
            return
        if self._heirs.give(sock, connections.ADOPT_ADMIN if admin else connections.ADOPT):
            sock.close()
        else:
            self._adopt(sock, admin)
