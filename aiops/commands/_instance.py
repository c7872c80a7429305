"""What the verbs that make an instance share: the settings that one begins with."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

F = TypeVar("F", bound=Callable[..., Any])

_OPTIONS = (
    click.option("--profile", type=click.Choice(["cost", "dev", "prod"]), default=None, help="How careful to be."),
    click.option(
        "--supervisor",
        type=click.Choice(["auto", "systemd", "process", "container"]),
        default=None,
        help="Who keeps the gateway running.",
    ),
    click.option("--port", type=click.IntRange(1, 65535), default=None, metavar="N", help="Where the gateway listens."),
)


def settings(function: F) -> F:
    """Add ``--profile``, ``--supervisor`` and ``--port``; None is for what was not given."""
    for option in reversed(_OPTIONS):
        function = option(function)
    return function
