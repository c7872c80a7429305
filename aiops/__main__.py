"""``aiops``, and ``python -m aiops`` for units and scripts that name the interpreter."""

from __future__ import annotations

import gc


def main() -> None:
    """Entry point of the ``aiops`` command."""
    # Imports make a hundred thousand objects that stay: looking through them for garbage is a tenth of a short verb.
    gc.set_threshold(100_000)
    from aiops.cli import main as cli

    cli()


if __name__ == "__main__":
    main()
