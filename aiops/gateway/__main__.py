"""``python -m aiops.gateway``: the master process. Started by a supervisor, not by people."""

from __future__ import annotations

import argparse
import faulthandler
import json
import os
import signal
import socket
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from aiops.gateway.master import handover as handing
from aiops.gateway.master import passing
from aiops.gateway.shared import installed
from aiops.gateway.shared.protocol import SUCCEEDED
from aiops.gateway.worker.runtime import CompromisedRelease, prepare_environment


def main() -> int:
    """Exit codes: 0 stopped when asked to, 3 another master serves, 4 the address or LiteLLM is not acceptable."""
    if sys.argv[1:] == ["--check"]:
        return check()
    started_with = dict(os.environ)
    given = handing.receive(os.environ)
    parser = argparse.ArgumentParser(prog="aiops.gateway", description=__doc__)
    for name in ("state", "run", "secrets"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    parser.add_argument("--host", required=True)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--stop-within", type=float, default=None, metavar="SECONDS")
    arguments = parser.parse_args()
    faulthandler.enable()  # a crash in compiled code leaves its trace in the log, of workers too
    if given is None and not installed.is_image(installed.own()):
        _go_where_committed(arguments.state, started_with)
    prepare_environment()
    try:
        given, link = _succeed(arguments.run) if given is None else (given, None)
        master = _made(arguments, started_with, given, link)
    except passing.AnotherServes as error:
        sys.stderr.write(f"master {os.getpid()}: {error}\n")
        return SUCCEEDED
    except (OSError, CompromisedRelease) as error:
        sys.stderr.write(f"master {os.getpid()}: {error}\n")
        return 4
    return int(master.run())


def _succeed(run: Path) -> tuple[handing.Handover | None, socket.socket | None]:
    """In a container what the master of another one hands over, if this one was asked to take its place.

    LiteLLM is imported first: the other master serves meanwhile. Raises OSError, and AnotherServes where nobody asked.
    """
    invitation = passing.Invitation.take(run)
    if invitation is None:
        passing.require_alone(run)
        return None, None
    from aiops.gateway.master.scout import warm_up

    warm_up()
    return passing.ask(run, invitation)


def _made(
    arguments: argparse.Namespace,
    started_with: Mapping[str, str],
    given: handing.Handover | None,
    link: socket.socket | None,
) -> Any:
    """A master that is ready for its loop. One that was given everything on approval and fails gives it back.

    With a ``link`` it need not: the master at its other end wakes up when this process ends.
    """
    on_approval = given is not None and given.hold > 0 and link is None
    if on_approval:
        signal.signal(signal.SIGALRM, _too_slow)
        signal.alarm(handing.START_SECONDS)
    try:
        from aiops.gateway.master.master import Master
        from aiops.gateway.master.options import Options
        from aiops.gateway.master.succession import Succession

        master = Master(Options(**vars(arguments)), Succession(started_with, given, link))
        master.prepare()
    except BaseException as error:
        if given is None or not on_approval:
            raise
        signal.alarm(0)
        sys.stderr.write(f"master {os.getpid()}: {sys.prefix} does not start ({error}); back to {given.python}\n")
        handing.go_back(given, error, {**started_with, handing.VARIABLE: ""})
    signal.alarm(0)
    return master


def _too_slow(*_: object) -> None:
    raise TimeoutError(f"not ready after {handing.START_SECONDS} s")


def _go_where_committed(state: Path, environment: dict[str, str]) -> None:
    """Whoever starts the master need not know which runtime it has to run in: this process becomes that one."""
    wanted = installed.committed(state)
    if wanted is None or wanted == installed.own():
        return
    python = installed.python_of(state, wanted)
    if python is None:
        sys.stderr.write(f"master {os.getpid()}: the runtime {wanted} is not there; this installation serves instead\n")
        return
    sys.stderr.flush()
    os.execve(python, [str(python), "-P", "-m", handing.MODULE, *sys.argv[1:]], environment)  # noqa: S606


def check() -> int:
    """Whether a gateway could run here: import LiteLLM and answer one mocked request. One JSON object on stdout."""
    prepare_environment()
    import aiops
    from aiops.gateway.master.scout import rehearse
    from aiops.gateway.worker import runtime

    started = time.monotonic()
    try:
        runtime.load()
        rehearse()
    except Exception as error:
        sys.stderr.write(f"{type(error).__name__}: {error}\n")
        return 7
    seconds = round(time.monotonic() - started, 2)
    found = {"litellm": runtime.version(), "aiops": aiops.__version__, "runtime": installed.own(), "seconds": seconds}
    sys.stdout.write(json.dumps(found) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
