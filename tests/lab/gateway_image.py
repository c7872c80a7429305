"""The gateway's image in the lab. No registry of images can be reached from there, so the base is made of what is on
the host, Debian's Python. The rest is units/Containerfile itself, built by the host's engine, with the lab's package
mirror in the place of PyPI. It takes two minutes once; until its inputs change, later hosts load it.
"""

from __future__ import annotations

import hashlib
import shutil

from tests.lab.host import Host
from tests.lab.places import CACHE, CHECKOUT, locked

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
_BASE = r"""
tar -C / --exclude=EXTERNALLY-MANAGED --exclude=__pycache__ -c \
    bin lib lib64 usr/bin/python3 usr/bin/python3.11 usr/bin/env usr/bin/sh usr/bin/dash usr/bin/sed usr/bin/head \
    usr/bin/rm usr/lib/python3 usr/lib/python3.11 usr/lib64 usr/lib/x86_64-linux-gnu usr/share/python-wheels etc/ssl \
    etc/passwd etc/group etc/nsswitch.conf --no-recursion tmp |
    ENGINE import --change 'ENV PATH=/usr/local/bin:/usr/bin:/bin' - lab-debian
cat >/tmp/pip <<'END'
#!/bin/sh
exec python3 /usr/share/python-wheels/pip-*.whl/pip "$@"
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
    """Make ``aiops-gateway:latest`` known to the host's engine. Raises LabError."""
    if engine == "podman":
        host.run(_PODMAN, user="root")
    kept = CACHE / f"gateway-{_inputs()}" / "image.tar"
    shared = host.disk / _STORAGE[engine] / "image.tar"
    inside = f"/var/lib/{_STORAGE[engine]}/image.tar"
    with locked(CACHE / "gateway.lock"):
        if not kept.exists():
            script = (_BASE + _BUILD).replace("ENGINE", engine).replace("NAME", NAME)
            host.run(f"set -eu\n{script}", user="root", timeout=600)
            host.run(f"{engine} save --output {inside} {NAME}", user="root", timeout=300)
            kept.parent.mkdir(exist_ok=True)
            for old in CACHE.glob("gateway-*/"):
                if old != kept.parent:
                    shutil.rmtree(old)  # 0.9 GB each, and made anew whenever a line of aiops changes
            shared.rename(kept)
            return
        shared.hardlink_to(kept)
    host.run(f"{engine} load --quiet --input {inside} && rm {inside}", user="root", timeout=300)


def derive(host: Host, engine: str, line: str, name: str = NAME) -> None:
    """Another image under the same name: the one there is with one more line."""
    host.run(f"printf 'FROM {NAME}\\n{line}\\n' | {engine} build --quiet -t {name} -", user="root", timeout=120)


def _inputs() -> str:
    """A digest of everything that is in the image."""
    seen = hashlib.sha256((_BASE + _BUILD).encode())
    names = ["pyproject.toml", "uv.lock", "README.md", "scripts/uv-requirements.txt", ".dockerignore"]
    paths = [CHECKOUT / name for name in names]
    for folder in ("aiops", "config", "runbooks", "units"):
        paths += [path for path in (CHECKOUT / folder).rglob("*") if path.is_file() and path.suffix != ".pyc"]
    for path in sorted(paths):
        seen.update(f"{path.relative_to(CHECKOUT)}\0".encode() + path.read_bytes() + b"\0")
    return seen.hexdigest()[:12]
