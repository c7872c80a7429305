"""One request to the management API: a transaction, an answer. Synchronous; called in the accountant's thread."""

from __future__ import annotations

from sqlalchemy import Connection, Engine

from aiops.errors import AiopsError
from aiops.gateway.accountant.management import errors
from aiops.gateway.accountant.management.asked import Asked, Request, mapping
from aiops.gateway.accountant.management.endpoints import REFUSED, Endpoint, find, methods
from aiops.gateway.accountant.management.errors import Answer, Refused, refusal
from aiops.state.administration.journal import Actor
from aiops.state.store import clock, keys
from aiops.state.store.open import conflicted, reading, writing
from aiops.state.store.writing import Stale

TRIES = 5  # while others change the same row
MASTER = "master key"

__all__ = ["Answer", "Request", "manage"]


def manage(engine: Engine, request: Request) -> Answer:
    """Whoever asks may ask: that was looked at before. What is refused has changed nothing."""
    path = request.path.rstrip("/")
    found = find(request.method, path)
    if found is None:
        return _not_here(request.method, path)
    endpoint, step = found
    try:
        return _answer(engine, request, endpoint, step)
    except Refused as refused:
        return refused.answer
    except AiopsError as error:
        return errors.of(error)


def _answer(engine: Engine, request: Request, endpoint: Endpoint, step: str) -> Answer:
    given = dict(request.query) if request.method == "GET" else mapping(request.body)
    for attempt in range(1, TRIES + 1):
        try:
            with (reading if endpoint.reads else writing)(engine) as connection:
                asked = Asked(
                    connection=connection,
                    given=given,
                    by=Actor(_who(connection, request), request.source),
                    now=clock.read(connection) / clock.SECOND,
                    caller=request.who,
                    step=step,
                )
                return Answer(200, endpoint.answer(asked))
        except Stale:
            if attempt == TRIES:
                raise
        except Exception as error:
            if attempt == TRIES or not conflicted(error):
                raise
    raise AssertionError("unreachable")


def _who(connection: Connection, request: Request) -> str:
    """For the audit: a person as they say they are, and always whose key it was."""
    row = keys.get(connection, request.who) if request.who else None
    key = f"key {row.alias or row.name}" if row is not None else request.who or MASTER
    return f"{request.changed_by[:200]} ({key})" if request.changed_by else key


def _not_here(method: str, path: str) -> Answer:
    if others := methods(path):
        return refusal(405, f"{path} is asked with {' or '.join(others)}, not {method}.", "invalid_request_error")
    for begins, reason in REFUSED.items():
        if path.startswith(begins.rstrip("/")) or path.startswith(begins):
            return refusal(400, f"{path[:200]} is not supported by this gateway. {reason}")
    return refusal(404, f"There is nothing at {method} {path[:200]}.", "not_found_error")
