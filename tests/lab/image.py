"""The disk of a host: read-only layers, each made once and kept under the hash of how it is made.

``base`` is Debian 12; ``config`` is what makes it a host of the lab; ``packages`` is optional Debian software;
``venv`` is the locked environment, made by the host's own interpreter at the path it has on the host.
"""

from __future__ import annotations

import hashlib
import os
import shlex
import shutil
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from tests.lab.command import run
from tests.lab.places import CACHE, CHECKOUT, locked
from tests.lab.progress import making
from tests.lab.wheels import wheelhouse

MIRROR = os.environ.get("AIOPS_LAB_MIRROR", "http://deb.debian.org/debian")
SECURITY = os.environ.get("AIOPS_LAB_SECURITY_MIRROR", "http://deb.debian.org/debian-security")
# What a small Debian server has, with git and curl, which the installation page starts with.
PACKAGES = (
    *("systemd", "systemd-sysv", "dbus", "dbus-user-session", "libpam-systemd", "openssh-server", "sudo"),
    *("python3", "python3-venv", "git", "curl", "ca-certificates", "procps", "less", "acl"),
    *("iproute2", "iptables", "iputils-ping"),
    "libgomp1",  # the one shared library that llama.cpp, and so the demo, wants and a minimal Debian lacks
)

_CLEAN = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/root", "LANG": "C.UTF-8"}
_KEPT = 14 * 24 * 3600.0  # seconds
_MASKED = (
    "getty@.service console-getty.service container-getty@.service systemd-networkd.service systemd-resolved.service "
    "systemd-timesyncd.service systemd-udevd.service systemd-firstboot.service systemd-pstore.service apt-daily.timer "
    "apt-daily-upgrade.timer e2scrub_all.timer e2scrub_reap.service fstrim.timer dpkg-db-backup.timer"
)
_CONFIG = f"""
useradd --create-home --shell /bin/bash --uid 1000 ops
mkdir -p /var/lib/systemd/linger /var/log/journal
touch /var/lib/systemd/linger/ops
for home in /root /home/ops; do
    mkdir -m 700 -p $home/.ssh
    cp /srv/keys/ops.pub $home/.ssh/authorized_keys
done
chown -R ops:ops /home/ops/.ssh
rm -f /etc/ssh/ssh_host_*
cp /srv/keys/host /etc/ssh/ssh_host_ed25519_key
cp /srv/keys/host.pub /etc/ssh/ssh_host_ed25519_key.pub
chmod 600 /etc/ssh/ssh_host_ed25519_key
cat >/etc/ssh/sshd_config.d/lab.conf <<END
HostKey /etc/ssh/ssh_host_ed25519_key
PasswordAuthentication no
PermitRootLogin prohibit-password
UseDNS no
MaxStartups 100
MaxSessions 100
END
systemctl mask --quiet {_MASKED}
# As in a company with a mirror of its own: pip and uv find every locked package there, and nothing else.
printf '[global]\\nindex-url = file:///srv/wheels/simple\\ndisable-pip-version-check = true\\n' >/etc/pip.conf
printf '%s\\n' LANG=C.UTF-8 PIP_INDEX_URL=file:///srv/wheels/simple UV_DEFAULT_INDEX=file:///srv/wheels/simple \\
    >/etc/environment
git config --system --add safe.directory '*'
ln -s /srv/venv/bin/aiops /usr/local/bin/aiops
rm -f /etc/resolv.conf /etc/hostname
"""
_VENV = """
python3 -m venv /srv/venv
python3 -m venv /tmp/tools
/tmp/tools/bin/pip install --quiet --no-index --find-links /srv/wheels uv
pip="/tmp/tools/bin/uv pip install --quiet --python /srv/venv/bin/python --no-cache --offline --no-index \
    --find-links /srv/wheels --link-mode copy --compile-bytecode"
$pip --require-hashes --requirement /srv/wheels/run.txt
$pip --no-deps --editable /srv/aiops
rm -rf /tmp/tools
"""
_PACKAGES = """
printf '#!/bin/sh\\nexit 101\\n' >/usr/sbin/policy-rc.d
chmod 755 /usr/sbin/policy-rc.d
export DEBIAN_FRONTEND=noninteractive
apt-get update -qq
apt-get install -y -qq -o DPkg::Options::=--force-unsafe-io --no-install-recommends {names}
apt-get clean
rm -rf /var/lib/apt/lists/* /usr/sbin/policy-rc.d
"""


@dataclass(frozen=True)
class Image:
    """``layers`` from the lowest up, ready to be the lower directories of an overlay."""

    layers: tuple[Path, ...]
    wheels: Path
    keys: Path

    @property
    def lowerdir(self) -> str:
        """The mount option: overlayfs wants the topmost first."""
        return ":".join(str(layer) for layer in reversed(self.layers))


def image(packages: Sequence[str] = ()) -> Image:
    """The image with extra Debian ``packages``; what is missing is made, by one process at a time. Raises LabError.

    The first time takes about two minutes, a later time milliseconds.
    """
    CACHE.mkdir(parents=True, exist_ok=True)
    with ThreadPoolExecutor(1) as beside, locked(CACHE / "image.lock"):
        # Downloads wait for the network, Debian is unpacked meanwhile.
        mirror = beside.submit(wheelhouse)
        keys = _keys()
        base = _base()
        public = "".join((keys / f"{name}.pub").read_text() for name in ("ops", "host"))
        config = _layer("config", (base,), _CONFIG, public, {"/srv/keys": keys})
        below: tuple[Path, ...] = (base, config)
        if packages:
            script = _PACKAGES.format(names=shlex.join(sorted(packages)))
            below = (*below, _layer("packages", below, script, "", {"/etc/resolv.conf": Path("/etc/resolv.conf")}))
        wheels = mirror.result()
        # On the base alone: a set of packages more or less does not cost another environment.
        binds = {"/srv/wheels": wheels, "/srv/aiops": CHECKOUT}
        # The editable install records the checkout's path on the host and its entry points, nothing else of it.
        made_from = wheels.name + (CHECKOUT / "pyproject.toml").read_text()
        venv = _layer("venv", (base,), _VENV, made_from, binds)
        _prune({wheels, *below, venv})
    return Image((*below, venv), wheels, keys)


def compile_checkout(made: Image) -> None:
    """Write the bytecode of this checkout for the hosts' Python. They have it read-only, and would compile it anew for
    each command. What is there already is left alone.
    """
    base = made.layers[0]
    steps = f"mount --bind {shlex.quote(str(CHECKOUT))} {base}/srv && "
    steps += f"exec chroot {base} python3 -m compileall -q -s /srv -p /srv/aiops /srv/aiops"
    run(["unshare", "--mount", "--propagation", "private", "sh", "-euc", steps], environment=_CLEAN)


def _base() -> Path:
    recipe = shlex.join([*PACKAGES, MIRROR, SECURITY])
    made = CACHE / f"base-{_hash(recipe)}"
    if not made.exists():
        new = made.with_suffix(".new")
        shutil.rmtree(new, ignore_errors=True)
        proxy = run(["apt-config", "shell", "http", "Acquire::http::Proxy"]).out.partition("=")[2].strip().strip("'")
        options = [f'--aptopt=Acquire::http::Proxy "{proxy}"'] if proxy else []
        sources = [
            f"deb {MIRROR} bookworm main",
            f"deb {MIRROR} bookworm-updates main",
            f"deb {SECURITY} bookworm-security main",
        ]
        # What is half made when the machine stops is made again: nothing has to be on the disk at once.
        include = f"--include={','.join(PACKAGES)}"
        options.append("--dpkgopt=force-unsafe-io")
        argv = ["mmdebstrap", "--quiet", "--variant=minbase", "--mode=root", include, *options, "bookworm", str(new)]
        with making("Debian 12"):
            run([*argv, *sources], timeout=1800)
        (new / "etc/machine-id").write_text("")
        new.rename(made)
    return made


def _layer(name: str, below: tuple[Path, ...], script: str, made_from: str, binds: Mapping[str, Path]) -> Path:
    """Run ``script`` in a chroot over ``below``, with ``binds`` mounted read-only; what it changed is the layer."""
    parents = "".join(parent.name for parent in below)
    made = CACHE / f"{name}-{_hash(script + made_from + parents)}"
    if made.exists():
        return made
    work = made.with_suffix(".work")
    shutil.rmtree(work, ignore_errors=True)
    for part in ("upper", "work", "root"):
        (work / part).mkdir(parents=True)
    lower = ":".join(str(layer) for layer in reversed(below))
    root = work / "root"
    steps = [
        f"mount -t overlay overlay -o lowerdir={lower},upperdir={work}/upper,workdir={work}/work {root}",
        f"mount -t proc proc {root}/proc",
    ]
    for inside, outside in binds.items():
        place = f"{root}{inside}"
        steps += [f"[ -e {place} ] || {'mkdir -p' if outside.is_dir() else 'touch'} {place}"]
        steps += [f"mount --bind -o ro {shlex.quote(str(outside))} {place}"]
    steps += [f"exec chroot {root} /bin/sh -euc {shlex.quote('umask 022' + script)}"]
    mounts_of_its_own = ["unshare", "--mount", "--propagation", "private"]
    try:
        with making(f"the layer {name}"):
            run([*mounts_of_its_own, "sh", "-euc", "\n".join(steps)], timeout=1800, environment=_CLEAN)
        for inside in binds:
            if (place := work / "upper" / inside.lstrip("/")).is_file():
                place.unlink()  # only there to mount on
        (work / "upper").rename(made)
    finally:
        shutil.rmtree(work)
    return made


def _prune(used: set[Path]) -> None:
    """Remember that ``used`` are, and remove layers and wheels that no checkout asked for in two weeks."""
    for path in used:
        os.utime(path)
    for kind in ("base", "config", "packages", "venv", "wheels"):
        for path in CACHE.glob(f"{kind}-*"):
            if path not in used and time.time() - path.stat().st_mtime > _KEPT:
                shutil.rmtree(path)


def _keys() -> Path:
    """The key of whoever runs the lab (``ops``) and the one all hosts have (``host``): made once, readable by root."""
    made = CACHE / "keys"
    if not made.exists():
        new = made.with_suffix(".new")
        shutil.rmtree(new, ignore_errors=True)
        new.mkdir(mode=0o700)
        for name in ("ops", "host"):
            run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", f"lab-{name}", "-f", str(new / name)])
        new.rename(made)
    return made


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:12]
