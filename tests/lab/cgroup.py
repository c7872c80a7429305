"""A cgroup (v2) per host: the way to kill, freeze and find everything in it without naming a process."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from tests.lab.command import LabError


@cache
def unified_root() -> Path:
    """Where cgroup v2 is mounted: /sys/fs/cgroup, or /sys/fs/cgroup/unified on a hybrid machine."""
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        fields, _, source = line.partition(" - ")
        if source.split()[0] == "cgroup2":
            return Path(fields.split()[4])
    raise LabError("no cgroup v2 is mounted on this machine, and the lab needs one to hold its hosts")


@dataclass(frozen=True)
class Cgroup:
    """One directory below the lab's own cgroup."""

    path: Path

    def create(self) -> None:
        self.path.mkdir(parents=True, exist_ok=True)

    @property
    def populated(self) -> bool:
        return self._event("populated")

    @property
    def frozen(self) -> bool:
        return self._event("frozen")

    def kill(self) -> None:
        """SIGKILL everything in it and below, frozen or not, and wait until it is gone (10 s at most)."""
        if self.path.exists():
            (self.path / "cgroup.kill").write_text("1")
            self._wait("populated", False)
            (self.path / "cgroup.freeze").write_text("0")

    def freeze(self, wanted: bool) -> None:
        """Stop every process where it is, or let it go on. The kernel still accepts connections for a frozen one."""
        (self.path / "cgroup.freeze").write_text("1" if wanted else "0")
        self._wait("frozen", wanted)

    def pids(self) -> list[int]:
        """Every process in it and below."""
        found: list[int] = []
        for directory, _, _ in os.walk(self.path):  # which goes on where a service ends meanwhile; `rglob` does not
            try:
                found += [int(pid) for pid in Path(directory, "cgroup.procs").read_text().split()]
            except OSError:
                continue
        return found

    def init_pid(self) -> int | None:
        """The host's own PID 1, as this machine counts: the one that is number 1 two namespaces down."""
        for pid in self.pids():
            try:
                status = Path(f"/proc/{pid}/status").read_text()
            except OSError:
                continue
            seen_as = next((line.split()[1:] for line in status.splitlines() if line.startswith("NSpid:")), [])
            if len(seen_as) == 3 and seen_as[-1] == "1":
                return pid
        return None

    def remove(self) -> None:
        """Kill what is in it and remove it with everything below."""
        if not self.path.exists():
            return
        self.kill()
        for child in sorted(self.path.rglob("*"), key=lambda found: len(found.parts), reverse=True):
            if child.is_dir():
                child.rmdir()
        self.path.rmdir()

    def _event(self, name: str) -> bool:
        try:
            return f"{name} 1" in (self.path / "cgroup.events").read_text()
        except OSError:
            return False

    def _wait(self, name: str, wanted: bool, patience: float = 10) -> None:
        deadline = time.monotonic() + patience
        while self._event(name) is not wanted:
            if time.monotonic() > deadline:
                raise LabError(f"{self.path} is not {'' if wanted else 'un'}{name} after {patience:g} s")
            time.sleep(0.005)
