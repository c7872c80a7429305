"""The embedded supervisor, for machines without systemd: the master is a detached process of its own.

If the master is killed its workers serve on; the next `aiops up` starts a master that takes them over.
"""

from __future__ import annotations

import importlib.util
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from aiops.errors import Precondition
from aiops.gateway.shared import accounting, protocol
from aiops.gateway.shared.messages import BUSY, Leave, Stop
from aiops.host import master as control
from aiops.host import ports, process
from aiops.host.instance import Instance
from aiops.host.process import Update
from aiops.supervise.contract import IMPORT_SECONDS

START_SECONDS = 180.0
LOG_BYTES = 20 * 1024 * 1024
MARK = "aiops.gateway"
ACCOUNTANT_SECONDS = 3.0


class ProcessSupervisor:
    name = "process"

    def __init__(self, instance: Instance) -> None:
        self._instance = instance

    def start(self, host: str, port: int, update: Update) -> bool:
        if control.status(self._instance.run) is not None:
            return False
        self.require_gateway()
        if not self.orphans():
            ports.require_free(host, port)
        self._launch(host, port, update)
        return True

    def story(self) -> list[str]:
        return []

    def stop(self, limit: float, update: Update) -> bool:
        pids = self.pids()
        if not pids:
            return False
        try:
            with control.Session(self._instance.run) as session:
                session.call(Stop(limit))
            patience = limit + 5
        except Precondition:
            patience = min(limit, 10.0)
            accountant = self._accountant()
            process.end([pid for pid in pids if pid not in accountant], patience)
            process.end(accountant, ACCOUNTANT_SECONDS)  # with what they wrote at last
        started = time.monotonic()
        # By pid, not by the pid file: a master removes that before its own last moment.
        while left := [pid for pid in pids if process.is_alive(pid)]:
            if time.monotonic() - started > patience:
                break
            update(time.monotonic() - started, patience, f"{len(left)} processes")
            time.sleep(0.02)
        process.end([*left, *self.pids()], 1.0)
        self._sweep()
        return True

    def restart(self, host: str, port: int, update: Update) -> None:
        self.require_gateway()
        pid = self._master()
        if pid is not None:
            with control.Session(self._instance.run) as session:
                session.call(Leave())
            deadline = time.monotonic() + 10
            while process.is_alive(pid) and time.monotonic() < deadline:
                time.sleep(0.02)
        self.start(host, port, update)

    def logs(self, lines: int, follow: bool) -> Iterator[str]:
        path = self._instance.log
        if not path.exists():
            return
        with path.open(errors="replace") as file:
            yield from [line.rstrip("\n") for line in file.readlines()[-lines:]]
            while follow:
                line = file.readline()
                if line:
                    yield line.rstrip("\n")
                else:
                    time.sleep(0.2)

    def pids(self) -> list[int]:
        """The master, every worker of this instance and its accountant, also those of a master that is gone."""
        master = self._master()
        found = {int(pid) for path in self._instance.run.glob("*.fd") if (pid := path.stem).isdigit()}
        found |= {*self._accountant(), *(_children(master) if master is not None else ())}
        alive = [pid for pid in sorted(found) if process.is_alive(pid) and MARK in process.command_line(pid)]
        return ([master] if master is not None else []) + [pid for pid in alive if pid != master]

    def orphans(self) -> list[int]:
        """Workers that serve on although their master is gone."""
        return [pid for pid in self.pids() if pid not in self._accountant()] if self._master() is None else []

    def _accountant(self) -> list[int]:
        """Its processes: one that has just been started may not have asked the other to retire yet."""
        arguments = f" --state {self._instance.state} --run "
        return [
            pid
            for path in Path("/proc").iterdir()
            if path.name.isdigit() and accounting.MODULE in (line := process.command_line(pid := int(path.name)))
            if arguments in f"{line} "
        ]

    def _master(self) -> int | None:
        """The master, if the pid file names a living process that is one: a stale file proves nothing."""
        try:
            pid = int((self._instance.run / protocol.PID_FILE).read_text())
        except (OSError, ValueError):
            return None
        line = process.command_line(pid)
        ours = MARK in line and str(self._instance.state) in line
        return pid if ours and process.is_alive(pid) and pid not in self._worker_pids() else None

    def _worker_pids(self) -> set[int]:
        return {int(path.stem) for path in self._instance.run.glob("*.fd") if path.stem.isdigit()}

    def require_gateway(self) -> None:
        """Raises Precondition when LiteLLM is not installed here."""
        if importlib.util.find_spec("litellm") is None:
            raise Precondition(
                "LiteLLM is not installed in this environment",
                "`pip install 'aiops[gateway]'`, or `uv sync --extra gateway` in a checkout",
            )

    def _launch(self, host: str, port: int, update: Update) -> None:
        paths = {"state": self._instance.state, "run": self._instance.run, "secrets": self._instance.secrets}
        argv = [sys.executable, "-m", MARK, "--host", host, "--port", str(port)]
        for name, path in paths.items():
            argv += [f"--{name}", str(path)]
        self._rotate_log()
        child = process.start_detached(argv, self._instance.log, os.environ)
        try:
            self._wait_for(child, update)
        except KeyboardInterrupt:
            if self._master() is None:  # it has not said yet who it is: nobody else could stop it
                process.end([child.pid], 1.0)
            raise

    def _wait_for(self, child: process.Child, update: Update) -> None:
        started = time.monotonic()
        while time.monotonic() - started < START_SECONDS:
            if child.poll() is not None:
                raise Precondition("the gateway did not start:\n" + self._tail(), "`aiops logs` shows all it said")
            status = control.status(self._instance.run, timeout=0.5)
            if status is not None and status.state != BUSY:
                return
            update(time.monotonic() - started, IMPORT_SECONDS, "importing LiteLLM")
            time.sleep(0.02)
        process.end([child.pid], 1.0)
        raise Precondition(f"the gateway did not answer within {START_SECONDS:g} s:\n{self._tail()}")

    def _tail(self, lines: int = 5) -> str:
        return "\n".join(f"  {line}" for line in self.logs(lines, follow=False))

    def _rotate_log(self) -> None:
        if self._instance.log.exists() and self._instance.log.stat().st_size > LOG_BYTES:
            self._instance.log.replace(self._instance.log.with_suffix(".log.1"))

    def _sweep(self) -> None:
        for pattern in ("*.fd", "*.http", protocol.CONTROL, protocol.PID_FILE, f"{accounting.SOCKET}*"):
            for path in self._instance.run.glob(pattern):
                path.unlink(missing_ok=True)


def _children(pid: int) -> set[int]:
    try:
        return {int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()}
    except OSError:
        return set()
