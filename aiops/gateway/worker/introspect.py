"""What ``/_aiops/routes`` answers on a worker's private socket: who served what in the last minutes."""

from __future__ import annotations

import os
from typing import Any

from aiops.gateway.worker.board import Board
from aiops.gateway.worker.call import out_of_turn
from aiops.gateway.worker.minutes import KEPT, Served, Tally


def describe(board: Board) -> dict[str, Any]:
    """JSON-ready. ``models`` and ``fallbacks`` are this worker's; in flight and avoided are those of all workers.

    ``out_of_turn``: what calls were told when it could not be, see ``call``.
    A fallback is counted where it was taken: ``from`` failed with ``failure``, ``to`` answered.
    """
    served = board.all_served()
    return {
        "pid": os.getpid(),
        "minutes": KEPT,
        "routing_errors": board.routing_errors,
        "out_of_turn": {f"{was.name} -> {told.name}".lower(): times for (was, told), times in out_of_turn.items()},
        "models": [_model(who, tally) for who, tally in sorted(served.items(), key=_by_name)],
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
        "providers": [_provider(board, name) for name in board.table.providers],
    }


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
    avoided = None if reason is None else {"reason": reason, "seconds": round(board.avoided_for(name), 1)}
    return {
        "provider": name,
        "in_flight": board.in_flight(name),
        "parallel": board.parallel(name),
        "errors_in_a_row": board.errors.get(name, 0),
        "warm": board.warm(name),
        "avoided": avoided,
    }
