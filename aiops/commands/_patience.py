"""How long a verb waits: what those share that take such an option."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import click

from aiops.actions.provider.patience import SERVE_SECONDS

Command = Callable[..., None]


class Seconds(click.FloatRange):
    """A number of them; no word that Python takes for a number."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        found = super().convert(value, param, ctx)
        if not math.isfinite(found):
            self.fail(f"{value} is no number of seconds", param, ctx)
        return found


def serve_limit(help: str) -> Callable[[Command], Command]:
    """Add ``--timeout SECONDS``."""
    return _seconds("--timeout", Seconds(0, min_open=True), SERVE_SECONDS, help)


def drain_limit(help: str, default: float | None) -> Callable[[Command], Command]:
    """Add ``--drain SECONDS``. ``default`` None: ``help`` says what it is then."""
    return _seconds("--drain", Seconds(0), default, help)


def _seconds(name: str, type: Seconds, default: float | None, help: str) -> Callable[[Command], Command]:
    shown = default is not None
    return click.option(name, type=type, default=default, show_default=shown, metavar="SECONDS", help=help)
