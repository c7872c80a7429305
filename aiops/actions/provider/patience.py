"""How long a model server may take. Apart, so that ``--help``, which shows these defaults, imports nothing slow."""

from __future__ import annotations

# A large model is read from disk, compiled and warmed up: minutes are common.
SERVE_SECONDS = 600.0

DRAIN_SECONDS = 30.0
