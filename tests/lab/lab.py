"""Several hosts on a network of their own, and the promise that nothing of them stays."""

from __future__ import annotations

import atexit
import json
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from tests.lab import network, ssh
from tests.lab.cgroup import Cgroup, unified_root
from tests.lab.command import LabError, run
from tests.lab.host import NAME, Host, Traits, start_all
from tests.lab.image import image
from tests.lab.network import Network
from tests.lab.places import CACHE, CHECKOUT, MEMORY, RUN, locked, memory_has_room, name_for, try_lock

_FIRST = 11  # the last number of the first host's address


@dataclass
class Lab:
    """A lab that belongs to this process and ends with it; or one that stays when ``detached``.

    Used as a context manager it is down at the end. When the process is killed, the kernel kills the hosts, and the
    next lab on this machine sweeps what is left of it.
    """

    name: str
    detached: bool = False

    def __post_init__(self) -> None:
        if not NAME.fullmatch(self.name):
            raise LabError(f"a lab's name is a letter and up to nine letters or digits, not `{self.name}`")
        self.hosts: dict[str, Host] = {}
        self._network: Network | None = None
        self._lock: int | None = None
        self._numbers: dict[str, int] = {}
        self._traits: dict[str, Traits] = {}
        self.in_memory = not self.detached and memory_has_room()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.down()

    @property
    def home(self) -> Path:
        return RUN / self.name

    @property
    def disks(self) -> Path:
        """Where its hosts write: in memory, unless they are to stay or there is little of it."""
        return (MEMORY if self.in_memory else CACHE / "disks") / self.name

    @property
    def machine_address(self) -> str:
        """This machine, as the hosts reach it."""
        assert self._network is not None, "the lab is not up"
        return self._network.gateway

    def up(self, *names: str, traits: Traits = Traits()) -> list[Host]:  # noqa: B008  frozen
        """Start the named hosts, all at once; those that run already are left alone.

        Returns them in the order asked for. Raises LabError, also when another process has a lab of this name.
        """
        for name in names:
            if not NAME.fullmatch(name) or name == network.SWITCH:
                raise LabError(f"a host's name is a letter and up to nine letters or digits, not `{name}`")
        if os.geteuid() != 0:
            raise LabError("the lab needs root: it makes namespaces, mounts and cgroups")
        made = image(traits.packages)
        if self._network is None:
            self._found()
        for name in names:
            if name not in self._numbers:
                self._numbers[name] = max(self._numbers.values(), default=_FIRST - 1) + 1
                self._traits[name] = traits
                self._save()
                assert self._network is not None
                self._network.plug(name, self._numbers[name])
                self.hosts[name] = self._host(name)
        ssh.write_config(self.home, made.keys, {host.name: host.address for host in self.hosts.values()})
        self._write_names()
        start_all([self.hosts[name] for name in names if not self.hosts[name].running])
        return [self.hosts[name] for name in names]

    def remove(self, host: Host) -> None:
        """Take one host away with its disk."""
        host.kill()
        host.cgroup.remove()
        host.network.unplug(host.name)
        shutil.rmtree(host.disk)
        shutil.rmtree(host.images, ignore_errors=True)
        shutil.rmtree(host.home)
        for record in (self.hosts, self._numbers, self._traits):
            del record[host.name]
        self._save()

    def down(self) -> None:
        """Kill the hosts and remove every trace but the cached layers. Nothing to do is fine."""
        for host in self.hosts.values():
            host.kill()
        if self._lock is not None:
            with locked(RUN / "lock"):
                if self._network is not None:
                    sweep(self.name)
                (RUN / f"{self.name}.lock").unlink(missing_ok=True)
                os.close(self._lock)
        self.__post_init__()

    # -- how ----------------------------------------------------------------------------------------------------

    def _found(self) -> None:
        """Sweep what crashed, take a free network and lay the first cable; or go on with a detached lab."""
        with locked(RUN / "lock"):
            sweep_dead()
            self._lock = try_lock(RUN / f"{self.name}.lock")
            if self._lock is None:
                raise LabError(f"another process is using the lab `{self.name}`")
            if (self.home / "lab.json").exists():
                self._attach()
                return
            taken = {json.loads(state.read_text())["octet"] for state in RUN.glob("*/lab.json")}
            self._network = Network(self.name, next(octet for octet in range(255) if octet not in taken))
            self.home.mkdir(mode=0o755)
            self._save()
            if not self.detached:
                atexit.register(self.down)
            # Under the lock: a lab that goes down meanwhile takes the directory of all labs with it when it is empty.
            Cgroup(cgroup_of(self.name)).create()
            self._network.up()
        (self.home / "hosts").touch()
        publish_checkout(self.home / "aiops.git")

    def _attach(self) -> None:
        state = json.loads((self.home / "lab.json").read_text())
        self.detached = state["detached"]
        self._network = Network(self.name, state["octet"])
        self._numbers = {name: host["number"] for name, host in state["hosts"].items()}
        for name, host in state["hosts"].items():
            self._traits[name] = Traits(tuple(host["packages"]), host["containers"], tuple(host["binds"]))
            self.hosts[name] = self._host(name)

    def _save(self) -> None:
        assert self._network is not None
        hosts: dict[str, Mapping[str, object]] = {
            name: {
                "number": number,
                "packages": self._traits[name].packages,
                "containers": self._traits[name].containers,
                "binds": self._traits[name].binds,
            }
            for name, number in self._numbers.items()
        }
        state = {"octet": self._network.octet, "detached": self.detached, "hosts": hosts}
        (self.home / "lab.json").write_text(json.dumps(state, indent=1))

    def _host(self, name: str) -> Host:
        assert self._network is not None
        home = self.home / name
        home.mkdir(exist_ok=True)
        return Host(
            name=name,
            address=self._network.address(self._numbers[name]),
            network=self._network,
            home=home,
            disk=self.disks / name,
            images=CACHE / "disks" / self.name / f"{name}-images",
            cgroup=Cgroup(cgroup_of(self.name) / name),
            traits=self._traits[name],
            dies_with_us=not self.detached,
        )

    def _write_names(self) -> None:
        assert self._network is not None
        lines = ["127.0.0.1 localhost", "::1 localhost", f"{self._network.gateway} machine"]
        lines += [f"{host.address} {host.name}" for host in self.hosts.values()]
        # In place: the running hosts have this very file mounted.
        (self.home / "hosts").write_text("\n".join(lines) + "\n")


def attach(name: str | None = None) -> Lab:
    """The detached lab that `scripts/lab up` left running. Raises LabError when there is none."""
    lab = Lab(name or playground(), detached=True)
    if not (lab.home / "lab.json").exists():
        raise LabError("there is no lab; scripts/lab up makes one")
    lab._attach()
    return lab


def playground() -> str:
    """The name of the lab of `scripts/lab`."""
    return os.environ.get("AIOPS_LAB_NAME") or name_for("p")


def cgroup_of(lab: str) -> Path:
    return unified_root() / "aiops-lab" / lab


def sweep(lab: str) -> None:
    """Remove all that a lab of this name has on the machine, whoever made it. The caller knows that nobody needs it."""
    home = RUN / lab
    ssh.close(home)
    Cgroup(cgroup_of(lab)).remove()
    network.remove(lab)
    for propagate in Path("/run/systemd/nspawn/propagate").glob(f"{lab}-*"):
        propagate.rmdir()
    for disks in (MEMORY, CACHE / "disks"):
        shutil.rmtree(disks / lab, ignore_errors=True)
    shutil.rmtree(home, ignore_errors=True)
    if (parent := cgroup_of(lab).parent).is_dir() and not any(child.is_dir() for child in parent.iterdir()):
        parent.rmdir()


def sweep_dead() -> None:
    """Sweep every lab whose process is gone, and spare the detached ones. Call it with the machine's lock held."""
    for home in RUN.iterdir():
        if not home.is_dir():
            continue
        try:
            if json.loads((home / "lab.json").read_text())["detached"]:
                continue
        except (OSError, ValueError, KeyError):
            pass  # it died before it could write that down
        lock = try_lock(RUN / f"{home.name}.lock")
        if lock is not None:
            sweep(home.name)
            (RUN / f"{home.name}.lock").unlink(missing_ok=True)
            os.close(lock)


def publish_checkout(repository: Path) -> None:
    """Make a bare repository with one commit, the working tree as it is now: what the hosts can `git clone`."""
    git = ["git", f"--git-dir={repository}", "-c", "user.name=lab", "-c", "user.email=lab@localhost"]
    git += ["-c", "commit.gpgsign=false"]
    run(["git", "init", "--quiet", "--bare", "--initial-branch=main", str(repository)])
    run([*git, f"--work-tree={CHECKOUT}", "add", "--all", str(CHECKOUT)])
    run([*git, f"--work-tree={CHECKOUT}", "commit", "--quiet", "--no-verify", "--message", "The working tree"])
