"""``aiops doctor``: everything that commonly goes wrong around a gateway, looked at without changing anything."""

from __future__ import annotations

import importlib.util
import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

from aiops.actions.doctor.finding import Finding
from aiops.actions.doctor.gateway_units import unit_findings
from aiops.actions.doctor.ports import port_findings
from aiops.actions.doctor.provider_units import provider_findings
from aiops.actions.instance.containers import containers_of
from aiops.actions.instance.snapshot import Snapshot
from aiops.actions.service.status import Situation, look
from aiops.apply.store import GenerationStore
from aiops.errors import AiopsError
from aiops.host import credentials, ports
from aiops.host.instance import Instance
from aiops.spec.shapes.model import DesiredState
from aiops.supervise.detached import ProcessSupervisor

LEAST_FREE_BYTES = 500 * 1024 * 1024


def diagnose(instance: Instance) -> list[Finding]:
    """Raises Precondition when there is no instance."""
    instance.require()
    return [*_environment(), *_disk(instance), *_modes(instance), *_files(instance), *_gateway(instance)]


def _environment() -> Iterator[Finding]:
    installed = importlib.util.find_spec("litellm") is not None
    yield Finding(
        installed, "LiteLLM is installed" if installed else "LiteLLM is not installed", "pip install 'aiops[gateway]'"
    )
    if installed:
        cached = _has_bytecode()
        yield Finding(
            cached,
            "LiteLLM's bytecode is compiled"
            if cached
            else "LiteLLM's bytecode is not compiled: it starts in twice the time",
            f"{sys.executable} -m compileall -q {_litellm_directory()}",
        )


def _litellm_directory() -> Path:
    spec = importlib.util.find_spec("litellm")
    assert spec is not None and spec.origin is not None
    return Path(spec.origin).parent


def _has_bytecode() -> bool:
    return any((_litellm_directory() / "proxy" / "__pycache__").glob("proxy_server.*.pyc"))


def _disk(instance: Instance) -> Iterator[Finding]:
    for name, directory in (("configuration", instance.config), ("state", instance.state)):
        free = shutil.disk_usage(directory).free
        enough = free > LEAST_FREE_BYTES
        yield Finding(
            enough, f"{free / 1e9:.1f} GB free for the {name} ({directory})", f"du -xh {directory} | sort -h | tail"
        )
        writable = os.access(directory, os.W_OK, effective_ids=True)
        yield Finding(writable, f"{directory} is {'' if writable else 'not '}writable", f"ls -ld {directory}; mount")


def _modes(instance: Instance) -> Iterator[Finding]:
    for path in (instance.secrets, instance.master_key, instance.env_file):
        if path.exists():
            closed = not path.stat().st_mode & 0o077
            yield Finding(closed, f"{path} is {'' if closed else 'not '}private", f"chmod go= {path}")
            mine = path.stat().st_uid == os.geteuid()
            if not mine:
                yield Finding(False, f"{path} belongs to user {path.stat().st_uid}", f"chown {os.geteuid()} {path}")


def _files(instance: Instance) -> Iterator[Finding]:
    try:
        state = Snapshot.of(instance).desired
    except AiopsError as error:
        yield Finding(False, error.message, error.hint or f"{instance.command} validate")
        return
    yield Finding(True, "the files are valid")
    yield _master_key(instance, state)
    yield from port_findings(state, instance.command)


def _master_key(instance: Instance, state: DesiredState) -> Finding:
    try:
        credentials.read_master_key(instance.key_file(state.settings.master_key_file))
    except AiopsError as error:
        return Finding(False, error.message, error.hint or f"{instance.command} validate")
    return Finding(True, "the master key is good")


def _gateway(instance: Instance) -> Iterator[Finding]:
    now = look(instance)
    well = now.gateway_state == "running"
    yield Finding(well, f"the gateway is {now.gateway_state}", f"{instance.command} up; {instance.command} logs")
    ready = now.routes.readiness
    for lack in ready.lacks:
        mend = "database check" if lack.check == "store" else "logs"
        yield Finding(False, f"{ready.status}: {lack}", f"{instance.command} {mend}")
    if ready.status == "ready":
        yield Finding(True, "the gateway is ready")
    for sentence in [*now.drift, *now.notes]:
        yield Finding(sentence in now.passing, sentence)
    yield from unit_findings(instance, now)
    yield from provider_findings(instance)
    if now.supervisor == "container":
        yield from _engine(instance)
    if now.desired_generation is None:
        return
    _, summary = GenerationStore(instance.state).get(now.desired_generation).routes()
    gateway, ours = summary.settings.gateway, set(ProcessSupervisor(instance).pids())
    if well and ours:
        return
    for key, port in (("port", gateway.port), ("admin_port", gateway.admin_port)):
        strangers = ports.owners(port, apart_from=ours) if port is not None else []
        if strangers and not (key == "port" and _is_held_for_us(now)):
            named = ", ".join(map(str, strangers))
            hint = f"stop it, or set another gateway.{key} in aiops.yaml"
            yield Finding(False, f"port {port} is taken by {named}", hint)


def _engine(instance: Instance) -> Iterator[Finding]:
    """Whether there is what runs containers, and what is to run in one."""
    containers = containers_of(instance)
    try:
        yield Finding(True, f"{containers.engine} answers")
        yield Finding(True, f"there is an image {containers.image_to_start().removeprefix('sha256:')[:12]}")
    except AiopsError as error:
        yield Finding(False, error.message, error.hint)


def _is_held_for_us(now: Situation) -> bool:
    """The gateway is stopped, and systemd keeps its port: the owner is the service manager."""
    return now.units is not None and now.units.socket.runs
