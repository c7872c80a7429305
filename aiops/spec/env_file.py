"""``secrets/env``: variables for the gateway, ``NAME=value``, one a line."""

from __future__ import annotations


def parse(text: str) -> dict[str, str]:
    """Blank lines and lines that begin with # are skipped. A value is taken as it is: no quotes, no escapes."""
    pairs = (line.split("=", 1) for line in text.splitlines() if "=" in line and not line.lstrip().startswith("#"))
    return {name.strip(): value for name, value in pairs}
