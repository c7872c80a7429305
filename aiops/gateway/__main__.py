"""``python -m aiops.gateway``: the master process. Started by a supervisor, not by people."""

from __future__ import annotations

import argparse
import faulthandler
import os
import sys
from pathlib import Path

from aiops.gateway.runtime import CompromisedRelease, prepare_environment


def main() -> int:
    """Exit codes: 0 stopped when asked to, 4 the address is taken or LiteLLM is not acceptable."""
    parser = argparse.ArgumentParser(prog="aiops.gateway", description=__doc__)
    for name in ("state", "run", "secrets"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    parser.add_argument("--host", required=True)
    parser.add_argument("--port", type=int, required=True)
    arguments = parser.parse_args()
    faulthandler.enable()  # a crash in compiled code leaves its trace in the log, of workers too
    prepare_environment()
    from aiops.gateway.master import Master, Options

    try:
        return Master(Options(**vars(arguments))).run()
    except (OSError, CompromisedRelease) as error:
        sys.stderr.write(f"master {os.getpid()}: {error}\n")
        return 4


if __name__ == "__main__":
    sys.exit(main())
