"""What a lab has on this machine right now: the promise of `down` is that this is nothing."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from tests.lab.command import run
from tests.lab.lab import cgroup_of
from tests.lab.network import namespaces
from tests.lab.places import CACHE, MEMORY, RUN


def traces(lab: str) -> list[str]:
    """One line for each process, mount, interface, namespace and directory of ``lab``, in any namespace."""
    return sorted({*_directories(lab), *_network(lab), *_processes(lab)})


def _directories(lab: str) -> Iterator[str]:
    propagate = Path("/run/systemd/nspawn/propagate").glob(f"{lab}-*")
    for path in (RUN / lab, MEMORY / lab, CACHE / "disks" / lab, cgroup_of(lab), *propagate):
        if path.exists():
            yield f"directory {path}"


def _network(lab: str) -> Iterator[str]:
    yield from (f"namespace {name}" for name in namespaces(lab))
    # Without its own namespace a bridge would be here.
    for line in run(["ip", "-brief", "link"]).out.splitlines():
        if line.split()[0].split("@")[0] == lab:
            yield f"interface {lab}"


def _processes(lab: str) -> Iterator[str]:
    marks = (f"{RUN}/{lab}/", f"--machine={lab}-")
    mounted = (f"{RUN}/{lab}/", f"{CACHE}/disks/{lab}/", f"{MEMORY}/{lab}/")
    for process in Path("/proc").glob("[0-9]*"):
        try:
            argv = (process / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            mounts = (process / "mountinfo").read_text()
        except OSError:
            continue
        if any(mark in argv for mark in marks):
            yield f"process {process.name} {argv.strip()[:100]}"
        for line in mounts.splitlines():
            if any(path in line for path in mounted):
                yield f"mount in process {process.name}: {line}"
