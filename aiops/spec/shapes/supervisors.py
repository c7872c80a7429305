"""Who can keep the gateway running: ``supervisor`` in ``aiops.yaml``."""

from __future__ import annotations

from typing import Literal, get_args

Supervisor = Literal["auto", "systemd", "process", "container"]

SUPERVISORS: tuple[Supervisor, ...] = get_args(Supervisor)
