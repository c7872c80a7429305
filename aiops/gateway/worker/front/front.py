"""The public port: what is not an open door is not there, nothing but health answers without a key, and whoever is
let in is held to what its key may do, counted and accounted.

    identify -> may it? -> reserve -> lanes -> settle -> account

Requests of aiops itself come by a private unix socket and are not looked at; its proofs by this port are neither
limited nor accounted. What a model is asked goes through the lanes, whoever asks.
"""

from __future__ import annotations

import contextlib
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial

from aiops.gateway.worker.figures import Figures
from aiops.gateway.worker.front import asked, key, let_in, listing, management, metrics, reasons
from aiops.gateway.worker.front.account import IDEMPOTENCY_KEY, Account
from aiops.gateway.worker.front.asgi import (
    Application,
    Receive,
    Scope,
    Send,
    TooLarge,
    header,
    is_admins,
    is_private,
    read_body,
    replay,
)
from aiops.gateway.worker.front.asked import Asked
from aiops.gateway.worker.front.beyond import id_of
from aiops.gateway.worker.front.cached.cache import Cache
from aiops.gateway.worker.front.doors import WEBSOCKET, Doors, opens
from aiops.gateway.worker.front.identify import identify, stranger
from aiops.gateway.worker.front.invalid import Invalid, check_headers
from aiops.gateway.worker.front.known import Known
from aiops.gateway.worker.front.metering import Metering
from aiops.gateway.worker.front.once.once import Once
from aiops.gateway.worker.front.passage import Passage
from aiops.gateway.worker.front.proofs import is_proof
from aiops.gateway.worker.front.refusals import send_refusal
from aiops.gateway.worker.front.reserve import Reservation, Reserve
from aiops.gateway.worker.lanes.lanes import Lanes
from aiops.gateway.worker.prices import Tokens
from aiops.spec.shapes.exposed import SHOWN_ONLY
from aiops.state import rules
from aiops.state.restricted import is_restricted
from aiops.state.rules import Refusal
from aiops.state.shapes import Identity
from aiops.state.usage.record import Outcome

LARGEST_BODY = 512 * 1024 * 1024


class Front:
    """Wraps the application of a worker. ``health``: the paths that it answers without a key. ``manage``: who answers
    the management API; None: nobody, and it is not there. ``apart``: it has a port of its own. ``same``: other names of
    served models. ``metrics``: who says what is counted, likewise. ``host``: that it listens on. ``refused`` counts
    refusals by ``type``. ``lanes``: what answers a request to a model; None: ``app`` does."""

    def __init__(
        self,
        app: Application,
        doors: Doors,
        health: frozenset[str],
        known: Known,
        reserve: Reserve,
        account: Account,
        manage: management.Ask | None = None,
        once: Once | None = None,
        cache: Cache | None = None,
        apart: bool = False,
        same: Mapping[str, str] | None = None,
        metrics: metrics.Ask | None = None,
        host: str = "",
        figures: Figures | None = None,
        clock: Callable[[], float] = time.time,
        lanes: Lanes | None = None,
    ) -> None:
        self.refused: Counter[str] = Counter()
        self._app = app
        self._doors = doors
        self._health = health
        self._known = known
        self._reserve = reserve
        self._account = account
        self._manage = manage
        self._once = once
        self._cache = cache
        self._apart = apart
        self._same = same or {}
        self._metrics = metrics
        self._host = host
        self._figures = figures
        self._clock = clock
        self._lanes = lanes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        kind = scope["type"]
        if kind not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        if is_private(scope):
            await self._prove(scope, receive, send)
            return
        method = scope["method"] if kind == "http" else WEBSOCKET
        path = scope["path"]
        if path in self._health or self._doors.public(method, path):
            await self._app(scope, receive, send)
            return
        if method == "OPTIONS" and (wanted := _preflight(scope)) and self._doors.usual(wanted, path):
            # A browser asks before it sends anything, and has no key then. LiteLLM's CORS layer answers.
            await self._app(scope, receive, send)
            return
        if path == metrics.PATH and method == "GET" and self._metrics is not None:
            await self._measure(scope, send, self._metrics)
            return
        managed = self._manage is not None and kind == "http" and management.is_managed(method, path)
        admins = self._apart and is_admins(scope)
        if managed and self._apart and not admins:
            await self._refuse(scope, send, management.ELSEWHERE)
            return
        usual = not managed and self._doors.usual(method, path)
        if not usual and not managed and not self._doors.opened(method, path):
            bare = path.rstrip("/")
            usual = self._doors.usual(method, bare)
            if not usual:
                await self._refuse(scope, send, reasons.not_here(method, path))
                return
            # LiteLLM would redirect, and not every client follows a POST.
            path = bare
            scope = {**scope, "path": bare, "raw_path": scope.get("raw_path", b"").rstrip(b"/")}
        if admins and usual and not self._doors.lists(method, path):
            await self._refuse(scope, send, management.NOT_FOR_MODELS)
            return
        # Of the management API `?key=` says which key is asked about, not who asks.
        query = b"" if managed else scope.get("query_string", b"")
        identity = await identify(list(key.given(scope["headers"], query)), self._known)
        if isinstance(identity, Refusal):
            await self._refuse(scope, send, identity, b"Bearer" if usual or managed else b'Basic realm="aiops"')
            return
        if managed:
            await self._administer(scope, receive, send, identity)
        elif not usual:
            await self._open(scope, receive, send, identity)
        elif not self._doors.asked(method, path) or (not identity.id and is_proof(scope["headers"])):
            await self._look(scope, receive, send, identity)
        else:
            await self._ask(scope, receive, send, identity)

    # --- what is asked for ------------------------------------------------------------------------------------

    async def _ask(self, scope: Scope, receive: Receive, send: Send, identity: Identity) -> None:
        """A request to a model."""
        refused = rules.allow(identity, scope["path"], (), self._clock())
        if refused is not None:  # before anything is read of what it sends
            await self._refuse(scope, send, refused)
            return
        wanted = await self._read(scope, receive, identity)
        if wanted is None:
            return  # the client left
        if isinstance(wanted, Refusal):
            await self._refuse(scope, send, wanted)
            return
        refused = rules.allow(identity, scope["path"], wanted.models, self._clock())
        if refused is not None:
            await self._refuse(scope, send, refused)
            return
        again = header(scope, IDEMPOTENCY_KEY).decode("latin-1")
        run = partial(self._answer, scope, identity, wanted)
        # Whoever has the master key is many: what one was answered is not for the others.
        if not again or not identity.id or self._once is None or scope["type"] != "http":
            await run(id_of(scope), receive, send)
            return
        refused = await self._once.answer(identity.id, again, scope, wanted.body, receive, send, run)
        if refused is not None:
            await self._refuse(scope, send, refused)

    async def _answer(
        self, scope: Scope, identity: Identity, wanted: Asked, id: str, receive: Receive, send: Send
    ) -> Outcome | None:
        """None: it was refused."""
        now = self._clock()
        given = await self._reserve.reserve(id, identity, wanted, now)
        if isinstance(given, Refusal):
            await self._refuse(scope, send, given)
            return None
        let_in.current.set(let_in.LetIn(identity, scope["path"], wanted.models, given.estimated.total))
        body, metering = wanted.body, Metering(hides_usage=wanted.with_usage is not None)
        app = self._app if self._lanes is None else self._lanes.of(wanted)
        if wanted.with_usage is not None:
            body = wanted.with_usage
            size = (b"content-length", str(len(body)).encode())
            scope = {**scope, "headers": [size if pair[0] == size[0] else pair for pair in scope["headers"]]}
        idempotency_key = header(scope, IDEMPOTENCY_KEY).decode("latin-1")[:256] or None
        accepted = self._account.accept(given, identity, scope["path"], idempotency_key, now)
        passage = Passage(given, accepted, metering, self._reserve, self._account)
        asks = self._cache.question(scope, identity, wanted) if self._cache is not None else None
        if self._cache is not None and asks is not None:
            app = self._cache.before(app, asks, metering)
        await passage.run(app, scope, body, receive, send)
        return passage.outcome

    async def _look(self, scope: Scope, receive: Receive, send: Send, identity: Identity) -> None:
        """A list of models, an answer that its provider keeps, or a proof: nothing is counted."""
        path = scope["path"]
        lists = scope["type"] == "http" and self._doors.lists(scope["method"], path)
        refused = rules.allow(identity, path, (), self._clock(), "listings" if lists else "models")
        one = listing.one_of(path) if lists else None
        if refused is None and one is not None and not rules.lists(identity, one):
            refused = Refusal(
                status=404,
                kind="invalid_request_error",
                param="model",
                code="model_not_found",
                message=f"The model `{one[:200]}` does not exist, or this key may not ask for it.",
            )
        if refused is not None:
            await self._refuse(scope, send, refused)
            return
        let_in.current.set(let_in.LetIn(identity, path))
        if lists and one is None and listing.is_cut(identity, path):
            await listing.send_list(self._app, scope, receive, send, identity)
        else:
            await self._prove(scope, receive, send)

    async def _prove(self, scope: Scope, receive: Receive, send: Send) -> None:
        """What aiops itself asks a model goes the way that it goes when others ask."""
        app: Application = self._app
        if self._lanes is not None and scope["type"] == "http" and self._doors.asked(scope["method"], scope["path"]):
            given = list(key.given(scope["headers"], scope.get("query_string", b"")))
            if is_private(scope) and (refused := stranger(given)) is not None:
                await send_refusal(scope, send, refused, [(b"www-authenticate", b"Bearer")])
                return
            try:
                body = await read_body(receive, LARGEST_BODY, header(scope, b"content-length"))
            except TooLarge as error:
                await send_refusal(scope, send, reasons.too_large(error))
                return
            if body is None:
                return
            receive = replay(body, receive)
            with contextlib.suppress(Invalid, asked.Unreadable):  # LiteLLM says what is wrong with it
                query = scope.get("query_string", b"")
                wanted = asked.read(scope["path"], header(scope, b"content-type"), body, query, self._same)
                app = self._lanes.of_proof(replace(wanted, with_usage=None))
        await app(scope, receive, send)

    async def _open(self, scope: Scope, receive: Receive, send: Send, identity: Identity) -> None:
        """What the operator opened, all of which is an administrator's. Nobody can say beforehand what is used there,
        so whoever is held to something stays out; of the others it is written down what is said of it."""
        path, now = scope["path"], self._clock()
        refused = rules.allow(identity, path, (), now, "opened")
        if refused is None and not identity.admin:
            refused = reasons.only_admins(path)
        if refused is None and is_restricted(identity):
            refused = reasons.only_free(path)
        if refused is not None:
            await self._refuse(scope, send, refused)
            return
        let_in.current.set(let_in.LetIn(identity, path))
        if opens(scope.get("method", WEBSOCKET), path) in SHOWN_ONLY:
            await self._app(scope, receive, send)
            return
        given = Reservation(id_of(scope), Asked(), Tokens(), (), is_opened=True)
        accepted = self._account.accept(given, identity, path, None, now)
        await Passage(given, accepted, Metering(), self._reserve, self._account).run(
            self._app, scope, None, receive, send
        )

    async def _administer(self, scope: Scope, receive: Receive, send: Send, identity: Identity) -> None:
        refused = rules.allow(identity, scope["path"], (), self._clock(), "management")
        if refused is None and not identity.admin:
            refused = management.ONLY_ADMINS
        if refused is not None:
            await self._refuse(scope, send, refused)
            return
        assert self._manage is not None
        await management.manage(self._manage, scope, receive, send, identity)

    async def _measure(self, scope: Scope, send: Send, ask: metrics.Ask) -> None:
        if not metrics.is_near(scope, self._host):
            who = await identify(list(key.given(scope["headers"], scope.get("query_string", b""))), self._known)
            if isinstance(who, Refusal):
                await self._refuse(scope, send, who, b"Bearer")
                return
            refused = rules.valid(who, self._clock()) or (None if who.admin else metrics.ONLY_ADMINS)
            if refused is not None:
                await self._refuse(scope, send, refused)
                return
        await metrics.answer(ask, send)

    async def _read(self, scope: Scope, receive: Receive, identity: Identity) -> Asked | Refusal | None:
        path, query = scope["path"], scope.get("query_string", b"")
        if scope["type"] == "websocket":
            if identity.id and path.endswith("/responses"):
                return reasons.by_post(path)  # each message asks for a model of its own
            return asked.read(path, b"", b"", query, self._same)
        try:
            body = await read_body(receive, LARGEST_BODY, header(scope, b"content-length"))
        except TooLarge as error:
            return reasons.too_large(error)
        if body is None:
            return None
        try:
            check_headers(scope["headers"])
            wanted = asked.read(path, header(scope, b"content-type"), body, query, self._same)
            return reasons.not_theirs(wanted) if identity.id and wanted.not_theirs else wanted
        except Invalid as error:
            return Refusal(status=400, kind="invalid_request_error", param=error.param, code="400", message=str(error))
        except asked.Unreadable as error:
            if not identity.id:
                return Asked(body=body)  # LiteLLM says what is wrong with it, as it always did
            return Refusal(status=400, kind="invalid_request_error", code="400", message=str(error))

    async def _refuse(self, scope: Scope, send: Send, refusal: Refusal, challenge: bytes = b"") -> None:
        self.refused[refusal.kind] += 1
        if self._figures is not None:
            self._figures.refused(refusal)
        more = [(b"www-authenticate", challenge)] if challenge and refusal.status == 401 else None
        await send_refusal(scope, send, refusal, more)


def _preflight(scope: Scope) -> str:
    headers = dict(scope["headers"])
    return str(headers.get(b"access-control-request-method", b"").decode("latin-1")) if b"origin" in headers else ""
