"""Who is there, by the table of replicas, and where each of them is reached."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from sqlalchemy import Connection

from aiops.actions.instance.heeded import LIVE_SECONDS
from aiops.errors import UsageError
from aiops.host.ports import url_of
from aiops.spec.shapes.urls import is_loopback
from aiops.state.store import replicas
from aiops.verify.check import Check
from aiops.verify.replicas.tenant import Replica

MISSED_SECONDS = 3600.0  # for which one that said nothing more is missed
FORGOTTEN_SECONDS = 30 * 86_400.0  # more than any row is kept
WILDCARDS = ("0.0.0.0", "::")  # noqa: S104


@dataclass(frozen=True)
class Listed:
    """``replicas``: those that live, by name. ``missed``: a check for each other one. ``names``: of all, by id."""

    replicas: tuple[Replica, ...]
    missed: tuple[Check, ...]
    names: Mapping[str, str]


def listed(connection: Connection, own: str, given: Mapping[str, str]) -> Listed:
    """``own``: the id of the gateway here. ``given``: addresses by name, instead of what the replicas say of
    themselves. Raises UsageError for a name that none of them has."""
    rows = replicas.live(connection, FORGOTTEN_SECONDS)
    names = _names(rows)
    unknown = sorted(given.keys() - names.values())
    if unknown:
        known = ", ".join(sorted(names.values())) or "none"
        raise UsageError(f"--at {unknown[0]}: there is no such replica", f"they are called: {known}")
    live = [row for row in rows if row.age < LIVE_SECONDS]
    found = [
        Replica(row.id, names[row.id], given.get(names[row.id]) or address(row, row.id == own), len(row.workers))
        for row in live
    ]
    missed = [check for row in rows if row.age >= LIVE_SECONDS for check in _missed(row, names, live)]
    return Listed(tuple(sorted(found, key=lambda each: each.name)), tuple(missed), names)


def address(row: replicas.Replica, own: bool) -> str:
    """Where it is reached from here: one that listens everywhere, by the name of its host."""
    parts = urlsplit(row.url)
    if (parts.hostname or "") not in WILDCARDS:
        return row.url
    if own:
        return url_of(parts.hostname or "", parts.port or 80)
    host = row.host.rpartition(":")[0] if row.host.endswith(f":{parts.port}") else row.host
    return url_of(host, parts.port or 80)


def _names(rows: Sequence[replicas.Replica]) -> dict[str, str]:
    """What people call each; two of one name are told apart by their ids."""
    many = Counter(row.host for row in rows)
    return {row.id: row.host if many[row.host] == 1 else f"{row.host}-{row.id[:6]}" for row in rows}


def _missed(row: replicas.Replica, names: Mapping[str, str], live: Sequence[replicas.Replica]) -> Iterator[Check]:
    identity, since = f"replica:{names[row.id]}", _ago(row.age)
    heir = next((other for other in live if other.host == row.host or _same_address(other, row)), None)
    if heir is not None:
        yield Check(identity, "skip", f"it is gone since {since}, and {names[heir.id]} is in its place")
    elif row.age < MISSED_SECONDS:
        yield Check(
            identity, "fail",
            f"no sign of life for {since} (it was at {row.url}): `aiops status` there says why. One that was taken away"
            " with `aiops down` is not listed any more",
        )  # fmt: skip
    else:
        yield Check(identity, "skip", f"no sign of life for {since}: it is not asked")


def _same_address(one: replicas.Replica, other: replicas.Replica) -> bool:
    """Whether only one of them can be there; each host has a loopback of its own."""
    return one.url == other.url and not is_loopback(urlsplit(one.url).hostname or "")


def _ago(seconds: float) -> str:
    for size, word in ((86_400, "d"), (3600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds / size:.0f} {word}"
    return f"{seconds:.0f} s"
