"""The gateway's containers: how one is created, and the unit that looks after them."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePath

from aiops.render.units import STOP_MARGIN_SECONDS, fill, join, quote

# The same in host/engines.py: whose container it is, which image it was made from, and how.
INSTANCE, IMAGE, DEFINITION = "aiops.instance", "aiops.image", "aiops.definition"
# Without these files in it a candidate has no place for its temporary ones: the root is read-only.
TMPFS = "/tmp:rw,nosuid,nodev,size=256m,mode=1777"  # noqa: S108


@dataclass(frozen=True)
class ContainerFacts:
    """What it depends on. Paths are absolute, and the same inside: what the master and aiops tell each other are paths.

    ``image`` is an id, ``runtime`` what the gateway calls it. ``supervised``: systemd runs it; otherwise the engine
    brings it back. ``stop_within``: seconds to finish requests. ``python``: of this installation, for the unit.
    """

    engine: str
    image: str
    runtime: str
    host: str
    port: int
    state: str
    run: str
    secrets: str
    uid: int
    gid: int
    supervised: bool
    scope: str = "user"
    python: str = "/usr/bin/python3"
    rootless: bool = False
    stop_within: int = 90

    @property
    def name(self) -> str:
        return name_of(self.state)


def name_of(state: str) -> str:
    """Of an instance, as its containers and their unit know it: told apart by where its state is."""
    return f"aiops-{hashlib.sha256(state.encode()).hexdigest()[:12]}"


def create(facts: ContainerFacts) -> list[str]:
    """The arguments of ``docker create`` or ``podman create`` but for the name; a label stands for all the others."""
    podman = PurePath(facts.engine).name == "podman"
    argv = [
        f"--label={INSTANCE}={facts.name}",
        f"--label={IMAGE}={facts.runtime}",
        # Clients, providers and the port are those of the host, as without a container.
        "--network=host",
        # And so are process numbers: those in `status`, of a port's owner and of a worker left behind mean the same
        # on both sides. Without capabilities it can signal nothing but processes of its own user.
        "--pid=host",
        f"--user={facts.uid}:{facts.gid}",
        "--read-only",
        f"--tmpfs={TMPFS}",
        "--cap-drop=ALL",
        "--security-opt=no-new-privileges",
        f"--stop-timeout={facts.stop_within}",
        f"--restart={_restart(facts.supervised, podman)}",
        "--env=HOME=/tmp",
        f"--env=AIOPS_IMAGE={facts.runtime}",  # aiops/gateway/shared/installed.py
        *_mounts(facts),
    ]
    if facts.rootless and podman:
        argv.append("--userns=keep-id")
    command = ["python3", "-m", "aiops.gateway.keeper", "--host", facts.host, "--port", str(facts.port)]
    for option in ("state", "run", "secrets"):
        command += [f"--{option}", str(getattr(facts, option))]
    command += ["--stop-within", str(facts.stop_within)]
    return [f"--label={DEFINITION}={definition(argv, facts.image, command)}", *argv, facts.image, *command]


def definition(argv: Sequence[str], image: str, command: Sequence[str]) -> str:
    """A digest of how a container was made: another one means that it has to be made again."""
    return hashlib.sha256("\0".join([*argv, image, *command]).encode()).hexdigest()[:16]


def label_of(argv: Sequence[str]) -> str:
    """The definition in what ``create`` returned."""
    return argv[0].rpartition("=")[2]


def unit(facts: ContainerFacts, template: str, target: str) -> bytes:
    """The unit that looks after them, from its template. It names no container: an upgrade does not change it."""
    module = [facts.python, "-m", "aiops.host.container_unit"]
    whose = ["--engine", facts.engine, "--instance", facts.name]
    stop = [*module, "stop", *whose, "--scope", facts.scope, "--run", facts.run, "--within", str(facts.stop_within)]
    values = {
        "engine": facts.engine,
        "start": join([*module, "run", *whose, "--state", facts.state]),
        "stop": join(stop),
        "stop_timeout": str(facts.stop_within + STOP_MARGIN_SECONDS),
        "target": target,
        "state": facts.state,
        "run": quote(facts.run),
    }
    return fill(template, facts.scope, values).encode()


def _restart(supervised: bool, podman: bool) -> str:
    """Who starts it again when it fails. Under systemd the unit does, and crash loops surface there.

    Podman has nobody who would start it at boot, and cannot change a policy later: one that has finished after
    another took over must not come back.
    """
    if supervised:
        return "no"
    return "on-failure" if podman else "unless-stopped"


def _mounts(facts: ContainerFacts) -> list[str]:
    places = ((facts.state, ""), (facts.run, ""), (facts.secrets, ",readonly"))
    return [f"--mount=type=bind,source={path},target={path}{mode}" for path, mode in places]
