"""``aiops validate``: the files are checked, and the active providers asked for the models that they are to have."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from aiops.actions.instance.snapshot import Snapshot
from aiops.errors import VerificationFailed
from aiops.host import credentials
from aiops.host.instance import Instance
from aiops.output import Output
from aiops.spec.routes.notes import notes
from aiops.spec.routes.resolve import resolve

if TYPE_CHECKING:
    from aiops.spec.shapes.model import DesiredState
    from aiops.verify.check import Check


@dataclass(frozen=True)
class Valid:
    """How many providers and models the files name. ``notes``: what is allowed, but perhaps not meant."""

    providers: int
    models: int
    notes: tuple[str, ...]
    checks: tuple[Check, ...]

    def line(self) -> str:
        providers, models = self.providers, self.models
        return f"valid: {providers} provider{'s' * (providers != 1)}, {models} model{'s' * (models != 1)} served"

    def to_json(self) -> dict[str, Any]:
        return {
            "ok": True,
            "providers": self.providers,
            "models": self.models,
            "notes": list(self.notes),
            "checks": [check.to_json() for check in self.checks],
        }


def validate(instance: Instance, offline: bool, out: Output) -> Valid:
    """``offline``: nobody is contacted.

    Raises InvalidState with every problem, Precondition, VerificationFailed for a provider that does not have them.
    """
    now = Snapshot.of(instance)
    state = now.desired
    if state.tenancy is not None:
        from aiops.actions.instance.tenancy import declaration

        declaration(state.tenancy, state)
    table = resolve(state)
    credentials.read_master_key(instance.key_file(state.settings.master_key_file))
    checks = () if offline else _asked(now, state, out)
    remarks = tuple(str(remark) for remark in notes(state, table))
    providers = sum(provider.status != "template" for provider in state.providers.values())  # one is an example
    return Valid(providers, len(table.routes), remarks, checks)


def _asked(now: Snapshot, state: DesiredState, out: Output) -> tuple[Check, ...]:
    """Raises VerificationFailed."""
    from aiops.verify import providers  # what only those need who ask somebody
    from aiops.verify.check import failures

    known = list(state.providers.values())
    checks = providers.look(known, credentials.provider_keys(now.instance, known, now.environment))
    for check in checks:
        out.say(str(check))
    if failed := failures(checks):
        raise VerificationFailed(
            "the files are fine, but " + "; ".join(f"{check.id}: {check.detail}" for check in failed),
            "mend the provider, `aiops disable` it, or use --offline",
        )
    return tuple(checks)
