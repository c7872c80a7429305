"""``python -m aiops.gateway.accountant``: started by the master, not by people."""

from __future__ import annotations

import argparse
import asyncio
import gc
import os
import signal
import sys
from pathlib import Path


def main() -> int:
    """Exit codes: 0 it was told to end; 1 it failed, and says why."""
    parser = argparse.ArgumentParser(prog="aiops.gateway.accountant", description=__doc__)
    for name in ("state", "run", "secrets"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    given = parser.parse_args()
    signal.signal(signal.SIGHUP, signal.SIG_IGN)  # a terminal that is closed is no reason
    gc.disable()  # what is imported stays: looking for garbage in it is a fifth of the start
    from aiops.gateway.accountant.accountant import Accountant, Options
    from aiops.gateway.accountant.say import say
    from aiops.gateway.shared.journald import WARNING

    gc.freeze()
    gc.enable()
    try:
        asyncio.run(Accountant(Options.of(given.state, given.run, given.secrets)).run())
    except Exception as error:
        say(f"ends: {type(error).__name__}: {error}", WARNING)
        return 1
    return 0


if __name__ == "__main__":
    code = main()
    sys.stderr.flush()
    os._exit(code)  # a statement that waits for a lock is given up: nothing is noted that was not done
