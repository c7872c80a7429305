"""What the verbs that wait for a model server share."""

from __future__ import annotations

from collections.abc import Callable

import click

from aiops.actions.provider.patience import SERVE_SECONDS

Command = Callable[..., None]


def serve_limit(help: str) -> Callable[[Command], Command]:
    """Add ``--timeout SECONDS``."""
    return click.option(
        "--timeout",
        type=click.FloatRange(0, min_open=True),
        default=SERVE_SECONDS,
        show_default=True,
        metavar="SECONDS",
        help=help,
    )
