"""The gateway's container: how it is created, and the unit that runs it."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePath

from aiops.render.units import quote

LABEL = "aiops.definition"  # the same in the other of render/container.py and host/supervise_container.py
# Without these files in it a candidate has no place for its temporary ones: the root is read-only.
TMPFS = "/tmp:rw,nosuid,nodev,size=256m,mode=1777"  # noqa: S108


@dataclass(frozen=True)
class ContainerFacts:
    """What it depends on. Paths are absolute, and the same inside: what the master and aiops tell each other are paths.

    ``supervised``: systemd runs it; otherwise the engine brings it back. ``stop_within``: seconds to finish requests.
    """

    engine: str
    image: str
    host: str
    port: int
    state: str
    run: str
    secrets: str
    uid: int
    gid: int
    supervised: bool
    rootless: bool = False
    stop_within: int = 90

    @property
    def name(self) -> str:
        """One per instance, told apart by where its state is."""
        return f"aiops-{hashlib.sha256(self.state.encode()).hexdigest()[:12]}"


def create(facts: ContainerFacts) -> list[str]:
    """The arguments of ``docker create`` or ``podman create``, with a label that stands for all the others."""
    argv = [
        f"--name={facts.name}",
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
        # Under systemd the unit says when it is started again, and crash loops surface there.
        "--restart=no" if facts.supervised else "--restart=unless-stopped",
        "--env=HOME=/tmp",
        *_mounts(facts),
    ]
    if facts.rootless and PurePath(facts.engine).name == "podman":
        argv.append("--userns=keep-id")
    command = ["python3", "-m", "aiops.gateway.keeper", "--host", facts.host, "--port", str(facts.port)]
    for option in ("state", "run", "secrets"):
        command += [f"--{option}", str(getattr(facts, option))]
    command += ["--stop-within", str(facts.stop_within)]
    return [f"--label={LABEL}={definition(argv, facts.image, command)}", *argv, facts.image, *command]


def definition(argv: Sequence[str], image: str, command: Sequence[str]) -> str:
    """A digest of how a container was made: another one means that it has to be made again."""
    return hashlib.sha256("\0".join([*argv, image, *command]).encode()).hexdigest()[:16]


def label_of(argv: Sequence[str]) -> str:
    """The definition in what ``create`` returned."""
    return argv[0].rpartition("=")[2]


def unit(facts: ContainerFacts, template: str, target: str) -> bytes:
    """The unit that runs it, from its template."""
    values = {
        "engine": facts.engine,
        "container": facts.name,
        "stop_within": str(facts.stop_within),
        "stop_timeout": str(facts.stop_within + 15),
        "target": target,
        "state": facts.state,
        "run": quote(facts.run),
    }
    for name, value in values.items():
        template = template.replace("{{" + name + "}}", value)
    return template.encode()


def _mounts(facts: ContainerFacts) -> list[str]:
    places = ((facts.state, ""), (facts.run, ""), (facts.secrets, ",readonly"))
    return [f"--mount=type=bind,source={path},target={path}{mode}" for path, mode in places]
