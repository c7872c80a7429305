"""What an uninstall does to units and containers. Systemd and the engine are scripts that write down calls."""

from __future__ import annotations

from pathlib import Path

import pytest

from aiops.actions.removal import kept_running
from aiops.actions.removal.kept_running import gateway_units, provider_units
from aiops.errors import Precondition
from aiops.host import systemd
from aiops.host.instance import Instance, locate
from aiops.render.provider_units import sign
from aiops.supervise.systemd_unit import UNITS

SYSTEMCTL = """\
#!/bin/sh
shift
echo "$@" >>{here}/asked
case "$1" in
show) case "$2" in
  --property=Version) echo 252;;
  *) shift 2; active=$(cat {here}/active 2>/dev/null || echo inactive)
     for unit in "$@"; do echo "Id=$unit"; echo "ActiveState=$active"; echo; done;;
  esac;;
list-units) cat {here}/others 2>/dev/null;;
disable) [ ! -e {here}/refuses ] || {{ echo "job failed" >&2; exit 1; }};;
esac
"""
PODMAN = """\
#!/bin/sh
case "$1" in
ps) case "$*" in *aiops.instance={name}*) sed 's/|.*//' {here}/containers;; esac;;
container) cat {here}/containers;;
rm) echo "$@" >>{here}/asked
    grep -v "^$3|" {here}/containers >{here}/rest
    mv {here}/rest {here}/containers;;
esac
"""
VLLM = sign(b"[Service]\nExecStart=/usr/bin/vllm serve\n")


class Machine:
    def __init__(self, home: Path) -> None:
        self.home = home
        self.units = home / "xdg/systemd/user"
        self.units.mkdir(parents=True)

    def unit(self, name: str, content: bytes) -> Path:
        (self.units / name).write_bytes(content)
        return self.units / name

    @property
    def asked(self) -> list[str]:
        """What systemd was told to do."""
        lines = (self.home / "asked").read_text().splitlines() if (self.home / "asked").exists() else []
        return [line for line in lines if line.split()[0] not in ("show", "list-units", "list-unit-files")]


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/systemctl").write_text(SYSTEMCTL.format(here=tmp_path))
    (tmp_path / "bin/systemctl").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}/bin:/usr/bin:/bin")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "xdg"))
    monkeypatch.setattr(systemd, "scope", lambda: "user")
    return Machine(tmp_path)


@pytest.fixture
def instance(tmp_path: Path, machine: Machine) -> Instance:
    made = locate(tmp_path / "home")
    made.make_directories()
    (made.config / "aiops.yaml").write_text("gateway:\n  port: 4000\n")
    (made.config / "providers.yaml").write_text(
        "providers:\n"
        "  lab: {type: vllm, base_url: 'http://127.0.0.1:1', models: [m],"
        " service: {unit: vllm@lab.service, scope: user}}\n"
        "  own: {type: vllm, base_url: 'http://127.0.0.1:2', models: [n],"
        " service: {unit: mine.service, scope: user}}\n"
    )
    return made


def test_the_units_of_the_gateway_are_stopped_and_gone(machine: Machine, instance: Instance) -> None:
    paths = [machine.unit(name, f"# instance: {instance.state}\n".encode()) for name in UNITS]
    (machine.units / "litellm.service.d").mkdir()
    found = gateway_units(instance)
    assert found.lines == (f"- units {', '.join(UNITS)} in {machine.units}",)
    assert found.left[0] == f"{machine.units}/litellm.service.d: your own settings for that unit"
    found.things[0].remove()
    assert not any(path.exists() for path in paths)
    names = " ".join(UNITS)
    assert machine.asked == [f"disable --now {names}", "daemon-reload", f"reset-failed {names}"]
    assert gateway_units(instance).things == ()


def test_the_units_of_another_instance_are_none_of_ours(machine: Machine, instance: Instance) -> None:
    for name in UNITS:
        machine.unit(name, b"# instance: /somewhere/else/state\n")
    machine.unit("litellm-container.service", b"ExecStart=x --instance aiops-000000000000\n")
    assert gateway_units(instance).things == ()


def test_the_unit_of_a_container_is_told_by_the_name_of_the_instance(machine: Machine, instance: Instance) -> None:
    name = kept_running.containers_of(instance).name
    path = machine.unit("litellm-container.service", f"ExecStart=x --instance {name}\n".encode())
    gateway_units(instance).things[0].remove()
    assert not path.exists()


def test_a_unit_that_does_not_stop_is_said_and_stays(machine: Machine, instance: Instance) -> None:
    path = machine.unit("litellm.service", f"# instance: {instance.state}\n".encode())
    (machine.home / "refuses").touch()
    (machine.home / "active").write_text("active")
    with pytest.raises(Precondition, match=r"systemd did not stop litellm\.service: job failed"):
        gateway_units(instance).things[0].remove()
    assert path.exists()


def test_a_providers_unit_goes_with_its_template_and_its_variables_stay(machine: Machine, instance: Instance) -> None:
    template = machine.unit("vllm@.service", VLLM)
    variables = machine.home / "xdg/aiops/vllm-lab.env"
    variables.parent.mkdir(parents=True, exist_ok=True)
    variables.write_text("MODEL=m\n")
    mine = machine.unit("mine.service", b"[Service]\n")
    found = provider_units(instance, purge=False)
    assert found.lines == ("- unit vllm@lab.service, which runs lab",)
    assert found.left == (f"{variables}: what a provider's unit is told",)
    found.things[0].remove()
    assert not template.exists()
    assert variables.exists()
    assert mine.exists()
    assert machine.asked == ["disable --now vllm@lab.service", "daemon-reload", "reset-failed vllm@lab.service"]
    for thing in provider_units(instance, purge=True).things:
        thing.remove()
    assert not variables.exists()


def test_a_template_stays_as_long_as_another_unit_is_made_from_it(machine: Machine, instance: Instance) -> None:
    template = machine.unit("vllm@.service", VLLM)
    (machine.home / "others").write_text("vllm@lab.service loaded\nvllm@big.service loaded active running vLLM\n")
    provider_units(instance, purge=False).things[0].remove()
    assert template.exists()


def test_a_template_that_somebody_edited_stays_and_is_named(machine: Machine, instance: Instance) -> None:
    template = machine.unit("vllm@.service", VLLM + b"# mine\n")
    found = provider_units(instance, purge=True)
    assert found.things == ()
    assert found.left == (f"{template}: edited since aiops wrote it, or not by aiops",)


def test_containers_of_the_instance_go(machine: Machine, instance: Instance, monkeypatch: pytest.MonkeyPatch) -> None:
    (instance.config / "aiops.yaml").write_text("supervisor: container\ngateway:\n  port: 4000\n")
    name = kept_running.containers_of(instance).name
    podman = machine.home / "bin/podman"
    podman.write_text(PODMAN.format(here=machine.home, name=name))
    podman.chmod(0o755)
    (machine.home / "containers").write_text(f"{name}-1|exited|image-a|x\n{name}-2|running|image-a|y\n")
    monkeypatch.setenv("PATH", f"{machine.home}/bin:/usr/bin:/bin")
    found = kept_running.containers(instance)
    assert found.lines == (f"- container {name}-1", f"- container {name}-2")
    for thing in found.things:
        thing.remove()
    assert machine.asked == [f"rm --force {name}-1", f"rm --force {name}-2"]
    assert kept_running.containers(instance).things == ()


def test_without_an_engine_that_is_said_and_the_rest_goes(machine: Machine, instance: Instance) -> None:
    (instance.config / "aiops.yaml").write_text("supervisor: container\ngateway:\n  port: 4000\n")
    (left,) = kept_running.containers(instance).left
    assert left.startswith("containers of the gateway, if there are any: there is no docker and no podman")
