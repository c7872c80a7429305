"""One request to the management API: a transaction, an answer. Whoever asks may ask: that was looked at before."""

from __future__ import annotations

from sqlalchemy import Connection, Engine

from aiops.errors import AiopsError
from aiops.gateway.accountant.management import errors
from aiops.gateway.accountant.management.asked import Asked, Request, mapping
from aiops.gateway.accountant.management.endpoints import REFUSED, find, methods
from aiops.gateway.accountant.management.errors import Answer, Refused, refusal
from aiops.state.administration.journal import Actor
from aiops.state.store import clock, keys
from aiops.state.store.open import Unavailable, conflicted, reading, writing
from aiops.state.store.writing import Stale

TRIES = 5  # while others change the same row
MASTER = "master key"

__all__ = ["Again", "Answer", "Request", "answer", "manage", "reads"]


class Again(Exception):
    """Somebody else changed the same row: the transaction may be tried again."""


def manage(engine: Engine, request: Request) -> Answer:
    """What is refused has changed nothing."""
    for attempt in range(1, TRIES + 1):
        try:
            with (reading if reads(request) else writing)(engine) as connection:
                return answer(connection, request)
        except Refused as refused:
            return refused.answer
        except Unavailable as error:
            return errors.of(error)
        except Exception as error:
            if attempt == TRIES or not (isinstance(error, Again) or conflicted(error)):
                raise
    raise AssertionError("unreachable")


def reads(request: Request) -> bool:
    """Whether it changes nothing, and may have a transaction that cannot."""
    found = find(request.method, _path(request))
    return found is None or found[0].reads


def answer(connection: Connection, request: Request) -> Answer:
    """In a transaction that is to be undone when this raises: ``Refused``, which has the answer, or ``Again``."""
    found = find(request.method, _path(request))
    if found is None:
        raise _not_here(request.method, _path(request))
    endpoint, step = found
    asked = Asked(
        connection=connection,
        given=dict(request.query) if request.method == "GET" else mapping(request.body),
        by=Actor(_who(connection, request), request.source),
        now=clock.read(connection) / clock.SECOND,
        caller=request.who,
        step=step,
    )
    try:
        return Answer(200, endpoint.answer(asked))
    except Unavailable:
        raise
    except Stale as error:
        raise Again from error
    except AiopsError as error:
        raise Refused.by(errors.of(error)) from error


def _path(request: Request) -> str:
    return request.path.rstrip("/")


def _who(connection: Connection, request: Request) -> str:
    """For the audit: a person as they say they are, and always whose key it was."""
    row = keys.get(connection, request.who) if request.who else None
    key = f"key {row.alias or row.name}" if row is not None else request.who or MASTER
    return f"{request.changed_by[:200]} ({key})" if request.changed_by else key


def _not_here(method: str, path: str) -> Refused:
    if others := methods(path):
        what = f"{path} is asked with {' or '.join(others)}, not {method}."
        return Refused.by(refusal(405, what, "invalid_request_error"))
    for begins, reason in REFUSED.items():
        if path.startswith(begins.rstrip("/")):
            return Refused.by(refusal(400, f"{path[:200]} is not supported by this gateway. {reason}"))
    return Refused.by(refusal(404, f"There is nothing at {method} {path[:200]}.", "not_found_error"))
