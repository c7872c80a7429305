"""The container engine of this machine: Docker or Podman, whichever answers."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from aiops.errors import Precondition
from aiops.gateway.shared import installed
from aiops.host import privileges, process

Choice = Literal["auto", "docker", "podman"]
CALL_SECONDS = 30.0
ENGINES = ("docker", "podman")
# The same in render/container.py: whose container it is, which image it was made from, and how.
INSTANCE, IMAGE, DEFINITION = "aiops.instance", "aiops.image", "aiops.definition"
SHORT = 12  # digits of an image's id


@dataclass(frozen=True)
class Container:
    """One of an instance's containers. ``runtime`` names its image; ``state``: running, exited, created, …"""

    name: str
    state: str
    runtime: str
    definition: str

    @property
    def number(self) -> int:
        """They are numbered in the order in which they were made."""
        return int(self.name.rpartition("-")[2])

    @property
    def runs(self) -> bool:
        return self.state in ("running", "restarting")


@dataclass(frozen=True)
class Engine:
    """``path`` of the program that speaks to it."""

    path: str

    def __str__(self) -> str:
        return os.path.basename(self.path)  # noqa: PTH119 — a name, not a file to look at

    @property
    def rootless(self) -> bool:
        """Podman as an ordinary user has users of its own; Docker's daemon is root."""
        return str(self) == "podman" and os.getuid() != 0

    def call(self, *arguments: str, timeout: float = CALL_SECONDS) -> process.Done:
        with privileges.as_root():
            return process.run([self.path, *arguments], timeout)

    def order(self, *arguments: str, timeout: float = CALL_SECONDS) -> str:
        """What it printed. Raises Precondition with its own reason."""
        done = self.call(*arguments, timeout=timeout)
        if not done.ok:
            raise Precondition(f"{self} {arguments[0]}: {done.reason}", f"`{self} info` shows whether it works at all")
        return done.out.strip()

    def image_id(self, image: str) -> str:
        """What the name, or the beginning of an id, stands for now; empty when there is no such image."""
        done = self.call("image", "inspect", "--format={{.Id}}", image)
        return done.out.strip() if done.ok else ""

    def containers(self, instance: str) -> list[Container]:
        """All of an instance, in the order in which they were made."""
        names = self.order("ps", "--all", f"--filter=label={INSTANCE}={instance}", "--format={{.Names}}").split()
        if not names:
            return []
        # What ps shows differs between the engines. One that is removed meanwhile is simply not among the answers.
        columns = [
            "{{.Name}}",
            "{{.State.Status}}",
            *(f'{{{{index .Config.Labels "{k}"}}}}' for k in (IMAGE, DEFINITION)),
        ]
        listed = self.call("container", "inspect", f"--format={'|'.join(columns)}", *names).out.splitlines()
        found = (Container(*line.lstrip("/").split("|")) for line in listed if line.count("|") == 3)
        return sorted(found, key=lambda each: each.number)

    def logs(self, container: str, lines: int, follow: bool) -> Iterator[str]:
        with privileges.as_root():
            return process.lines([self.path, "logs", f"--tail={lines}", *(["--follow"] if follow else []), container])


def runtime_of(image: str) -> str:
    """What the gateway calls an image, given its id."""
    return installed.IMAGE + image.removeprefix("sha256:")[:SHORT]


def is_image(runtime: str | None) -> bool:
    """Whether a generation's runtime is an image."""
    return installed.is_image(runtime)


def current(containers: Sequence[Container], committed: str | None) -> Container | None:
    """The one that is to run: the newest made from the image the committed generation was proved in, or at all."""
    proved = [container for container in containers if container.runtime == committed]
    return max(proved or containers, key=lambda each: each.number, default=None)


def find(choice: Choice) -> Engine:
    """The one that was chosen, or the first that answers. Raises Precondition."""
    names: Sequence[str] = ENGINES if choice == "auto" else (choice,)
    there = [Engine(path) for name in names if (path := shutil.which(name))]
    if not there:
        raise Precondition(
            f"there is no {' and no '.join(names)} on this machine",
            "`apt install podman` (or docker.io), or `supervisor: process` in aiops.yaml",
        )
    why = ""
    for engine in there:
        done = engine.call("info")
        if done.ok:
            return engine
        why += f"; {engine}: {done.reason}"
    raise Precondition(f"the container engine does not answer{why}", "is it running, and may you use it?")
