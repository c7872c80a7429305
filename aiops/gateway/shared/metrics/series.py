"""All series of ``/metrics``: their names, what they tell, and every value that a label can have. PURE.

The sets of labels are closed: no name of a key, a team or a model, and nothing that a client chose, so that nobody
makes series without end, and whoever may read them learns nothing of who asks. Names and units are as Prometheus
recommends.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from typing import Final, Literal

Kind = Literal["counter", "gauge"]
Key = tuple[str, ...]
"""A series: the name of its family, and the values of its labels."""


@dataclass(frozen=True)
class Family:
    """``values``: all that each label can have."""

    name: str
    kind: Kind
    help: str
    labels: tuple[str, ...] = ()
    values: tuple[tuple[str, ...], ...] = ()

    def every(self) -> Iterator[Key]:
        """Series that it can have."""
        return ((self.name, *each) for each in product(*self.values))


OUTCOMES: Final = ("answered", "cached", "failed", "left", "lost")
CODES: Final = ("1xx", "2xx", "3xx", "4xx", "5xx", "none")
REFUSALS: Final = (
    "auth_error",
    "token_not_found_in_db",
    "expired_key",
    "key_route_access_denied",
    "model_access_denied",
    "rate_limit_error",
    "budget_exceeded",
    "invalid_request_error",
    "not_found",
    "service_unavailable_error",
    "other",
)
STATES: Final = ("ready", "degraded", "not_ready", "draining")
STORES: Final = ("postgres", "sqlite", "redis", "lmdb")

REQUESTS: Final = Family(
    "aiops_requests_total",
    "counter",
    "Requests to a model that were let in, when they have ended; lost: with a worker that was killed.",
    ("outcome", "code"),
    (OUTCOMES, CODES),
)
REFUSED: Final = Family(
    "aiops_refusals_total", "counter", "Requests that were not let in, by why.", ("kind",), (REFUSALS,)
)
IN_FLIGHT: Final = Family("aiops_requests_in_flight", "gauge", "Requests to a model that have not ended.")
RESERVATIONS: Final = Family("aiops_reservations", "gauge", "Requests that hold room in limits or budgets now.")
WAITING: Final = Family("aiops_spool_waiting_records", "gauge", "Records of usage that no disk has taken yet.")
STANDING_IN: Final = Family(
    "aiops_counters_standing_in", "gauge", "Workers that count limits and budgets by themselves, because Redis is away."
)
WORKERS: Final = Family("aiops_workers", "gauge", "Workers, by what they say of themselves.", ("state",), (STATES,))

OF_PROCESSES: Final = (REQUESTS, REFUSED, IN_FLIGHT, RESERVATIONS, WAITING, STANDING_IN, WORKERS)
"""Counted by each process in memory of its own, and added up."""

BUILD: Final = Family("aiops_build_info", "gauge", "1; which aiops this is.", ("version",))
ACCOUNTANT: Final = Family("aiops_accountant_up", "gauge", "Whether the accountant answers.")
GENERATION: Final = Family("aiops_generation", "gauge", "Of the workers, the newest.")
STORE_UP: Final = Family("aiops_store_up", "gauge", "Whether it can be used, blips apart.", ("store",), (STORES,))
STORE_PROBE: Final = Family(
    "aiops_store_probe_seconds", "gauge", "How long it took to answer the last probe.", ("store",), (STORES,)
)
SPOOL_BYTES: Final = Family("aiops_spool_bytes", "gauge", "Usage on disk that is not in the ledger yet.")
SPOOL_LAG: Final = Family(
    "aiops_spool_lag_seconds", "gauge", "Since when there has been usage on disk that is not in the ledger; 0: none."
)
DIFFERENCE: Final = Family(
    "aiops_ledger_difference_usd", "gauge", "By how much ledger and counters differ, over all budgets; 0: they agree."
)
DIFFERING: Final = Family("aiops_ledger_budgets_differing", "gauge", "Budgets of which ledger and counter differ.")
PROVED: Final = Family(
    "aiops_ledger_proofs_total", "counter", "Budgets of which ledger and counter were compared, by this accountant."
)
PROVED_AT: Final = Family(
    "aiops_ledger_proved_timestamp_seconds", "gauge", "When they were compared last, seconds since 1970; 0: not yet."
)
RUNWAY: Final = Family(
    "aiops_usage_partition_runway_seconds", "gauge", "Until usage has no partition of its own any more (PostgreSQL)."
)
REPLICAS: Final = Family("aiops_replicas", "gauge", "Gateways that use this database, this one included.")

OF_ACCOUNTANT: Final = (
    BUILD, ACCOUNTANT, GENERATION, STORE_UP, STORE_PROBE, SPOOL_BYTES, SPOOL_LAG, DIFFERENCE, DIFFERING, PROVED,
    PROVED_AT, RUNWAY, REPLICAS,
)  # fmt: skip
"""What it knows when it is asked."""

ALL: Final = (*OF_PROCESSES, *OF_ACCOUNTANT)
