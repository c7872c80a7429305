"""What the lab needs of the machine it runs on."""

from __future__ import annotations

import os
import shutil

from tests.lab.command import LabError, run
from tests.lab.places import RUN, locked
from tests.lab.progress import making

_PROGRAMS = {
    "mmdebstrap": "mmdebstrap",
    "systemd-nspawn": "systemd-container",
    "ip": "iproute2",
    "ssh": "openssh-client",
    "git": "git",
    "setpriv": "util-linux",
    "unshare": "util-linux",
    "nsenter": "util-linux",
}


def prepare() -> None:
    """Install what is missing from Debian. Raises LabError when this cannot be a machine for a lab."""
    if os.geteuid() != 0:
        raise LabError("the lab needs root: it makes namespaces, mounts and cgroups")
    with locked(RUN / "prepare.lock"):
        missing = sorted({package for program, package in _PROGRAMS.items() if not shutil.which(program)})
        if not missing:
            return
        if not shutil.which("apt-get"):
            raise LabError(f"missing here: {', '.join(missing)} (Debian's names), and there is no apt-get")
        environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
        with making(f"the machine ready: {', '.join(missing)}"):
            run(["apt-get", "update", "-qq"], timeout=300, environment=environment)
            install = ["apt-get", "install", "-y", "-qq", "--no-install-recommends", "debian-archive-keyring"]
            run([*install, *missing], timeout=600, environment=environment)
