"""Who asks: the master key without any look-up, every other key by its hash."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from aiops.gateway.worker.front import key
from aiops.gateway.worker.front.known import Known
from aiops.state.rules import MASTER, Refusal
from aiops.state.shapes import Identity

PREFIX = "sk-"
AGAIN_SECONDS = 1.0
NO_KEY = "No API key was given. Send it as `Authorization: Bearer KEY`."


async def identify(given: Sequence[str], known: Known) -> Identity | Refusal:
    """Whose of the keys that a request brings counts: the master key if it is among them, else the first."""
    if any(map(key.is_known, given)):
        return MASTER
    shown = next(filter(None, given), "")
    if not shown:
        return Refusal(status=401, kind="auth_error", code="401", message=NO_KEY)
    if not shown.startswith(PREFIX):
        # What is stored of a key is its hash: whoever stole that has no key.
        return _unknown(shown, "auth_error", "a key begins with `sk-`")
    try:
        found = await known.identity(fingerprint(shown))
    except Exception as error:  # whatever keeps the answer away, the client is to come again
        known.note(error)  # where our servers are, and what ails them, is nothing for whoever has no key
        return Refusal(
            status=503,
            kind="service_unavailable_error",
            code="503",
            message=f"Nobody can say now whose key {hidden(shown)} is. Ask again in {AGAIN_SECONDS:g} s.",
            wait=AGAIN_SECONDS,
        )
    return found if found is not None else _unknown(shown, "token_not_found_in_db", "nobody has this key")


def stranger(given: Sequence[str]) -> Refusal | None:
    """On the private socket, which is aiops' own: whoever has not the master key."""
    if any(map(key.is_known, given)):
        return None
    message = "Incorrect API key provided." if any(given) else NO_KEY
    return Refusal(status=401, kind="invalid_request_error", code="401", message=message)


def fingerprint(shown: str) -> str:
    """What is stored of a key: SHA-256 of all of it, as LiteLLM has it."""
    return hashlib.sha256(shown.encode()).hexdigest()


def hidden(shown: str) -> str:
    """For people: never the key itself."""
    return f"sk-...{shown[-4:]}" if shown.startswith(PREFIX) and len(shown) > 12 else "****"


def _unknown(shown: str, kind: str, why: str) -> Refusal:
    message = f"Authentication Error, Incorrect API key provided. Received API Key = {hidden(shown)}: {why}."
    return Refusal(status=401, kind=kind, code="401", message=message)
