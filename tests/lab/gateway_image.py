"""The gateway's image in the lab. No registry of images can be reached from there, so the base is made of what is on
the host, Debian's Python. The rest is units/Containerfile itself, built by the host's engine, with the lab's package
mirror in the place of PyPI. It takes two minutes once; until uv.lock changes, later hosts begin with its packages.
"""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.lab.command import run
from tests.lab.host import Host
from tests.lab.image import image
from tests.lab.places import CACHE, CHECKOUT, locked
from tests.lab.progress import making

NAME = "aiops-gateway:latest"
ENGINES = {
    "docker": ("docker.io",),
    "podman": ("podman", "runc"),
}
# How podman runs inside of nspawn, which allows neither these limits nor crun's system calls.
_PODMAN = """
mkdir -p /etc/containers
cat >/etc/containers/containers.conf <<'END'
[containers]
default_ulimits = []
pids_limit = 0
[engine]
runtime = "runc"
END
"""
_STORAGE = {"docker": "docker", "podman": "containers"}  # of a host's disk, also seen from this machine
_LAYERS = ("overlay2", "overlay")  # in the storage of docker and of podman
_BASE = r"""
tar -C / --exclude=EXTERNALLY-MANAGED --exclude=__pycache__ -c \
    bin lib lib64 usr/bin/python3 usr/bin/python3.11 usr/bin/env usr/bin/sh usr/bin/dash usr/bin/sed usr/bin/head \
    usr/bin/rm usr/lib/python3 usr/lib/python3.11 usr/lib64 usr/lib/x86_64-linux-gnu usr/share/python-wheels etc/ssl \
    etc/passwd etc/group etc/nsswitch.conf --no-recursion tmp |
    ENGINE import --change 'ENV PATH=/usr/local/bin:/usr/bin:/bin' - lab-debian
cat >/tmp/pip <<'END'
#!/bin/sh
exec python3 "$(echo /usr/share/python-wheels/pip-*.whl)/pip" "$@"
END
chmod 755 /tmp/pip
printf 'FROM lab-debian\nCOPY pip /usr/bin/pip\n' >/tmp/Containerfile.base
mkdir -p /tmp/base && cp /tmp/pip /tmp/base/pip
ENGINE build --quiet -f /tmp/Containerfile.base -t lab-python /tmp/base
"""
_BUILD = """
python3 -m http.server --bind 127.0.0.1 --directory /srv/wheels 8099 >/dev/null 2>&1 &
trap "kill $!" EXIT
until python3 -c 'import socket; socket.create_connection(("127.0.0.1", 8099))' 2>/dev/null; do sleep 0.1; done
cd /srv/aiops
ENGINE build --network=host --build-arg BASE=lab-python --build-arg PIP_INDEX_URL=http://127.0.0.1:8099/simple \
    -f units/Containerfile -t NAME .
"""


def supply(host: Host, engine: str) -> None:
    """Make ``aiops-gateway:latest`` known to the host's engine. Raises LabError.

    It is always built, and what was built before is not built again: the engine's own storage is kept with the
    packages in it, so that a change of aiops costs copying it, and no change a second.
    """
    if engine == "podman":
        host.run(_PODMAN, user="root")
    kept = CACHE / f"images-{engine}-{_inputs(host)}"
    storage = host.images / _STORAGE[engine]
    with locked(CACHE / "gateway.lock"):
        known = kept.exists()
        if known:
            with _still(host, engine):
                _copy(kept, storage)
        with making(f"the gateway's image with {engine}{'' if known else ', packages and all'}"):
            script = (_BUILD if known else _BASE + _BUILD).replace("ENGINE", engine).replace("NAME", NAME)
            host.run(f"set -eu\n{script}", user="root", timeout=600)
        if not known:
            with _still(host, engine):
                _keep(storage, kept)


def derive(host: Host, engine: str, line: str, name: str = NAME) -> None:
    """Another image under the same name: the one there is with one more line."""
    host.run(f"printf 'FROM {NAME}\\n{line}\\n' | {engine} build --quiet -t {name} -", user="root", timeout=120)


def _keep(storage: Path, kept: Path) -> None:
    new = kept.with_suffix(".new")
    shutil.rmtree(new, ignore_errors=True)
    new.mkdir()
    _copy(storage, new)
    for old in CACHE.glob(f"{kept.name.rpartition('-')[0]}-*/"):
        if old != new:
            shutil.rmtree(old)  # a gigabyte each
    new.rename(kept)


def _copy(source: Path, target: Path) -> None:
    """Make ``target``, which is there, what ``source`` is. The files of layers are never written again: both have the
    same ones. The rest is small and changes.
    """
    for old in target.iterdir():
        shutil.rmtree(old) if old.is_dir() else old.unlink()
    for child in source.iterdir():
        shared = ["--link"] if child.name in _LAYERS else []
        run(["cp", "-a", *shared, str(child), str(target)], timeout=300)


@contextmanager
def _still(host: Host, engine: str) -> Iterator[None]:
    """While nobody writes to the engine's storage. Podman has no daemon that would."""
    if engine == "docker":
        host.run("systemctl stop docker.socket docker.service", user="root")
    yield
    if engine == "docker":
        host.run("systemctl start docker.socket docker.service", user="root")


def _inputs(host: Host) -> str:
    """A digest of everything that the packages of the image are made from, down to the host's Debian."""
    made_from = [_BASE + _BUILD, *(layer.name for layer in image(host.traits.packages).layers)]
    names = ("pyproject.toml", "uv.lock", "README.md", "scripts/uv-requirements.txt", "units/Containerfile")
    made_from += [(CHECKOUT / name).read_text() for name in (*names, ".dockerignore")]
    return hashlib.sha256("\0".join(made_from).encode()).hexdigest()[:12]
