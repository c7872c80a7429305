#!/usr/bin/env python3
"""Check aiops.yaml, providers.yaml and model-mappings.yaml, and say everything that is wrong at once.

The same as `aiops validate`: arguments and exit code are its own.
"""

import os
import sys
from pathlib import Path

aiops = Path(__file__).resolve().parent.parent / ".venv/bin/aiops"
if not aiops.exists():
    print(f"error: {aiops} is not there\nhint: scripts/quickstart makes the environment", file=sys.stderr)
    sys.exit(4)
os.execv(aiops, [str(aiops), "validate", *sys.argv[1:]])
