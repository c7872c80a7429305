"""One request that was let in, until its end: its answer is metered, its reservation put right, its usage recorded,
whatever comes of it, and once."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Awaitable, Callable

from aiops.gateway.worker.call import Call, State, current
from aiops.gateway.worker.front import limits_shown
from aiops.gateway.worker.front.account import Account
from aiops.gateway.worker.front.asgi import Application, Headers, Message, Receive, Scope, Send, left, replay
from aiops.gateway.worker.front.beyond import NeedsLiteLLM
from aiops.gateway.worker.front.metering import COST_HEADER, Metering
from aiops.gateway.worker.front.reserve import Reservation, Reserve
from aiops.gateway.worker.prices import Tokens
from aiops.state import money
from aiops.state.usage import settled
from aiops.state.usage.record import Outcome
from aiops.state.usage.spool import Accepted

# How a stream says that nothing more comes. Whoever has read this may ask again at once, and must find its slot free.
# The event itself: a model may well say the word, inside of a piece that is JSON.
_DONE = re.compile(rb"(?:^|\n)data: ?\[DONE\]\s*$")
_TYPES = rb"(?:message_stop|response\.completed|response\.incomplete|response\.failed)"
_OVER = re.compile(rb"(?:^|\n)(?:event: ?" + _TYPES + rb'\s*\n|data: ?\{"type": ?"' + _TYPES + rb'")')

STOPS_AT_ONCE = "aiops.stops_at_once"
"""In the scope of a request that ends as soon as it is cancelled."""
# Seconds until anybody looks whether the client has left: most short answers are over by then, and a task for each
# would cost as much as counting it.
SOON = 0.01
# Seconds in which LiteLLM ends by itself what it has begun to answer. It would be in the way of being cancelled there:
# what reads from the provider is a task of its own then.
GRACE = 0.5


class Passage:
    """What a lane is called with. Raises what it raises.

    Whoever hangs up wants no answer: what was begun for it is cancelled, which closes the connection to the provider,
    and that stops generating."""

    def __init__(
        self, given: Reservation, accepted: Accepted, metering: Metering, reserve: Reserve, account: Account
    ) -> None:
        self._given = given
        self._accepted = accepted
        self._metering = metering
        self._reserve = reserve
        self._account = account
        self._began = time.monotonic()
        self._first: float | None = None
        self._left = False
        self._broke = False
        self._is_over = False
        self._head: Message | None = None  # kept back
        self._used: Tokens | None = None  # set when it is over
        self._cost: int | None = None  # likewise, of what LiteLLM does not say it of
        self.outcome: Outcome | None = None

    async def run(self, app: Application, scope: Scope, body: bytes | None, receive: Receive, send: Send) -> None:
        """``app``: the lane. ``body``: what it is given of the request; then ``receive`` is what the client says after
        it. None: nobody has read it, and it is the lane's to end."""
        is_read = scope["type"] == "http" and body is not None
        self._receive_from, self._send_to = replay(body, receive) if is_read else receive, send  # type: ignore[arg-type]
        try:
            if is_read and not self._given.asked.background:
                await self._until_left(app, scope, receive)
            else:
                await app(scope, self._receive, self._send)
        except asyncio.CancelledError:
            self._left = True
            raise
        except NeedsLiteLLM as needs:
            needs.id = self._given.id
            needs.give_up = await self._pass_on(current.get())
            raise
        except BaseException:
            self._broke = True
            raise
        finally:
            if not self._is_over:
                await self._end()

    async def _until_left(self, app: Application, scope: Scope, receive: Receive) -> None:
        try:
            async with asyncio.timeout(None) as cut:
                watching: list[asyncio.Task[None]] = []
                soon = asyncio.get_running_loop().call_later(
                    SOON, lambda: watching.append(asyncio.create_task(self._cut_when_left(cut, scope, receive)))
                )
                try:
                    await app(scope, self._receive, self._send)
                finally:
                    soon.cancel()
                    for each in watching:
                        each.cancel()
        except TimeoutError:
            if not cut.expired():
                raise

    async def _cut_when_left(self, cut: asyncio.Timeout, scope: Scope, receive: Receive) -> None:
        await left(receive)
        if self._is_over:
            return  # it has its answer; what LiteLLM does after that is its own
        self._left = True
        begun = not scope.get(STOPS_AT_ONCE) and (self._given.asked.stream or self._metering.status)
        cut.reschedule(asyncio.get_running_loop().time() + (GRACE if begun else 0))

    async def _receive(self) -> Message:
        message = await self._receive_from()
        if message["type"] in ("http.disconnect", "websocket.disconnect"):
            self._left = True
        return message

    async def _send(self, message: Message) -> None:
        kind = message["type"]
        if kind == "http.response.start":
            if not self._left or message["status"] < 400:  # or it is LiteLLM's word for a client that has left
                self._metering.start(message["status"], message.get("headers", ()))
            self._head = message  # it goes out with what follows: of a whole answer it is known then what is left
            return
        if kind == "http.response.body":
            more = bool(message.get("more_body"))
            body = message.get("body", b"")
            if self._first is None and body:
                self._first = time.monotonic() - self._began
            passed = self._metering.feed(body, more=more)
            if not self._is_over and (not more or (self._metering.streams and is_last(body))):
                self._metering.ended = True
                await self._end()
            if more and not passed:
                return
            message["body"] = passed
            if self._head is not None:
                head, self._head = self._head, None
                head["headers"] = self._with_limits(head.get("headers", []))
                if self._cost is not None and head["status"] < 400:
                    head["headers"].append((COST_HEADER, str(money.dollars(self._cost)).encode()))
                await self._send_to(head)
        elif kind == "websocket.accept":
            self._metering.status = 101
        elif kind == "websocket.send":
            self._metering.message(message.get("text") or "")
        elif kind == "websocket.close":
            self._metering.ended = True
        elif kind == "websocket.http.response.start":
            self._metering.status = message["status"]
        await self._send_to(message)

    def _with_limits(self, headers: Headers) -> Headers:
        levels = self._given.levels
        if self._used is not None:
            levels = limits_shown.put_right(levels, self._given.estimated.total, self._used.total)
        shown = limits_shown.shown(levels)
        if not shown:
            return headers
        return [pair for pair in headers if pair[0].lower() not in limits_shown.OURS] + shown

    async def _end(self) -> None:
        """The task may be cancelled again and again meanwhile; what was used is put right all the same, and whole."""
        self._is_over = True
        putting = self._put_right(current.get())
        if self._reserve.waits:
            await asyncio.shield(asyncio.ensure_future(putting))
        else:  # nothing of it lets anybody else in, so nobody can cancel it
            await putting

    async def _pass_on(self, call: Call | None) -> Callable[[], Awaitable[None]]:
        """Another worker answers it, by the same id: what was let in here is no more, and is not counted again. Returns
        what is to be called if none does."""
        self._is_over = True
        give_up = self._reserve.pass_on(self._given)
        self._account.pass_on(self._accepted)
        if call is not None and call.held is not None:
            held, call.held = call.held, None
            await held.void()
        return give_up

    async def _put_right(self, call: Call | None) -> None:
        metering = self._metering
        if self._broke and not metering.status:
            metering.status = 500
        began = call.began if call is not None and call.began else self._began
        seconds = time.monotonic() - began
        written = self._reserve.lengths.written(self._given.asked.model, seconds)
        spent = self._account.spent(self._given, metering, call, written)
        self._used = spent.tokens
        if metering.cost is None and not metering.cached and not spent.estimated:
            self._cost = spent.cost
        if metering.ended and metering.status < 400 and not spent.estimated and not metering.cached:
            self._reserve.lengths.note(self._given.asked.model, spent.tokens.completion, seconds)
        outcome = self.outcome = self._outcome(call)
        usage = self._account.usage(self._accepted, self._given, spent, metering, outcome, call, first=self._first)
        if self._given.settles:  # money is reserved
            self._account.ending(usage)
        epoch = settled.unsure(self._given.settles)  # cancelled meanwhile: it may be settled, or be settled later
        try:
            epoch = await self._reserve.settle(self._given, spent.tokens, spent.cost)
        finally:
            self._account.ended(usage, epoch)
            if call is not None and call.used is not None:
                call.used(spent.tokens.total)
            if call is not None and call.held is not None:
                await call.held.settle(spent.tokens.total)

    def _outcome(self, call: Call | None) -> Outcome:
        if self._left:
            return "left"
        broke_off = call is not None and call.state is State.FAILED
        if self._broke or broke_off or self._metering.status >= 400:
            return "failed"
        if not self._metering.ended:
            return "left"
        return "cached" if self._metering.cached else "answered"


def is_last(body: bytes) -> bool:
    """Whether a piece of a stream says that nothing more comes."""
    if b"[DONE]" in body[-64:] and _DONE.search(body, max(0, len(body) - 64)) is not None:
        return True
    # Most pieces have neither word in them; looking for where a line begins costs twenty times as much.
    return (b"message_stop" in body or b"response." in body) and _OVER.search(body) is not None
