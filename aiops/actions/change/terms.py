"""What every changing verb is told beside its own arguments."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Terms:
    """``force``: also when models lose every route, or a generated file was edited. ``reason``: for the history."""

    reason: str = ""
    dry_run: bool = False
    force: bool = False
    assume_yes: bool = False
