"""keys.yaml, key by key: the row in the database becomes another one, and `aiops plan` says in what."""

from __future__ import annotations

import tempfile
from pathlib import Path

from aiops.actions.instance.tenancy import declaration
from aiops.spec.load.tenancy import read
from aiops.spec.sources import KEYS, Sources
from aiops.state.administration import keys as administered
from aiops.state.administration.declared.compare import compare
from aiops.state.administration.declared.converge import converge
from aiops.state.administration.journal import Actor
from aiops.state.administration.requests import KeyRequest
from aiops.state.store import rows, schema
from aiops.state.store.open import engine, writing
from tests.effects.case import Case, Stores

BY = Actor("ann", "a test")


def _limits(base: int) -> dict[str, Case]:
    """Of one section; its numbers begin at ``base``."""

    def stores(key: str, offset: int, column: str, unit: str = "") -> Stores:
        old = base + offset
        return Stores(f"{key}: {old}{unit}", f"{key}: {old + 5000}{unit}", column)

    return {
        "rpm_limit": stores("rpm_limit", 11, "rpm_limit"),
        "tpm_limit": stores("tpm_limit", 12, "tpm_limit"),
        "max_parallel_requests": stores("max_parallel_requests", 13, "max_parallel_requests"),
        "max_budget": stores("max_budget", 14, "max_budget"),
        "budget_duration": stores("budget_duration", 15, "budget_duration", "d"),
        "soft_budget": stores("soft_budget", 16, "soft_budget"),
        "model_rpm_limit": stores("m", 17, "model_rpm_limit"),
        "model_tpm_limit": stores("m", 18, "model_tpm_limit"),
        "budget_limits[].max_budget": stores("max_budget", 19, "budget_limits"),
        "budget_limits[].budget_duration": stores("budget_duration", 21, "budget_limits", "d"),
        "model_max_budget.*.max_budget": stores("max_budget", 22, "model_max_budget"),
        "model_max_budget.*.budget_duration": stores("budget_duration", 23, "model_max_budget", "d"),
    }


def _account(base: int) -> dict[str, Case]:
    end = f"metadata: {{is: m{base + 25}}}"
    at = f"budget_id: small, models: [m{base + 24}], blocked: false, shadow: false, {end}"
    return {
        **_limits(base),
        "budget_id": Stores(at, at.replace("small", "other"), "budget_id"),
        "models": Stores(f"[m{base + 24}]", "[another]", "models"),
        "blocked": Stores(at, at.replace("blocked: false", "blocked: true"), "blocked"),
        "shadow": Stores(at, at.replace("shadow: false", "shadow: true"), "shadow"),
        "metadata": Stores(end, "metadata: {is: another}", "metadata"),
    }


CASES: dict[str, Case] = {
    "prune": Stores("prune: false", "prune: true", "blocked"),
    **{f"budgets.*.{key}": case for key, case in _limits(400).items()},
    **{f"teams.*.{key}": case for key, case in _account(100).items()},
    **{f"users.*.{key}": case for key, case in _account(200).items()},
    "users.*.user_email": Stores("a226@example.org", "b@example.org", "email"),
    "users.*.user_alias": Stores("n227", "another", "alias"),
    "users.*.user_role": Stores("internal_user", "proxy_admin", "role"),
    **{f"keys.*.{key}": case for key, case in _account(300).items()},
    "keys.*.team": Stores("team: research", "team: ops", "team_id"),
    "keys.*.user": Stores("user: alice", "user: bob", "user_id"),
    "keys.*.duration": Stores("326d", "1d", "expires_at"),
    "keys.*.tags": Stores("t327", "another", "tags"),
    "keys.*.key_type": Stores("key_type: llm_api", "key_type: read_only", "key_type"),
    "keys.*.allowed_routes": Stores("/r328", "/another", "allowed_routes"),
    "keys.*.admin": Stores("admin: false", "admin: true", "admin"),
    "keys.*.weight": Stores("weight: 329", "weight: 5", "weight"),
}


def stored(before: Sources, after: Sources) -> set[str]:
    """The columns that differ in the database once ``after`` is applied where ``before`` was, beside a key that no file
    has."""
    with tempfile.TemporaryDirectory() as folder:
        database = engine(Path(folder) / "aiops.db")
        schema.migrate(database)
        was, now = (declaration(read(sources[KEYS])) for sources in (before, after))
        with writing(database) as connection:
            administered.create(connection, KeyRequest.of({"key_alias": "nobody's"}), BY)
            converge(connection, was, "1", BY, lambda *_: None)
            assert compare(connection, was) == []
            steps = converge(connection, now, "2", BY, lambda *_: None)
            assert compare(connection, now) == []
        database.dispose()
    assert all(step.row is not None and step.values != {} for step in steps)
    for step in steps:
        assert step.row is not None
        assert all(
            rows.plain({name: new}) != rows.plain({name: getattr(step.row, name)}) for name, new in step.values.items()
        )
    return {name for step in steps for name in step.values}
