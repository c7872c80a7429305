"""``aiops status --routes``: who served what in the last minutes, as the workers remember it, and those that left."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from aiops.gateway.shared import tallies
from aiops.gateway.shared.messages import Status, Worker
from aiops.spec.choosing.said import Said

PATH = "/_aiops/routes"
Told = Mapping[str, Any]  # what a worker answers

FROM_GOOD_TO_BAD = ("ready", "degraded", "draining", "not_ready")
SECONDS = 2.0  # for a worker to answer: it only has to look into its own memory


@dataclass(frozen=True)
class Served:
    """``after``: the provider that had failed before, ``failure``: how. ``rule``: what made the choice, if anything."""

    model: str
    provider: str
    rule: str | None
    after: str | None
    failure: str | None
    answered: int = 0
    failed: int = 0


@dataclass(frozen=True)
class ProviderState:
    """``avoided``: why it is asked last, and for how many seconds more; None when it is not. ``failed_ago``: seconds
    since the last of its errors in a row. ``says``: what the server tells of its load, where anybody goes by it."""

    provider: str
    in_flight: int
    parallel: int
    errors_in_a_row: int
    warm: bool
    avoided: str | None
    seconds: float
    failed_ago: float | None = None
    says: Said | None = None


@dataclass(frozen=True)
class Lack:
    """What the gateway has to do without: by the word that ``/_health/ready`` has for it, since when, what happens
    meanwhile, and why."""

    check: str
    state: str
    since: str
    effect: str
    why: str = ""

    def __str__(self) -> str:
        return f"{self.check} is {self.state} since {self.since}: {self.effect}" + (f" ({self.why})" * bool(self.why))


@dataclass(frozen=True)
class Readiness:
    """``status``: that of the worker that is worst off; empty when none has told."""

    status: str = ""
    lacks: tuple[Lack, ...] = ()

    def to_json(self) -> dict[str, Any]:
        return {"status": self.status or None, "why": [asdict(each) for each in self.lacks]}


@dataclass(frozen=True)
class LiveRoutes:
    """``silent``: which workers did not tell, so that their part is missing."""

    minutes: int = 0
    workers: int = 0
    served: tuple[Served, ...] = ()
    providers: tuple[ProviderState, ...] = ()
    routing_errors: int = 0
    silent: tuple[str, ...] = ()
    readiness: Readiness = Readiness()

    def to_json(self) -> dict[str, Any]:
        fallbacks = [each for each in self.served if each.after and each.answered]
        return {
            "minutes": self.minutes,
            "workers": self.workers,
            "models": [asdict(each) for each in self.served],
            "fallbacks": [
                {
                    "model": each.model,
                    "from": each.after,
                    "to": each.provider,
                    "failure": each.failure,
                    "taken": each.answered,
                }
                for each in fallbacks
            ],
            "providers": [_plain(each) for each in self.providers],
            "routing_errors": self.routing_errors,
            "silent": list(self.silent),
        }

    def lines(self) -> list[str]:
        """Tables for people."""
        rows = [("model", "by", "answered", "failed", "")]
        rows += [(each.model, each.provider, str(each.answered), str(each.failed), _note(each)) for each in self.served]
        nothing = [] if self.served else ["  nothing"]
        lines = [f"served in the last {self.minutes} minutes:", *nothing, *(_table(rows) if self.served else [])]
        if self.providers:
            states = [
                ("provider", "busy", ""),
                *((each.provider, _busy(each), _state(each)) for each in self.providers),
            ]
            lines += ["providers:", *_table(states)]
        if self.routing_errors:
            lines.append(f"note: routing failed {self.routing_errors} times; `aiops logs` says how")
        return lines + [f"note: {sentence}; its part is missing" for sentence in self.silent]


def look(master: Status, run: Path, patience: float = SECONDS) -> LiveRoutes:
    """``master``: its own account of itself. Asks each worker by its private socket, those too that finish what they
    have; what the ones before had counted lies in ``run``. ``patience``: seconds for each of them to answer."""
    from aiops.verify.check import Failed

    serving: list[Told] = []
    others: list[Told] = []
    silent: list[str] = []
    for group in master.groups:
        for worker in group.workers:
            try:
                (serving if worker in master.serving else others).append(_ask(worker, patience))
            except (Failed, ValueError) as error:
                if worker in master.serving:  # another one may be gone by now, and has left its part
                    silent.append(f"worker {worker.pid} did not tell ({error})")
    # Read last: a worker leaves its part before it can no longer be asked.
    return merged(serving, others, dict(tallies.left(run, time.time())), silent)


def _ask(worker: Worker, patience: float) -> Told:
    from aiops.verify.check import Failed
    from aiops.verify.client import Client  # HTTP is for those who have somebody to ask

    answer = Client("", patience, socket=worker.http).request("GET", PATH)
    if answer.status_code != 200:
        raise Failed(f"HTTP {answer.status_code}")  # made by an older aiops, which had no such place
    told: Told = answer.json()
    return told


def merged(
    serving: Sequence[Told],
    others: Sequence[Told] = (),
    left: Mapping[str, list[tallies.Row]] | None = None,
    silent: Sequence[str] = (),
) -> LiveRoutes:
    """One account from that of every worker. What they answered adds up; in flight and avoided those know together
    that serve. ``left``: by worker, which is counted once also when it could be asked a moment before."""
    left = left or {}
    counted = [row for told in (*serving, *others) if told.get("worker") not in left for row in told["models"]]
    counted += [row for rows in left.values() for row in rows]
    served: dict[Served, Served] = {}
    for row in counted:
        who = Served(row["model"], row["provider"], row["rule"], row["after"], row["failure"])
        so_far = served.get(who, who)
        served[who] = replace(who, answered=so_far.answered + row["answered"], failed=so_far.failed + row["failed"])
    return LiveRoutes(
        minutes=tallies.MINUTES,
        workers=len(serving),
        served=tuple(sorted(served.values(), key=_order)),
        providers=_providers([row for told in serving for row in told["providers"]]),
        routing_errors=sum(told["routing_errors"] for told in serving),
        silent=tuple(silent),
        readiness=_worst([told["readiness"] for told in serving if "readiness" in told]),
    )


def _worst(told: Sequence[Told]) -> Readiness:
    found = max(told, key=lambda each: FROM_GOOD_TO_BAD.index(each["status"]), default=None)
    if found is None:  # by workers of an older aiops
        return Readiness()
    names = Lack.__dataclass_fields__
    lacks = tuple(Lack(**{name: str(each.get(name, "")) for name in names}) for each in found["why"])
    return Readiness(str(found["status"]), lacks)


def _order(each: Served) -> tuple[str, int, str, str]:
    return each.model, -each.answered, each.provider, each.after or ""


def _providers(rows: Iterable[Mapping[str, Any]]) -> tuple[ProviderState, ...]:
    found: dict[str, ProviderState] = {}
    for row in rows:
        before = found.get(row["provider"])
        avoided = row["avoided"] or {"reason": None, "seconds": 0.0}
        found[row["provider"]] = ProviderState(
            row["provider"],
            max(row["in_flight"], before.in_flight if before else 0),
            row["parallel"],
            max(row["errors_in_a_row"], before.errors_in_a_row if before else 0),
            row["warm"] or bool(before and before.warm),
            avoided["reason"] or (before.avoided if before else None),
            max(avoided["seconds"], before.seconds if before else 0.0),
            min(
                (ago for ago in (row.get("failed_ago"), before.failed_ago if before else None) if ago is not None),
                default=None,
            ),
            Said(**row["says"]) if row.get("says") else before.says if before else None,
        )
    return tuple(found.values())


def _plain(each: ProviderState) -> dict[str, Any]:
    return {**asdict(each), "says": None if each.says is None else each.says._asdict()}


def _note(each: Served) -> str:
    if each.after:
        return f"after {each.after}" + (f": {each.failure}" if each.failure else "")
    return each.failure or ""


def _busy(each: ProviderState) -> str:
    return f"{each.in_flight}/{each.parallel}"


def _state(each: ProviderState) -> str:
    facts = [f"avoided for {each.seconds:.0f} s: {each.avoided}"] if each.avoided else []
    errors = each.errors_in_a_row
    facts += [f"{errors} error{'s in a row' if errors > 1 else ''}"] if errors else []
    facts += [f"it says: {each.says}"] if each.says is not None else []
    return ", ".join([*facts, *([] if each.warm else ["cold"])])


def _table(rows: Sequence[tuple[str, ...]]) -> list[str]:
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return [
        "  " + "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    ]
