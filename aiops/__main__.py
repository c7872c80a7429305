"""``python -m aiops``: the command line, for units and scripts that name the interpreter."""

from __future__ import annotations

from aiops.cli import main

if __name__ == "__main__":
    main()
