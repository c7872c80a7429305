"""An ``Identity`` as JSON and back, for the socket between a worker and the accountant. PURE."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from aiops.state.shapes import Account, Budget, Identity, Limits

Plain = Mapping[str, Any]


def of(identity: Identity) -> dict[str, Any]:
    """All of it, by the names of its fields."""
    return asdict(identity)


def identity(data: Plain) -> Identity:
    """What ``of`` made. Fields of a later aiops are left out. Raises KeyError, TypeError."""
    known = _known(Identity, data)
    return Identity(
        **{
            **known,
            "accounts": tuple(map(_account, data["accounts"])),
            "routes": tuple(data.get("routes", ())),
            "tags": tuple(data.get("tags", ())),
        }
    )


def _account(data: Plain) -> Account:
    return Account(
        **{
            **_known(Account, data),
            "models": tuple(data.get("models", ())),
            "limits": _limits(data.get("limits", {})),
            "by_model": {model: _limits(limits) for model, limits in data.get("by_model", {}).items()},
            "budgets": tuple(map(_budget, data.get("budgets", ()))),
            "budgets_by_model": {
                model: tuple(map(_budget, budgets)) for model, budgets in data.get("budgets_by_model", {}).items()
            },
        }
    )


def _limits(data: Plain) -> Limits:
    return Limits(**_known(Limits, data))


def _budget(data: Plain) -> Budget:
    return Budget(**_known(Budget, data))


def _known(made: type[Any], data: Plain) -> dict[str, Any]:
    return {name: data[name] for name in made.__dataclass_fields__ if name in data}
