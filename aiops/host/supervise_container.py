"""The gateway in a container, kept running by a systemd unit, or by the engine where there is no systemd.

Its directories are mounted at their own paths and it is on the host's network, so the change loop is the same as
without a container: the control socket, the private sockets of workers and the port are where they always are.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from aiops.errors import Precondition
from aiops.host import control, deploy, engines, ports, systemd
from aiops.host.deploy import Step, Wanted
from aiops.host.engines import Choice, Engine
from aiops.host.instance import Instance
from aiops.host.supervise_process import IMPORT_SECONDS
from aiops.host.supervisor import Update
from aiops.host.systemd import Scope, Systemd

START_SECONDS = 180.0
STOP_MARGIN_SECONDS = 20.0


UNIT = "litellm-container.service"
LABEL = "aiops.definition"  # the same in the other of render/container.py and host/supervise_container.py


@dataclass(frozen=True)
class Image:
    """What ``container:`` in aiops.yaml says."""

    name: str
    engine: Choice


@dataclass(frozen=True)
class Circumstances:
    """What a container depends on beside the instance. ``supervised``: a systemd unit runs it."""

    engine: str
    rootless: bool
    image: str
    host: str
    port: int
    uid: int
    gid: int
    supervised: bool


@dataclass(frozen=True)
class Made:
    """A container as it has to be. ``create``: arguments of the engine; ``definition`` stands for all of them."""

    name: str
    image: str
    create: tuple[str, ...]
    definition: str
    unit: bytes
    supervised: bool


Render = Callable[[Circumstances], Made]


class ContainerSupervisor:
    name = "container"

    def __init__(self, instance: Instance, scope: Scope, image: Callable[[], Image], render: Render) -> None:
        """``image`` is what the files say now; ``render`` says how the container has to be made."""
        self._instance = instance
        self._image = image
        self._render = render
        self._systemd = Systemd(scope)
        self._story: list[str] = []

    # --- the supervisor's contract ----------------------------------------------------------------------------

    def start(self, host: str, port: int, update: Update) -> bool:
        engine, made = self._made(host, port)
        if control.status(self._instance.run) is not None:
            self._tell_if_outdated(engine, made)
            return False
        if not engine.has_image(made.image):
            raise Precondition(
                f"{engine} has no image {made.image}",
                f"in a checkout: `{engine} build -f units/Containerfile -t {made.image} .`",
            )
        state = engine.state(made.name, LABEL)
        if state is None or state[0] != "running":
            ports.require_free(host, port)
        self._create(engine, made)
        if made.supervised:
            self._converge(made)
        else:
            engine.order("start", made.name)
            self._story.append(f"started: {made.name} ({engine} keeps it running, also after a reboot)")
        self._wait(engine, made, update)
        return True

    def story(self) -> list[str]:
        return self._story

    def stop(self, limit: float, update: Update) -> bool:
        engine, made = self._made("", 0)
        state = engine.state(made.name, LABEL)
        if state is None or state[0] not in ("running", "restarting"):
            return False
        started = time.monotonic()
        if control.status(self._instance.run) is not None:
            with control.Session(self._instance.run) as session:
                session.call("stop", limit=limit)
            while self._runs(engine, made) and time.monotonic() - started < limit + 5:
                update(time.monotonic() - started, limit, "finishing requests")
                time.sleep(0.1)
        if made.supervised and self._systemd.units(UNIT)[UNIT].load == "loaded":
            self._systemd.call("stop", UNIT, timeout=limit + STOP_MARGIN_SECONDS)
        if self._runs(engine, made) or not made.supervised:
            engine.order("stop", "--time=5", made.name, timeout=STOP_MARGIN_SECONDS)
        return True

    def restart(self, host: str, port: int, update: Update) -> None:
        """The keeper in the container starts a new master, which takes the workers and their port over."""
        before = control.status(self._instance.run)
        engine, made = self._made(host, port)
        if before is None:
            self.start(host, port, update)
            return
        self._tell_if_outdated(engine, made)
        with control.Session(self._instance.run) as session:
            session.call("leave")
        self._wait(engine, made, update, former=before.get("pid"))

    def logs(self, lines: int, follow: bool) -> Iterator[str]:
        engine, made = self._made("", 0)
        return engine.logs(made.name, lines, follow)

    # --- steps ------------------------------------------------------------------------------------------------

    def _made(self, host: str, port: int) -> tuple[Engine, Made]:
        image = self._image()
        engine = engines.find(image.engine)
        owner = self._instance.config.stat()
        if owner.st_uid == 0:
            raise Precondition(
                f"{self._instance.config} belongs to root, and the gateway does not run as root",
                f"`chown -R` {self._instance.home or self._instance.config} to a user of its own",
            )
        circumstances = Circumstances(
            engine=engine.path,
            rootless=engine.rootless,
            image=image.name,
            host=host,
            port=port,
            uid=owner.st_uid,
            gid=owner.st_gid,
            supervised=self._is_supervised(),
        )
        return engine, self._render(circumstances)

    def _is_supervised(self) -> bool:
        """Whether a systemd unit runs it: one that outlives this command."""
        lasts = self._systemd.scope == "system" or systemd.lingers() or systemd.in_session()
        return systemd.booted() and lasts and not self._systemd.why_not()

    def _create(self, engine: Engine, made: Made) -> None:
        """Make the container, unless there is one that was made just like this from the same image."""
        existing = engine.state(made.name, LABEL)
        same_image = engine.call("container", "inspect", "--format={{.Image}}", made.name).out.strip()
        if existing is not None and existing[1] == made.definition and same_image == engine.image_id(made.image):
            self._story.append(f"as it was: container {made.name}")
            return
        if existing is not None:
            engine.order("rm", "--force", made.name)
        engine.order("create", *made.create)
        self._story.append(f"changed: container {made.name} ({engine}, {made.image})")

    def _converge(self, made: Made) -> None:
        self._systemd.call("reset-failed", UNIT)
        steps = deploy.converge(
            Wanted(
                scope=self._systemd.scope,
                unit_directory=str(self._systemd.directory),
                units={UNIT: made.unit},
                enable=(UNIT,),
                start=(UNIT,),
                environment=systemd.essentials(),
            )
        )
        self._require_well(steps)
        self._story += [str(step) for step in steps if step.changed]

    def _require_well(self, steps: list[Step]) -> None:
        failed = [step for step in steps if not step.ok]
        if failed:
            raise Precondition(f"{failed[0].name}: {failed[0].why}", f"`{self._systemd.command('status', UNIT)}`")

    def _wait(self, engine: Engine, made: Made, update: Update, former: object = None) -> None:
        started = time.monotonic()
        while (elapsed := time.monotonic() - started) < START_SECONDS:
            status = control.status(self._instance.run, timeout=0.5)
            if status is not None and status["state"] != "busy" and status.get("pid") != former:
                return
            if elapsed > 2 and not self._runs(engine, made):
                break
            update(elapsed, IMPORT_SECONDS, "importing LiteLLM")
            time.sleep(0.1)
        said = "\n".join(f"  {line}" for line in engine.logs(made.name, 5, follow=False))
        raise Precondition(f"the gateway in {made.name} did not start:\n{said}", "`aiops logs` shows all it said")

    def _runs(self, engine: Engine, made: Made) -> bool:
        state = engine.state(made.name, LABEL)
        return state is not None and state[0] == "running"

    def _tell_if_outdated(self, engine: Engine, made: Made) -> None:
        running = engine.call("container", "inspect", "--format={{.Image}}", made.name).out.strip()
        if running and running != engine.image_id(made.image):
            self._story.append(
                f"{made.image} is a new image: `{self._instance.command} down` and `up` make the gateway use it"
            )
