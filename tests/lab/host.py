"""One host: a Debian with its own systemd, journal, address and disk, run by systemd-nspawn."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shlex
import signal
import socket
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import testinfra

from tests.lab import ssh
from tests.lab.cgroup import Cgroup
from tests.lab.command import LabError, Result, run
from tests.lab.image import Image, image
from tests.lab.network import Network
from tests.lab.places import CHECKOUT

NAME = re.compile(r"[a-z][a-z0-9]{0,9}")
_POWER_OFF = signal.SIGRTMIN + 4  # systemd(1): "starts the poweroff.target unit"


@dataclass(frozen=True)
class Traits:
    """What makes a host different from the plain one."""

    packages: tuple[str, ...] = ()  # more of Debian, in a layer of their own
    containers: bool = False  # docker or podman can run in it; slower to start, and less locked down
    binds: tuple[str, ...] = ()  # more of this machine, read-only: "/outside:/inside"


@dataclass
class Host:
    """Made and removed by a Lab. A method returns when what it says is so; all raise LabError otherwise."""

    name: str
    address: str
    network: Network
    home: Path  # below the lab's run directory: console, sockets, where the root is mounted
    disk: Path  # the upper layer: all that the host ever wrote
    images: Path  # what container engines keep: it shares files with the cache, and can be large
    cgroup: Cgroup
    traits: Traits = field(default_factory=Traits)
    dies_with_us: bool = True
    _image: Image | None = field(default=None, repr=False)
    _process: subprocess.Popen[bytes] | None = field(default=None, repr=False)
    _notify: socket.socket | None = field(default=None, repr=False)

    # -- life ---------------------------------------------------------------------------------------------------

    @property
    def running(self) -> bool:
        return self.cgroup.populated

    def start(self) -> None:
        """Switch it on, cable plugged in, and wait until its systemd says that it is up. About 0.5 s."""
        self.launch()
        self.wait_ready()

    def launch(self) -> None:
        """Switch it on and do not wait: for several hosts at once. From the main thread: the death signal is tied to
        the thread that starts it.
        """
        if self.running:
            raise LabError(f"host {self.name} is running already")
        # Once: the layers under a disk stay the same for as long as there is the disk.
        self._image = self._image or image(self.traits.packages)
        self._create_disk()
        self.cgroup.create()
        self.network.heal(self.name)
        notify = self.home / "notify"
        notify.unlink(missing_ok=True)
        self._notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._notify.bind(str(notify))
        with (self.home / "console").open("ab") as console:
            self._process = subprocess.Popen(
                self._argv(self._image),
                stdin=subprocess.DEVNULL,
                stdout=console,
                stderr=console,
                cwd="/",
                env=self._environment(notify),
                start_new_session=True,
            )

    def wait_ready(self, timeout: float = 60) -> None:
        """Wait for READY=1 from the host's systemd: everything it starts at boot has started."""
        assert self._notify is not None and self._process is not None, "launch it first"
        deadline = time.monotonic() + timeout
        self._notify.settimeout(0.2)
        try:
            while time.monotonic() < deadline:
                try:
                    if "READY=1" in self._notify.recv(4096).decode().split("\n"):
                        return
                except TimeoutError:
                    if self._process.poll() is not None:
                        break
            code = self._process.poll()
            state = "is not up" if code is None else f"ended with {code}"
            raise LabError(f"host {self.name} {state}; its console says:\n{self.console()[-3000:]}")
        finally:
            self._notify.close()

    def stop(self, timeout: float = 30) -> None:
        """Shut it down as an operator would; services get their time to stop."""
        init = self.cgroup.init_pid()
        if init is None:
            raise LabError(f"host {self.name} is not running")
        os.kill(init, _POWER_OFF)
        self.wait_down(timeout)

    def wait_down(self, timeout: float = 30) -> None:
        """Wait until it has gone by itself, after `poweroff` or `reboot` inside: a reboot too ends here, start it."""
        deadline = time.monotonic() + timeout
        while self.running:
            if time.monotonic() > deadline:
                raise LabError(f"host {self.name} still runs after {timeout:g} s:\n{self.console()[-2000:]}")
            time.sleep(0.01)
        self._gone()

    def kill(self) -> None:
        """kill -9 for everything in it at once, frozen or not. Peers are told: their connections are reset."""
        self.cgroup.kill()
        self._gone()

    def power_cut(self) -> None:
        """As if the plug were pulled: peers hear nothing any more. What was written stays, fsynced or not, because
        the machine below it keeps its page cache.
        """
        self.network.cut(self.name)
        self.kill()

    def restart(self) -> None:
        """Shut down and start again with the same disk."""
        self.stop()
        self.start()

    def freeze(self) -> None:
        """Stop every process in it where it is. The kernel goes on to accept connections."""
        self.cgroup.freeze(True)

    def thaw(self) -> None:
        self.cgroup.freeze(False)

    def cut(self) -> None:
        """Pull the network cable."""
        self.network.cut(self.name)

    def heal(self) -> None:
        """Plug the network cable in again."""
        self.network.heal(self.name)

    def cut_from(self, *peers: Host) -> None:
        """Lose ``peers`` and keep this machine; heal with ``heal_from``."""
        for peer in peers:
            self.inside(f"iptables -I INPUT -s {peer.address} -j DROP && iptables -I OUTPUT -d {peer.address} -j DROP")

    def heal_from(self, *peers: Host) -> None:
        for peer in peers:
            self.inside(f"iptables -D INPUT -s {peer.address} -j DROP && iptables -D OUTPUT -d {peer.address} -j DROP")

    # -- access -------------------------------------------------------------------------------------------------

    @property
    def ssh_config(self) -> Path:
        return self.home.parent / ssh.CONFIG

    def ssh_argv(self, *command: str, user: str = "ops") -> list[str]:
        """How a person would log in from this machine."""
        return ["ssh", "-F", str(self.ssh_config), f"{user}@{self.name}", *command]

    def run(
        self, command: str, *, user: str = "ops", check: bool = True, timeout: float = 180, stdin: str | None = None
    ) -> Result:
        """Run a shell command over ssh, without a terminal. 255 is ssh's own: the host cannot be reached."""
        argv = self.ssh_argv("--", command, user=user)
        if stdin is None:
            argv.insert(1, "-n")
        return run(argv, check=check, timeout=timeout, stdin=stdin)

    def inside(self, command: str, *, check: bool = True, timeout: float = 180) -> Result:
        """Run a shell command as root without the network: for a host that is cut off or has no sshd."""
        init = self.cgroup.init_pid()
        if init is None:
            raise LabError(f"host {self.name} is not running")
        enter = ["nsenter", "--target", str(init), "--mount", "--uts", "--ipc", "--net", "--pid", "--root", "--wd"]
        clean = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/root"}
        return run([*enter, "--", "/bin/sh", "-c", command], check=check, timeout=timeout, environment=clean)

    @cached_property
    def testinfra(self) -> Any:
        """The host as ``ops`` sees it: `.file(...)`, `.service(...)`, `.socket(...)`, see testinfra."""
        return testinfra.get_host(f"ssh://ops@{self.name}", ssh_config=str(self.ssh_config))

    @cached_property
    def testinfra_root(self) -> Any:
        """The same as root."""
        return testinfra.get_host(f"ssh://root@{self.name}", ssh_config=str(self.ssh_config))

    def status(self, *, user: str = "ops") -> dict[str, Any]:
        """`aiops status --json` of the instance that ``user`` has by default."""
        answer: dict[str, Any] = json.loads(self.run("aiops --json status", user=user).out)
        return answer

    def console(self) -> str:
        """What it printed while it booted."""
        return (self.home / "console").read_text(errors="replace")

    # -- how ----------------------------------------------------------------------------------------------------

    def _gone(self) -> None:
        ssh.close(self.home.parent, f"*@{self.name}")
        if self._process is not None:
            self._process.wait(timeout=10)

    def _create_disk(self) -> None:
        etc = self.disk / "upper/etc"
        for directory in (etc, self.disk / "work", self.home / "root"):
            directory.mkdir(parents=True, exist_ok=True)
        if not (etc / "hostname").exists():
            (etc / "hostname").write_text(f"{self.name}\n")
            # Its own, and the same after each boot: the journal is filed under it.
            (etc / "machine-id").write_text(hashlib.md5(str(self.disk).encode()).hexdigest() + "\n")

    def _environment(self, notify: Path) -> dict[str, str]:
        environment = {
            "PATH": os.environ.get("PATH", "/usr/sbin:/usr/bin:/sbin:/bin"),
            "NOTIFY_SOCKET": str(notify),
            "SYSTEMD_NSPAWN_UNIFIED_HIERARCHY": "1",
            "SYSTEMD_NSPAWN_LOCK": "0",
        }
        if self.traits.containers:
            # Not "1": the host could then write the sysctls of this machine.
            environment["SYSTEMD_NSPAWN_API_VFS_WRITABLE"] = "network"
        return environment

    def _argv(self, image: Image) -> list[str]:
        root = self.home / "root"
        overlay = f"lowerdir={image.lowerdir},upperdir={self.disk}/upper,workdir={self.disk}/work"
        prepare = (
            f"echo 0 >{shlex.quote(str(self.cgroup.path / 'cgroup.procs'))}; "
            f'mount -t overlay overlay -o {shlex.quote(overlay)} {shlex.quote(str(root))} && exec "$@"'
        )
        # unshare dies with us, what it forked dies with unshare, and a PID namespace dies with its first process.
        chain = ["setpriv", "--pdeathsig", "KILL"] if self.dies_with_us else []
        chain += ["unshare", "-m", "-p", "--fork", "--kill-child=KILL", "--mount-proc", "--propagation", "private"]
        chain += ["sh", "-c", prepare, "sh"]
        nspawn = ["systemd-nspawn", "-q", "--register=no", "--keep-unit", "--boot", "--console=pipe"]
        nspawn += ["--link-journal=no", "--resolv-conf=off", "--timezone=off", "--settings=no", "--notify-ready=yes"]
        nspawn += [f"--directory={root}", f"--machine={self.network.lab}-{self.name}", f"--hostname={self.name}"]
        nspawn += [f"--network-namespace-path=/run/netns/{self.network.namespace(self.name)}"]
        nspawn += ["--capability=CAP_NET_ADMIN"]
        shared = [f"{CHECKOUT}:/srv/aiops", f"{image.wheels}:/srv/wheels", f"{self.home.parent}/hosts:/etc/hosts"]
        shared += [f"{self.home.parent}/aiops.git:/srv/aiops.git"]
        nspawn += [f"--bind-ro={bind}" for bind in (*shared, *self.traits.binds)]
        if self.traits.containers:
            nspawn += ["--system-call-filter=@keyring bpf"]
            for storage in ("docker", "containers"):
                # An overlay cannot be the upper layer of the overlays a container engine makes.
                outside = self.images / storage
                outside.mkdir(parents=True, exist_ok=True)
                nspawn += [f"--bind={outside}:/var/lib/{storage}"]
        return [*chain, *nspawn]


def start_all(hosts: Sequence[Host]) -> None:
    """Switch on several hosts at once and wait for all of them."""
    for host in hosts:
        host.launch()
    for host in hosts:
        host.wait_ready()
