#!/usr/bin/env python3
"""Write the LiteLLM configuration that the desired state renders to.

The same as `aiops generate`: arguments and exit code are its own.
"""

import os
import sys
from pathlib import Path

aiops = Path(__file__).resolve().parent.parent / ".venv/bin/aiops"
if not aiops.exists():
    print(f"error: {aiops} is not there\nhint: scripts/quickstart makes the environment", file=sys.stderr)
    sys.exit(4)
os.execv(aiops, [str(aiops), "generate", *sys.argv[1:]])
