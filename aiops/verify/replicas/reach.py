"""Whether a replica is reached at its own address, and whether it is the one that is meant."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import urlsplit

from aiops.host import http
from aiops.spec.shapes.urls import is_loopback
from aiops.verify.check import Failed
from aiops.verify.replicas.tenant import Replica

HEALTH = "/_health/ready"
WELL = "pass"
LOOKS = 3  # on connections of their own: workers may differ
STORES = ("accountant", "store", "redis", "counters", "usage")


def identity(replica: Replica, names: Mapping[str, str], timeout: float) -> str:
    """Ask for its health, without a key: whoever else is there is shown none. ``names``: of all replicas by their ids.
    Raises Failed."""
    checks = health(replica, timeout)
    who = checks.get("replica")
    if not who:
        raise Failed(f"who answers at {replica.url} does not say which gateway it is: `aiops upgrade` it")
    if who != replica.id:
        other = names.get(who, "another gateway")
        raise Failed(f"{replica.url} is answered by {other}, not by {replica.name}{_own(replica)}")
    return f"it is {replica.name} that answers at {replica.url}"


def stores(replica: Replica, timeout: float) -> str:
    """What several of its workers say of its accountant, its database, its counters and its disk. Raises Failed."""
    seen: dict[str, str] = {}
    for _ in range(LOOKS):
        checks = health(replica, timeout)
        seen |= {name: checks[name] for name in STORES if name in checks and seen.get(name, WELL) == WELL}
    said = ", ".join(f"{name} {state}" for name, state in seen.items())
    if not seen or any(state != WELL for state in seen.values()):
        raise Failed(said or "it says nothing of them")
    return said


def health(replica: Replica, timeout: float) -> dict[str, str]:
    """The checks of one worker, whichever answers. Raises Failed."""
    try:
        answer = http.send("GET", replica.url + HEALTH, timeout=timeout)
        checks = answer.json()["checks"]
    except http.NoAnswer as error:
        raise Failed(f"nobody answers at {replica.url}: {error}{_own(replica)}") from error
    except (ValueError, KeyError, TypeError) as error:
        raise Failed(f"who answers at {replica.url} is no gateway of aiops{_own(replica)}") from error
    if not isinstance(checks, dict):
        raise Failed(f"who answers at {replica.url} is no gateway of aiops{_own(replica)}")
    return {str(name): str(state) for name, state in checks.items()}


def _own(replica: Replica) -> str:
    """Why it may be somebody else's, and the way out."""
    if not is_loopback(urlsplit(replica.url).hostname or ""):
        return ""
    return (
        f"; each host has such an address of its own: if {replica.name} is on another one than this,"
        f" `--at {replica.name}=URL` says where it is reached from here"
    )
