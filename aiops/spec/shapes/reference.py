"""How a configuration of LiteLLM names a variable of the environment in place of a value."""

from __future__ import annotations

import re

REFERENCE = re.compile(r"os\.environ/([A-Za-z_][A-Za-z0-9_]*)")
"""A value that is taken from the environment when the configuration is read."""
