"""The gateway in a container on a real host: the same loop, and the same guarantees."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from tests.lab.command import Result
from tests.lab.host import Host, Traits
from tests.lab.lab import Lab
from tests.load import BackgroundLoad, Mix, Target

PORT = 4000
DOUBLE = """
[Service]
Type=exec
ExecStart=/srv/venv/bin/python -m aiops.demo double --port 9001 --models one,two --tokens 6 --chunk-delay 0.02
[Install]
WantedBy=default.target
"""
# No registry can be reached from here, so the base cannot be pulled: Debian's Python and the locked environment take
# its place. What is in it and how it is run is the same; units/Containerfile itself is not built.
IMAGE = """
tar -C / --exclude=srv/venv/lib/python3.11/site-packages/xllamacpp \\
    -c bin lib lib64 usr/bin/python3 usr/bin/python3.11 usr/bin/env usr/lib/python3 usr/lib/python3.11 usr/lib64 \\
    usr/lib/x86_64-linux-gnu etc/ssl etc/passwd etc/group etc/nsswitch.conf srv/venv \\
    srv/aiops/aiops srv/aiops/config srv/aiops/units srv/aiops/pyproject.toml --no-recursion srv/aiops tmp |
docker import --change 'ENV PATH=/srv/venv/bin:/usr/bin:/bin LITELLM_LOCAL_MODEL_COST_MAP=True PYTHONUNBUFFERED=1' \\
    - aiops-gateway:latest
"""
MIX = Mix(pause=0.01, idle_seconds=0.7)


@dataclass(frozen=True)
class Gateway:
    host: Host
    key: str

    def aiops(self, *arguments: str) -> Result:
        return self.host.run(f"aiops --json --yes {' '.join(arguments)}", check=False, timeout=120)

    def must(self, *arguments: str) -> dict[str, Any]:
        done = self.aiops(*arguments)
        log = "" if done.ok else self.host.run("aiops logs -n 40", check=False).out
        assert done.ok, f"aiops {' '.join(arguments)}: exit {done.code}\n{done.out}{done.err}\n{log}"
        data: dict[str, Any] = json.loads(done.out)
        return data

    @property
    def target(self) -> Target:
        return Target(f"http://{self.host.address}:{PORT}", self.key, "one", 6)

    @property
    def container(self) -> str:
        return self.host.run("docker ps --no-trunc --filter label=aiops.definition --format '{{.Names}}'").out.strip()

    def inspect(self, what: str) -> str:
        return self.host.run(f"docker inspect --format '{{{{{what}}}}}' {self.container}").out.strip()

    def answers(self) -> bool:
        ask = f"curl -s -o /dev/null -w '%{{http_code}}' http://127.0.0.1:{PORT}/_health/ready"
        return self.host.run(ask, check=False).out == "200"


@pytest.fixture(scope="module")
def gateway(lab: Lab) -> Iterator[Gateway]:
    (host,) = lab.up("container", traits=Traits(packages=("docker.io",), containers=True))
    host.run("usermod -aG docker ops", user="root")
    host.run("systemctl start docker", user="root")
    host.run(IMAGE, user="root", timeout=300)
    host.restart()
    host.run("mkdir -p ~/.config/systemd/user && cat >~/.config/systemd/user/double.service", stdin=DOUBLE)
    host.run("systemctl --user daemon-reload && systemctl --user enable --now --quiet double")
    host.run(f"aiops --yes init --supervisor container --port {PORT}")
    host.run("sed -i 's/^  # host: .*/  host: 0.0.0.0/' ~/.config/aiops/aiops.yaml")
    host.run("aiops --yes up", timeout=180)
    gateway = Gateway(host, host.run("cat ~/.config/aiops/secrets/master_key").out.strip())
    add = "add-provider double --type openai_compatible --base-url http://127.0.0.1:9001"
    gateway.must(*add.split(), "--model", "one")
    yield gateway
    lab.remove(host)


def test_it_is_not_root_and_can_write_nowhere_but_its_own_places(gateway: Gateway) -> None:
    assert gateway.must("status")["supervisor"] == "container"
    assert gateway.inspect(".Config.User").startswith("1000:")
    assert gateway.inspect(".HostConfig.ReadonlyRootfs") == "true"
    assert gateway.inspect(".HostConfig.CapDrop") == "[ALL]"
    assert gateway.inspect(".HostConfig.SecurityOpt").startswith("[no-new-privileges")
    inside = f"docker exec {gateway.container} /usr/bin/env python3 -c"
    for place in ("/usr/x", "/home/ops/.config/aiops/secrets/x"):
        assert "Read-only file system" in gateway.host.run(f'{inside} \'open("{place}", "w")\'', check=False).err


def test_it_is_a_unit_and_a_second_up_changes_nothing(gateway: Gateway) -> None:
    assert gateway.host.run("systemctl --user is-active litellm-container").out == "active\n"
    container = gateway.inspect(".Id")
    assert gateway.must("up")["outcome"] == "unchanged"
    assert gateway.inspect(".Id") == container


def test_changes_and_restarts_under_load_lose_no_request_and_cut_no_stream(gateway: Gateway) -> None:
    with BackgroundLoad(gateway.target, MIX) as load:
        time.sleep(0.5)
        assert gateway.must("add-model", "double", "two")["outcome"] == "applied"
        assert gateway.must("restart")["outcome"] == "applied"
        assert gateway.must("remove-model", "double", "two", "--force")["outcome"] == "applied"
        time.sleep(0.5)
    assert (load.report.failed, load.report.truncated) == (0, 0), json.dumps(load.report.as_dict(), indent=1)
    assert load.report.requests > 100


def test_when_the_master_is_killed_the_workers_serve_on_and_a_new_one_takes_them_over(gateway: Gateway) -> None:
    container = gateway.inspect(".Id")
    before = gateway.must("status")["gateway"]["pid"]
    with BackgroundLoad(gateway.target, MIX) as load:
        gateway.host.run("pkill -KILL --full --oldest 'aiops.gateway --host'")
        deadline = time.monotonic() + 60
        while gateway.must("status")["gateway"]["pid"] in (None, before):
            assert time.monotonic() < deadline
    assert (load.report.failed, load.report.truncated) == (0, 0), json.dumps(load.report.as_dict(), indent=1)
    assert gateway.inspect(".Id") == container


def test_a_bad_candidate_changes_nothing(gateway: Gateway) -> None:
    add = "add-provider nobody --type openai_compatible --base-url http://127.0.0.1:9 --model none"
    assert gateway.aiops(*add.split()).code == 7
    assert gateway.answers()


def test_down_stops_it_and_up_brings_it_back_and_so_does_a_reboot(gateway: Gateway) -> None:
    assert gateway.must("down")["outcome"] == "applied"
    assert gateway.container == ""
    assert gateway.must("status")["gateway"]["state"] == "stopped"
    assert gateway.must("up")["outcome"] == "applied"
    gateway.host.restart()
    deadline = time.monotonic() + 90
    while not gateway.answers():
        assert time.monotonic() < deadline, gateway.host.run(
            "systemctl --user status litellm-container", check=False
        ).out
        time.sleep(0.2)


def test_an_upgrade_is_refused_because_the_image_is_the_runtime(gateway: Gateway) -> None:
    refused = gateway.aiops("upgrade")
    assert refused.code == 4
    assert "build a new image" in refused.out


def test_logs_are_those_of_the_container(gateway: Gateway) -> None:
    assert "master" in gateway.host.run("aiops logs -n 200").out


def test_without_an_engine_it_is_refused_with_what_to_type(host: Host) -> None:
    home = "/tmp/without-engine"
    host.run(f"aiops --home {home} --yes init --supervisor container --port 4123")
    refused = host.run(f"aiops --home {home} --yes up", check=False)
    assert refused.code == 4
    assert "there is no docker and no podman on this machine" in refused.err
    assert "apt install" in refused.err
