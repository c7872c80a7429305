"""``python -m aiops.gateway.accountant``: started by the master, not by people."""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
import sys
from pathlib import Path


def main() -> int:
    """Exit codes: 0 it was told to end; 1 it failed, and says why."""
    parser = argparse.ArgumentParser(prog="aiops.gateway.accountant", description=__doc__)
    for name in ("state", "run"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    for name in ("database-url-file", "redis-url-file"):
        parser.add_argument(f"--{name}", type=Path, default=None, metavar="FILE")
    given = parser.parse_args()
    signal.signal(signal.SIGHUP, signal.SIG_IGN)  # a terminal that is closed is no reason
    from aiops.gateway.accountant.accountant import Accountant, Options
    from aiops.gateway.accountant.say import say
    from aiops.gateway.shared.journald import WARNING

    try:
        options = Options(given.state, given.run, _url(given.database_url_file), _url(given.redis_url_file))
        asyncio.run(Accountant(options).run())
    except Exception as error:
        say(f"ends: {type(error).__name__}: {error}", WARNING)
        return 1
    return 0


def _url(file: Path | None) -> str | None:
    return file.read_text().strip() if file is not None else None


if __name__ == "__main__":
    code = main()
    sys.stderr.flush()
    os._exit(code)  # a statement that waits for a lock is given up: nothing is noted that was not done
