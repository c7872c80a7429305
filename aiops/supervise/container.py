"""The gateway in a container, kept running by a systemd unit, or by the engine where there is no systemd.

Its directories are mounted at their own paths and it is on the host's network, so the change loop is the same as
without a container: the control socket, the private sockets of workers and the port are where they always are.
"""

from __future__ import annotations

import getpass
import time
from collections.abc import Iterator

from aiops.errors import Precondition
from aiops.gateway.shared.messages import BUSY, Leave, Status, Stop
from aiops.host import deploy, engines, master, ports, privileges, systemd
from aiops.host.container_unit import UNIT
from aiops.host.deploy import Step, Wanted
from aiops.host.instance import Instance
from aiops.host.process import Update
from aiops.host.systemd import Scope, Systemd
from aiops.supervise import program
from aiops.supervise.containers import Containers, Made
from aiops.supervise.contract import IMPORT_SECONDS

START_SECONDS = 180.0
STOP_MARGIN_SECONDS = 20.0


class ContainerSupervisor:
    name = "container"

    def __init__(self, instance: Instance, scope: Scope, containers: Containers) -> None:
        self.containers = containers
        self._instance = instance
        self._systemd = Systemd(scope)
        self._story: list[str] = []

    # --- the supervisor's contract ----------------------------------------------------------------------------

    def start(self, host: str, port: int, update: Update) -> bool:
        status = master.status(self._instance.run)
        if status is not None:
            self._tell_if_outdated(status, host, port)
            return False
        made = self.containers.made(self.containers.image_to_start(), host, port)
        if not any(each.runs for each in self.containers.all()):
            ports.require_free(host, port)
        name = self._existing(made) or self._replaced(made)
        if made.supervised:
            self._converge(made)
        else:
            self.containers.engine.order("start", name)
            self._story.append(f"started: {name} ({self.containers.engine} starts it again when it fails)")
        self._wait(name, update)
        return True

    def story(self) -> list[str]:
        return self._story

    def stop(self, limit: float, update: Update) -> bool:
        running = [each for each in self.containers.all() if each.runs]
        if not running:
            return False
        started = time.monotonic()
        if master.status(self._instance.run) is not None:
            with master.Session(self._instance.run) as session:
                session.call(Stop(limit))
            while self._any_runs() and time.monotonic() - started < limit + 5:
                update(time.monotonic() - started, limit, "finishing requests")
                time.sleep(0.1)
        if self._systemd.units(UNIT)[UNIT].runs:
            self._systemd.call("stop", UNIT, timeout=limit + STOP_MARGIN_SECONDS)
        for each in running:
            # One that the engine looks after comes back at boot unless it was told to stop, also if it has ended.
            self.containers.engine.call("stop", "--time=5", each.name, timeout=STOP_MARGIN_SECONDS)
        current = self.containers.current()
        self.containers.sweep(current.name if current else None)
        return True

    def restart(self, host: str, port: int, update: Update) -> None:
        """The keeper in the container starts a new master, which takes the workers and their port over.

        A container that has to be made another way is followed by a new one, whose master does the same.
        """
        before = program.calm(self._instance.run)
        if before is None:
            self.start(host, port, update)
            return
        made = self.containers.made(self.containers.image_to_start(), host, port)
        running = self.containers.get(str(before.container))
        if running is None or running.definition != made.definition:
            name = self.containers.succeed(made, 0.0, update)
            if made.supervised:
                self._converge(made)
            self.containers.follow(name)
            self._story.append(f"changed: container {name} takes over")
            return
        self._tell_if_outdated(before, host, port)
        with master.Session(self._instance.run) as session:
            session.call(Leave())
        self._wait(running.name, update, former=before.pid)

    def logs(self, lines: int, follow: bool) -> Iterator[str]:
        status = master.status(self._instance.run)
        current = self.containers.current()
        name = (status and status.container) or (current.name if current else None)
        return self.containers.engine.logs(name, lines, follow) if name else iter(())

    # --- steps ------------------------------------------------------------------------------------------------

    def _existing(self, made: Made) -> str | None:
        """The container that was made just like this, from the same image, if it is the one to run."""
        current = self.containers.current()
        if current is None or current.definition != made.definition:
            return None
        self.containers.sweep(current.name)
        self._story.append(f"as it was: container {current.name}")
        return current.name

    def _replaced(self, made: Made) -> str:
        name = self.containers.create(made)
        for each in self.containers.all():
            if each.name != name:
                self.containers.engine.order("rm", "--force", each.name)
        self._story.append(f"changed: container {name} ({self.containers.engine}, {made.image})")
        return name

    def _converge(self, made: Made) -> None:
        self._systemd.call("reset-failed", UNIT)
        with privileges.as_root():
            steps = deploy.converge(self._wanted(made))
        self._require_well(steps)
        self._story += [str(step) for step in steps if step.changed]

    def _wanted(self, made: Made) -> Wanted:
        user = self._systemd.scope == "user"
        return Wanted(
            scope=self._systemd.scope,
            unit_directory=str(self._systemd.directory),
            units={UNIT: made.unit},
            linger=getpass.getuser() if user else "",
            enable=(UNIT,),
            start=(UNIT,),
            environment=systemd.essentials(),
        )

    def _require_well(self, steps: list[Step]) -> None:
        failed = [step for step in steps if not step.ok and not step.name.startswith("linger")]
        if failed:
            raise Precondition(f"{failed[0].name}: {failed[0].why}", f"`{self._systemd.command('status', UNIT)}`")

    def _wait(self, name: str, update: Update, former: int | None = None) -> None:
        started = time.monotonic()
        while (elapsed := time.monotonic() - started) < START_SECONDS:
            status = master.status(self._instance.run, timeout=0.5)
            if status is not None and status.state != BUSY and status.pid != former:
                return
            if elapsed > 2 and not self._any_runs():
                break
            update(elapsed, IMPORT_SECONDS, "importing LiteLLM")
            time.sleep(0.1)
        said = "\n".join(f"  {line}" for line in self.containers.engine.logs(name, 5, follow=False))
        raise Precondition(f"the gateway in {name} did not start:\n{said}", "`aiops logs` shows all it said")

    def _any_runs(self) -> bool:
        return any(each.runs for each in self.containers.all())

    def _tell_if_outdated(self, status: Status, host: str, port: int) -> None:
        """What a person might expect this command to do, and which one does it."""
        running = self.containers.get(str(status.container))
        if running is None:
            return
        image, named = (self.containers.known(name) for name in (running.runtime, None))
        if image and running.definition != self.containers.made(image, host, port).definition:
            self._story.append(
                f"the container would be made another way now: `{self._instance.command} restart` does, without a gap"
            )
        if named and engines.runtime_of(named) != running.runtime:
            self._story.append(f"there is a new image: `{self._instance.command} upgrade` takes it live")
