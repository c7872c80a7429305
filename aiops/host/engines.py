"""The container engine of this machine: Docker or Podman, whichever answers."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from aiops.errors import Precondition
from aiops.host import process

Choice = Literal["auto", "docker", "podman"]
CALL_SECONDS = 30.0
ENGINES = ("docker", "podman")


@dataclass(frozen=True)
class Engine:
    """``path`` of the program that speaks to it."""

    path: str

    def __str__(self) -> str:
        return os.path.basename(self.path)  # noqa: PTH119 — a name, not a file to look at

    @property
    def rootless(self) -> bool:
        """Podman as an ordinary user has users of its own; Docker's daemon is root."""
        return str(self) == "podman" and os.geteuid() != 0

    def call(self, *arguments: str, timeout: float = CALL_SECONDS) -> process.Done:
        return process.run([self.path, *arguments], timeout)

    def order(self, *arguments: str, timeout: float = CALL_SECONDS) -> str:
        """What it printed. Raises Precondition with its own reason."""
        done = self.call(*arguments, timeout=timeout)
        if not done.ok:
            raise Precondition(f"{self} {arguments[0]}: {done.reason}", f"`{self} info` shows whether it works at all")
        return done.out.strip()

    def has_image(self, image: str) -> bool:
        return self.call("image", "inspect", image).ok

    def image_id(self, image: str) -> str:
        """What the name stands for now; empty when there is no such image."""
        done = self.call("image", "inspect", "--format={{.Id}}", image)
        return done.out.strip() if done.ok else ""

    def state(self, container: str, label: str) -> tuple[str, str] | None:
        """(``running``, ``exited``, …; the value of ``label``). None when there is no such container."""
        done = self.call(
            "container", "inspect", f'--format={{{{.State.Status}}}} {{{{index .Config.Labels "{label}"}}}}', container
        )
        if not done.ok:
            return None
        status, _, value = done.out.strip().partition(" ")
        return status, value

    def logs(self, container: str, lines: int, follow: bool) -> Iterator[str]:
        return process.lines([self.path, "logs", f"--tail={lines}", *(["--follow"] if follow else []), container])


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
