"""``aiops completion``: the script that lets a shell ask aiops what may come next."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

SHELLS = ("bash", "zsh", "fish")


def completion(program: click.Command, name: str, shell: str) -> str:
    """For one of ``SHELLS``; it has ``name`` print what may come next whenever the tabulator is pressed."""
    made = get_completion_class(shell)
    assert made is not None  # click has all of SHELLS
    return made(program, {}, name, f"_{name.upper()}_COMPLETE").source().strip()
