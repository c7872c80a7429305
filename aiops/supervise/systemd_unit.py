"""The gateway as ``litellm.service`` with ``litellm.socket``: systemd starts it, watches it, and keeps its port.

The units themselves are rendered by whoever makes this supervisor; here they are put in place and used.
"""

from __future__ import annotations

import getpass
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from aiops.errors import AiopsError, Precondition
from aiops.gateway.shared.messages import Stop
from aiops.host import deploy, master, ports, privileges, process, systemd
from aiops.host.deploy import Step, Wanted
from aiops.host.instance import Instance
from aiops.host.process import Update
from aiops.host.systemd import Scope, Systemd, Unit
from aiops.supervise.contract import IMPORT_SECONDS
from aiops.supervise.detached import ProcessSupervisor
from aiops.supervise.owner import CHECK, SERVICE, SOCKET, TIMER, owner

UNITS = (SERVICE, SOCKET, TIMER, CHECK)
UP = (SOCKET, SERVICE)  # in this order
START_SECONDS = 330.0  # the unit's TimeoutStartSec=, and a little

Render = Callable[[str, int], Mapping[str, bytes]]


class SystemdSupervisor:
    name = "systemd"

    def __init__(self, instance: Instance, scope: Scope, render: Render) -> None:
        """``render(host, port)`` gives the units, name -> bytes."""
        self._instance = instance
        self._render = render
        self._processes = ProcessSupervisor(instance)
        self.systemd = Systemd(scope)
        self.steps: list[Step] = []  # of the last convergence
        self._outdated = False  # the gateway runs as the unit was before

    # --- the supervisor's contract ----------------------------------------------------------------------------

    def start(self, host: str, port: int, update: Update) -> bool:
        self.systemd.require()
        self._require_ours()
        self._processes.require_gateway()
        units = dict(self._render(host, port))
        before = self.systemd.units(*UNITS)
        self._require_usable(before)
        ran = master.status(self._instance.run) is not None
        if ran and not before[SERVICE].runs:
            raise Precondition(
                "the gateway runs already, but not as a systemd unit", f"`{self._instance.command} down`, then up again"
            )
        if self._socket_moves(units):
            self.systemd.call("stop", SOCKET)
            before = {**before, SOCKET: self.systemd.units(SOCKET)[SOCKET]}
        if not ran and not before[SOCKET].runs and not self._processes.orphans():
            ports.require_free(host, port)
        if "failed" in (before[SERVICE].active, before[SOCKET].active):
            self.systemd.call("reset-failed", SERVICE, SOCKET)
        with _ticking(update, "starting"), privileges.as_root():
            # systemd refuses to start a socket whose service runs: the gateway holds its port itself then.
            self.steps = deploy.converge(self._wanted(units, (SERVICE,) if ran and not before[SOCKET].runs else UP))
        self._outdated = ran and any(step.changed and step.name == SERVICE for step in self.steps)
        self._require_well()
        return not ran

    def follow(self, host: str, port: int) -> list[str]:
        """The gateway serves on another address from now on: the units, too. Returns what there is to say.

        Nothing is restarted. systemd cannot take over a port that the gateway holds: that is for its next start.
        """
        units = dict(self._render(host, port))
        if self.systemd.why_not() or not self.systemd.units(SERVICE)[SERVICE].runs:
            return [f"{SOCKET} is still that of the old address: `{self._instance.command} up` changes it (as root)"]
        self.systemd.call("stop", SOCKET)
        with privileges.as_root():
            self.steps = deploy.converge(self._wanted(units, ()))
        self._require_well()
        return [
            *(str(step) for step in self.steps if step.changed),
            f"the gateway holds the new port itself; {SOCKET} does from its next start on "
            f"(a boot, or `{self._instance.command} down` and `up`)",
        ]

    def story(self) -> list[str]:
        changed = [step for step in self.steps if step.changed or not step.ok]
        told = [str(step) for step in changed or self.steps]
        if self._outdated:
            told.append(f"{SERVICE} is new: `{self._instance.command} restart` makes the running gateway use it")
        return told

    def stop(self, limit: float, update: Update) -> bool:
        self.systemd.require()
        units = self.systemd.units(*UNITS)
        leftovers = self._processes.pids()
        if not units[SERVICE].runs and not units[SOCKET].runs and not leftovers:
            return False
        # First: or a connection would start it again.
        self.systemd.call("stop", SOCKET, TIMER)
        if master.status(self._instance.run) is not None:
            self._drain(limit, update)
        self._stop_units(limit)
        if self._processes.pids():
            self._processes.stop(limit, update)
        return units[SERVICE].runs or bool(leftovers)

    def restart(self, host: str, port: int, update: Update) -> None:
        self.systemd.require()
        self._require_ours()
        if not self.systemd.units(SERVICE)[SERVICE].runs:
            self.start(host, port, update)
            return
        # Asked for by a person: it does not count as one of a crash loop's starts.
        self.systemd.call("reset-failed", SERVICE)
        with _ticking(update, "restarting"):
            done = self.systemd.call("restart", SERVICE, timeout=START_SECONDS)
        if not done.ok:
            raise self._failed(done.reason)

    def logs(self, lines: int, follow: bool) -> Iterator[str]:
        return self.systemd.journal(SERVICE, lines, follow)

    # --- what there is ----------------------------------------------------------------------------------------

    def owner(self) -> str | None:
        """State directory of the instance that the installed unit belongs to; None when there is none of ours."""
        return owner(self.systemd)

    def edited(self, host: str, port: int) -> list[str]:
        """Installed units that are not what would be rendered now."""
        rendered = self._render(host, port)
        return [name for name, content in rendered.items() if _read(self.systemd.directory / name) != content]

    # --- steps ------------------------------------------------------------------------------------------------

    def _wanted(self, units: Mapping[str, bytes], start: tuple[str, ...]) -> Wanted:
        instance = self._instance
        private = [instance.state, instance.run, instance.logs, instance.secrets]
        own = deploy.directories({str(path): "700" for path in private})
        user = self.systemd.scope == "user"
        return Wanted(
            scope=self.systemd.scope,
            unit_directory=str(self.systemd.directory),
            units=units,
            directories=own if user else {},
            linger=getpass.getuser() if user else "",
            enable=UP,
            start=start,
            environment=systemd.essentials(),
        )

    def _require_ours(self) -> None:
        other = self.owner()
        if other is not None and other != str(self._instance.state):
            raise Precondition(
                f"{SERVICE} belongs to another instance, with its state in {other}",
                "stop that one first (`aiops down` there), or set `supervisor: process` in aiops.yaml",
            )

    def _require_usable(self, units: Mapping[str, Unit]) -> None:
        for name in (SERVICE, SOCKET):
            if units[name].load == "masked":
                raise Precondition(f"{name} is masked", f"`{self.systemd.command('unmask', name)}` allows it again")

    def _socket_moves(self, units: Mapping[str, bytes]) -> bool:
        """Whether the installed socket unit holds another address."""
        installed = _read(self.systemd.directory / SOCKET)
        return installed is not None and _listens(installed) != _listens(units[SOCKET])

    def _require_well(self) -> None:
        """Raises Precondition with the step that failed, and the last words of the gateway."""
        failed = [step for step in self.steps if not step.ok and not step.name.startswith("linger")]
        if failed:
            raise self._failed(f"{failed[0].name}: {failed[0].why}")

    def _failed(self, why: str) -> Precondition:
        said: list[str] = []
        with suppress(AiopsError):
            said = [f"  {line}" for line in self.logs(5, follow=False)]
        return Precondition("\n".join([f"{SERVICE} did not start: {why}", *said]), "`aiops logs` shows all it said")

    def _drain(self, limit: float, update: Update) -> None:
        pids = self._processes.pids()
        with suppress(AiopsError), master.Session(self._instance.run) as session:
            session.call(Stop(limit))
        started = time.monotonic()
        while left := [pid for pid in pids if process.is_alive(pid)]:
            if (elapsed := time.monotonic() - started) > limit + 5:
                break
            update(elapsed, limit, f"{len(left)} processes")
            time.sleep(0.02)

    def _stop_units(self, limit: float) -> None:
        done = self.systemd.call("stop", SOCKET, SERVICE, timeout=limit + 120)
        if not done.ok:
            raise Precondition(
                f"systemd did not stop {SERVICE}: {done.reason}", f"`{self.systemd.command('status', SERVICE)}`"
            )


def _listens(unit: bytes) -> list[str]:
    return [line for line in unit.decode(errors="replace").splitlines() if line.startswith("ListenStream=")]


def _read(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except OSError:
        return None


@contextmanager
def _ticking(update: Update, note: str) -> Iterator[None]:
    """Move a progress bar while somebody else does the work."""
    over = threading.Event()
    started = time.monotonic()

    def tick() -> None:
        while not over.wait(0.1):
            update(min(time.monotonic() - started, IMPORT_SECONDS), IMPORT_SECONDS + 1, note)

    thread = threading.Thread(target=tick, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
