"""Whom the front let in, for what comes after it: LiteLLM's hooks vouch for nobody else."""

from __future__ import annotations

from contextvars import ContextVar
from dataclasses import dataclass

from aiops.state.shapes import Identity


@dataclass(frozen=True)
class LetIn:
    """``models``: the names that were looked at. ``tokens``: as estimated, of a request that is put right when it ends;
    None: of one that nobody meters."""

    identity: Identity
    path: str
    models: tuple[str, ...] = ()
    tokens: int | None = None

    @property
    def is_master(self) -> bool:
        return not self.identity.id


current: ContextVar[LetIn | None] = ContextVar("aiops_let_in", default=None)
"""None where there is no front: on the private socket, and in the self-check."""
