"""The containers of one instance: one as a rule, two while one takes over from the other without a gap."""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

from aiops.errors import Precondition
from aiops.gateway.shared import installed
from aiops.host import engines, files, master
from aiops.host.container_unit import UNIT
from aiops.host.engines import Choice, Container, Engine
from aiops.host.instance import Instance
from aiops.host.process import Update
from aiops.host.systemd import Scope, Systemd
from aiops.supervise.contract import IMPORT_SECONDS
from aiops.supervise.program import DoesNotStart

ANSWER_SECONDS = 180.0
# Images that a generation needs stay, also when their name is given to a newer one and somebody prunes.
KEPT = "aiops-kept"
VERSIONS = "from importlib.metadata import version as v; print(v('litellm'), v('aiops'))"


@dataclass(frozen=True)
class Image:
    """What ``container:`` in aiops.yaml says."""

    name: str
    engine: Choice


@dataclass(frozen=True)
class Circumstances:
    """What a container depends on beside the instance. ``image`` is an id, ``runtime`` what the gateway calls it."""

    engine: str
    rootless: bool
    image: str
    runtime: str
    host: str
    port: int


@dataclass(frozen=True)
class Made:
    """A container as it has to be. ``create``: arguments of the engine; ``definition`` stands for all of them."""

    image: str
    create: tuple[str, ...]
    definition: str
    unit: bytes
    supervised: bool


Render = Callable[[Circumstances], Made]


class Containers:
    """``wanted`` is what the files say now; ``render`` says how a container has to be made; ``name`` is theirs."""

    def __init__(
        self, instance: Instance, scope: Scope, name: str, wanted: Callable[[], Image], render: Render
    ) -> None:
        self.name = name
        self._instance = instance
        self._systemd = Systemd(scope)
        self._wanted = wanted
        self._render = render

    @cached_property
    def engine(self) -> Engine:
        """Raises Precondition when there is none."""
        return engines.find(self._wanted().engine)

    # --- images -----------------------------------------------------------------------------------------------

    def known(self, runtime: str | None = None) -> str:
        """The id of the image of ``runtime``, or of the one that aiops.yaml names; empty when it is not there."""
        return self.engine.image_id(runtime.removeprefix(installed.IMAGE) if runtime else self._wanted().name)

    def wanted_image(self, name: str | None = None) -> str:
        """The id of the image that ``name`` (of aiops.yaml, by default) stands for now. Raises Precondition."""
        name = name or self._wanted().name
        if found := self.engine.image_id(name):
            return found
        raise Precondition(
            f"{self.engine} has no image {name}",
            f"in a checkout: `{self.engine} build -f units/Containerfile -t {name} .`",
        )

    def image_of(self, runtime: str) -> str:
        """The id of the image that a generation was proved in. Raises Precondition when it is gone."""
        if found := self.known(runtime):
            return found
        raise Precondition(
            f"{self.engine} no longer has the image of {runtime}",
            f"`{self.engine} load` it again, or `{self._instance.command} upgrade` to the one there is",
        )

    def image_to_start(self) -> str:
        """That of the committed generation; where there is none or it is gone, the one that the files name."""
        committed = installed.committed(self._instance.state)
        return (self.known(committed) if installed.is_image(committed) else "") or self.wanted_image()

    def versions(self, image: str) -> tuple[str, str]:
        """LiteLLM and aiops in an image. Raises Precondition when it is no image of a gateway."""
        run = ["run", "--rm", "--network=none", "--read-only", "--cap-drop=ALL", image, "python3", "-c", VERSIONS]
        done = self.engine.call(*run, timeout=60)
        words = done.out.split()
        if not done.ok or len(words) != 2:
            raise Precondition(
                f"that is no image of a gateway: {done.reason}", "units/Containerfile says how one is built"
            )
        return words[0], words[1]

    def forget_images(self, needed: set[str | None]) -> None:
        """Let go of those that no generation needs: they go with the next prune, if they have no name of their own."""
        listed = self.engine.call("images", "--format={{.Repository}} {{.Tag}}").out.splitlines()
        for repository, _, tag in (line.partition(" ") for line in listed):
            if repository.rpartition("/")[2] == KEPT and f"{installed.IMAGE}{tag}" not in needed:
                self.engine.call("rmi", f"{repository}:{tag}")

    # --- containers -------------------------------------------------------------------------------------------

    def all(self) -> list[Container]:
        return self.engine.containers(self.name)

    def current(self) -> Container | None:
        """The one that the unit follows, running or not."""
        return engines.current(self.all(), installed.committed(self._instance.state))

    def get(self, name: str) -> Container | None:
        return next((each for each in self.all() if each.name == name), None)

    def made(self, image: str, host: str, port: int) -> Made:
        """How a container from this image, an id, has to be."""
        engine = self.engine
        runtime = engines.runtime_of(image)
        return self._render(Circumstances(engine.path, engine.rootless, image, runtime, host, port))

    def create(self, made: Made) -> str:
        """Make one, beside those there are. Returns its name."""
        name = f"{self.name}-{max((each.number for each in self.all()), default=0) + 1}"
        own = [f"--name={name}", f"--env={installed.CONTAINER_VARIABLE}={name}"]
        self.engine.order("create", *own, *made.create)
        self.engine.call("tag", made.image, f"{KEPT}:{engines.runtime_of(made.image).removeprefix(installed.IMAGE)}")
        return name

    def sweep(self, keep: str | None = None) -> None:
        """Remove those that have ended, but for ``keep``."""
        for each in self.all():
            if each.name != keep and not each.runs:
                self.engine.call("rm", each.name)

    def succeed(self, made: Made, hold: float, update: Update) -> str:
        """A container beside the one that serves, whose master takes over as soon as it can. Returns its name.

        ``hold``: seconds after which it gives back unless a change is confirmed; 0 for good. Raises DoesNotStart
        with the old one serving as before.
        """
        before = self.current()
        self.sweep(before.name if before else None)
        name = self.create(made)
        invitation = {"container": name, "token": secrets.token_hex(8), "hold": hold}
        path = self._instance.run / installed.INVITATION
        files.write(path, json.dumps(invitation).encode(), 0o600)
        try:
            self.engine.order("start", name)
            self._wait_for(name, update)
        except BaseException:
            path.unlink(missing_ok=True)
            self.engine.call("rm", "--force", name)
            raise
        return name

    def _wait_for(self, name: str, update: Update) -> None:
        started = time.monotonic()
        while (elapsed := time.monotonic() - started) < ANSWER_SECONDS:
            status = master.status(self._instance.run, timeout=0.5)
            if status is not None and status.container == name:
                return
            there = self.get(name)
            if there is None or not there.runs:
                said = "\n".join(f"  {line}" for line in self.engine.logs(name, 5, follow=False))
                raise DoesNotStart(
                    f"the gateway does not start in a container of this image:\n{said}",
                    "the old one never stopped serving",
                )
            update(elapsed, max(IMPORT_SECONDS, elapsed * 1.2), "importing LiteLLM")
            time.sleep(0.1)
        raise DoesNotStart(f"the gateway in the new container did not answer within {ANSWER_SECONDS:g} s")

    def follow(self, name: str) -> None:
        """``name`` has taken over for good: whoever looks after the gateway looks after that one."""
        self._systemd.call("kill", "--kill-who=main", "--signal=HUP", UNIT)
        for each in self.all():
            if each.name != name and each.runs:
                # It ends when its last stream has, and must not be brought back then. Podman's needs no telling.
                self.engine.call("update", "--restart=no", each.name)
        self.sweep(name)
