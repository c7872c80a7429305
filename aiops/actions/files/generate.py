"""``aiops generate``: the gateway's configuration, rendered from the files. Makes nothing live."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiops
from aiops.actions.change.prepare import Intent, prepare
from aiops.actions.instance.snapshot import Snapshot
from aiops.errors import UsageError
from aiops.host import files
from aiops.host.instance import GENERATED, Instance
from aiops.render.stock import stock_config


@dataclass(frozen=True)
class Generated:
    """``left_out``: what LiteLLM without aiops cannot do; None when that was not asked for."""

    content: bytes
    release_digest: str
    target: Path | None
    left_out: tuple[str, ...] | None = None

    def line(self) -> str:
        return f"wrote {self.target}" if self.target else self.content.decode().rstrip("\n")

    def to_json(self) -> dict[str, Any]:
        asked = {"release_digest": self.release_digest} if self.left_out is None else {"left_out": list(self.left_out)}
        return {"outcome": "applied", "out": str(self.target) if self.target else None, **asked}


def generate(instance: Instance, target: Path | None, stock: bool) -> Generated:
    """Written to ``target`` if there is one. ``stock``: for LiteLLM without aiops.

    Raises InvalidState with every problem; UsageError for the file that is served; Precondition.
    """
    prepared = prepare(Snapshot.of(instance), Intent("generate"))
    content, left_out = prepared.release[GENERATED], None
    if stock:
        plain = stock_config(prepared.state, prepared.table, prepared.table.rules, aiops_version=aiops.__version__)
        content, left_out = plain.content, tuple(plain.gaps)
    if target is not None:
        if target.resolve() == instance.generated.resolve():
            raise UsageError(
                f"{instance.generated} is what the gateway serves", "`aiops apply` makes changes live, and writes it"
            )
        with files.explained(target, "write"):
            files.write(target.absolute(), content)
    return Generated(content, prepared.plan.release_digest, target, left_out)
