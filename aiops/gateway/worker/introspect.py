"""What ``/_aiops/routes`` answers on a worker's private socket: who served what in the last minutes."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from aiops.gateway.shared import tallies
from aiops.gateway.worker.board import Board
from aiops.gateway.worker.call import out_of_turn
from aiops.gateway.worker.minutes import Served, Tally


def describe(board: Board) -> dict[str, Any]:
    """JSON-ready. ``models`` and ``fallbacks`` are this worker's; in flight and avoided are those of all workers.
    ``providers`` are those that anything is chosen among, and whoever else failed.

    ``out_of_turn``: what calls were told when it could not be, see ``call``.
    A fallback is counted where it was taken: ``from`` failed with ``failure``, ``to`` answered.
    """
    served = board.all_served()
    return {
        "pid": os.getpid(),
        "worker": this_worker(os.getpid()),
        "minutes": tallies.MINUTES,
        "routing_errors": board.routing_errors,
        "out_of_turn": {f"{was.name} -> {told.name}".lower(): times for (was, told), times in out_of_turn.items()},
        "models": _models(served),
        "fallbacks": [
            {
                "model": who.model,
                "from": who.fell_from,
                "to": who.provider,
                "failure": who.failure,
                "taken": tally.answered,
            }
            for who, tally in sorted(served.items(), key=_by_name)
            if who.fell_from and tally.answered
        ],
        "providers": [_provider(board, name) for name in {**board.table.providers, **board.errors}],
    }


def minutes(board: Board, now: float) -> Iterator[tuple[float, list[tallies.Row]]]:
    """For ``tallies.leave``. ``now``: seconds since 1970."""
    return ((now - ago, _models(served)) for ago, served in board.served_by_minute())


@cache
def this_worker(pid: int) -> str:
    """What tells this worker from every other, also from a later one of the same pid: proc(5), field 22."""
    return f"{pid}.{Path(f'/proc/{pid}/stat').read_text().rpartition(')')[2].split()[19]}"


def _models(served: Mapping[Served, Tally]) -> list[tallies.Row]:
    return [_model(who, tally) for who, tally in sorted(served.items(), key=_by_name)]


def _by_name(item: tuple[Served, Tally]) -> tuple[str, str, str]:
    who = item[0]
    return who.model, who.provider, who.fell_from


def _model(who: Served, tally: Tally) -> dict[str, Any]:
    return {
        "model": who.model,
        "provider": who.provider,
        "rule": who.rule or None,
        "after": who.fell_from or None,
        "failure": who.failure or None,
        "answered": tally.answered,
        "failed": tally.failed,
    }


def _provider(board: Board, name: str) -> dict[str, Any]:
    reason = board.avoided(name)
    ago, said = board.failed_ago(name), board.hearsay.looked_up(name)
    avoided = None if reason is None else {"reason": reason, "seconds": round(board.avoided_for(name), 1)}
    return {
        "provider": name,
        "in_flight": board.in_flight(name),
        "parallel": board.parallel(name),
        "errors_in_a_row": board.errors.get(name, 0),
        "failed_ago": None if ago is None else round(ago, 1),
        "warm": board.warm(name),
        "avoided": avoided,
        "says": None if said is None else said._asdict(),
    }
