"""``python -m aiops.host.container_unit``: what litellm-container.service runs as ExecStart= and ExecStop=.

``run`` is attached to the container of the committed generation, which it starts where it does not run, and ends with
it. When another container has taken over, it goes on with that one: told by SIGHUP, or because the old one ended.
``stop`` stops all containers of the instance, unless systemd stops the unit only to start it again.
"""

from __future__ import annotations

import argparse
import signal
import sys
import time
from pathlib import Path

from aiops.errors import AiopsError
from aiops.gateway.shared import installed
from aiops.host import engines, process, unit_hook
from aiops.host.engines import Engine
from aiops.host.systemd import Systemd

UNIT = "litellm-container.service"
NOTHING_TO_RUN = 4
TICK = 0.2


class Follower:
    def __init__(self, engine: Engine, instance: str, state: Path) -> None:
        self._engine = engine
        self._instance = instance
        self._state = state
        self._look_again = False
        self._ended = False

    def run(self) -> int:
        """The exit code of the container it was attached to last; 0 when it was told to end itself."""
        signal.signal(signal.SIGHUP, self._hear)
        signal.signal(signal.SIGTERM, self._hear)
        name = self._current()
        if name is None:
            sys.stderr.write("there is no container: `aiops up` makes one\n")
            return NOTHING_TO_RUN
        while True:
            code = self._attach(name)
            if self._ended:
                return 0
            current = self._current() or name
            if code is not None and current == name:
                return code
            name = current

    def _attach(self, name: str) -> int | None:
        """Until the container ends; its exit code. None: another one is to be followed, and this one runs on alone."""
        # SIGKILL, because the client would pass every other signal on to the container.
        with process.attached([self._engine.path, "start", "--attach", name], signal.SIGKILL) as client:
            while (code := client.poll()) is None and not self._ended:
                if self._look_again:
                    self._look_again = False
                    if self._current() not in (None, name):
                        break
                time.sleep(TICK)
        return code

    def _current(self) -> str | None:
        found = engines.current(self._engine.containers(self._instance), installed.committed(self._state))
        return found.name if found else None

    def _hear(self, number: int, frame: object) -> None:
        self._ended = self._ended or number == signal.SIGTERM
        self._look_again = True


def stop(engine: Engine, instance: str, run: Path, restarting: bool, within: float) -> None:
    """Raises Precondition when the engine refuses."""
    if restarting:
        # Nothing else would restart it: systemd's SIGTERM reaches this unit's process, and not the container.
        if why := unit_hook.leave(run):
            sys.stderr.write(f"the gateway is not restarted: {why}\n")
        return
    names = [container.name for container in engine.containers(instance) if container.runs]
    if names:
        engine.order("stop", f"--time={within:g}", *names, timeout=within + 10)


def main() -> int:
    parser = argparse.ArgumentParser(prog="aiops.host.container_unit")
    parser.add_argument("what", choices=("run", "stop"))
    parser.add_argument("--engine", required=True)
    parser.add_argument("--instance", required=True)
    parser.add_argument("--state", type=Path)
    parser.add_argument("--scope", choices=("user", "system"), default="user")
    parser.add_argument("--run", type=Path)
    parser.add_argument("--within", type=float, default=90.0)
    given = parser.parse_args()
    engine = Engine(given.engine)
    try:
        if given.what == "run":
            return Follower(engine, given.instance, given.state).run()
        restarting = Systemd(given.scope).job(UNIT) in unit_hook.RESTARTS
        stop(engine, given.instance, given.run, restarting, given.within)
    except AiopsError as error:
        sys.stderr.write(f"{error.message}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
