"""Money on one box: whatever ends how, and whoever is killed meanwhile, no request is refused that may pass, and
afterwards the counters in memory say what the ledger says."""

from __future__ import annotations

import os

import pytest

from aiops.state.store import open
from tests.kit import endings
from tests.kit.gateway import Gateway

# `scripts/test soak` has ten thousand.
MANY = int(os.environ.get("AIOPS_ENDINGS", "200"))
SEED = int(os.environ.get("AIOPS_SEED", "1"))


@pytest.mark.timeout(300 + MANY)
def test_no_spend_counter_grows_beyond_what_was_spent_and_nobody_is_refused_falsely() -> None:
    """With two workers, and kill -9 of them, of the master and of the accountant."""
    gateway = Gateway()
    try:
        gateway.init()
        gateway.edit("aiops.yaml", "  # workers: 1\n", "  workers: 2\n")
        with endings.providers() as given:
            gateway.up()
            endings.serve(gateway, given)
            made = gateway.must(
                "keys", "create", "--alias", "ends", "--max-budget", endings.BUDGET, "--budget-duration", "30d"
            )
            endings.misbehave(given)
            clients = endings.Clients([gateway], made["key"], SEED)
            seen = endings.play(clients, endings.kills([gateway], SEED), MANY, SEED)
            print(f"{seen.many} endings: {dict(sorted(seen.statuses.items()))}")
            database = open.engine(gateway.home / "state" / "aiops.db")
            try:
                endings.require_exact([gateway], database, seen)
            finally:
                database.dispose()
    finally:
        gateway.destroy()
