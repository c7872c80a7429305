"""The gateway in a container on a real host: the same loop, and the same guarantees, under Docker and under Podman.

Docker is used by an ordinary user with units of that user, Podman by root with units of the machine.
"""

from __future__ import annotations

import json
import os
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from tests.lab import gateway_image
from tests.lab.command import Result
from tests.lab.gateway import until
from tests.lab.host import Host, Traits
from tests.lab.lab import Lab
from tests.load import BackgroundLoad, LoadReport, Mix, Target

PORT = 4000
UNIT = "litellm-container"
DOUBLE = """
[Service]
Type=exec
User=ops
ExecStart=/srv/venv/bin/python -m aiops.demo double --port 9001 --models one,two --tokens 6 --chunk-delay 0.02
[Install]
WantedBy=multi-user.target
"""
PROVIDERS = """providers:
  double:
    type: openai_compatible
    base_url: http://127.0.0.1:9001
    models: [one]
"""
# Podman takes as long again, and is asked for: AIOPS_LAB_ENGINES=docker,podman.
ASKED = os.environ.get("AIOPS_LAB_ENGINES", "docker").split(",")
# Made before the first test.
PACKAGES = [gateway_image.ENGINES[engine] for engine in ASKED]
MIX = Mix(pause=0.01, idle_seconds=0.7)
_PACKAGES = "/opt/aiops/lib/python3.11/site-packages"
_WITHOUT = "USER 0:0\\nRUN rm -r {}\\nUSER 65532:65532"
BROKEN = {
    "its master does not start": (
        _WITHOUT.format(f"{_PACKAGES}/litellm/proxy/proxy_server.py"),
        "does not start in a container of this image",
    ),
    "its workers do not": (_WITHOUT.format(f"{_PACKAGES}/httptools"), "No module named 'httptools'"),
}


@dataclass(frozen=True)
class Gateway:
    """``home`` is None for the user's own instance; ``user`` is who operates it."""

    host: Host
    engine: str
    user: str = "ops"
    home: str | None = None
    port: int = PORT
    prefix: str = ""

    def run(self, command: str, check: bool = True, timeout: float = 300) -> Result:
        return self.host.run(command, user=self.user, check=check, timeout=timeout)

    def aiops(self, *arguments: str) -> Result:
        home = f"--home {self.home} " if self.home else ""
        return self.run(f"{self.prefix}aiops {home}--json --yes {shlex.join(arguments)}", check=False)

    def must(self, *arguments: str) -> dict[str, Any]:
        done = self.aiops(*arguments)
        log = "" if done.ok else self.aiops("logs", "-n", "40").out
        assert done.ok, f"aiops {' '.join(arguments)}: exit {done.code}\n{done.out}{done.err}\n{log}"
        data: dict[str, Any] = json.loads(done.out)
        return data

    def refused(self, *arguments: str) -> tuple[int, str, str]:
        """Exit code, message and hint of a verb that has to fail."""
        done = self.aiops(*arguments)
        error = json.loads(done.out)["error"]
        return done.code, error["message"], error["hint"]

    def init(self) -> None:
        """An instance that listens on every address, up, with one provider `double` that serves `one`."""
        as_owner = "runuser -u ops -- " if self.user == "root" else ""
        home = f"--home {self.home} " if self.home else ""
        config = f"{self.home}/config" if self.home else "~/.config/aiops"
        self.run(f"{as_owner or self.prefix}aiops {home}--yes init --supervisor container --port {self.port}")
        self.run(f"sed -i 's/^  # host: .*/  host: 0.0.0.0/' {config}/aiops.yaml")
        self.run(f"cat >{config}/providers.yaml <<'END'\n{PROVIDERS}END")
        self.must("up")

    @property
    def status(self) -> dict[str, Any]:
        return self.must("status")

    @property
    def target(self) -> Target:
        where = f"{self.home}/secrets" if self.home else "~/.config/aiops/secrets"
        key = self.run(f"cat {where}/master_key").out.strip()
        return Target(f"http://{self.host.address}:{self.port}", key, "one", 6)

    @property
    def image(self) -> str:
        """What the gateway says it runs in."""
        runtime: str = self.status["gateway"]["runtime"]
        return runtime

    @property
    def container(self) -> str:
        """The one that runs; several while one still finishes streams."""
        return self.run(
            f"{self.engine} ps --no-trunc --filter label=aiops.instance --format '{{{{.Names}}}}'"
        ).out.strip()

    def inspect(self, what: str) -> str:
        return self.run(f"{self.engine} container inspect --format '{{{{{what}}}}}' {self.container}").out.strip()

    def answers(self) -> bool:
        ask = f"curl -s -o /dev/null -w '%{{http_code}}' http://127.0.0.1:{self.port}/_health/ready"
        return self.host.run(ask, check=False).out == "200"

    def systemctl(self, *arguments: str) -> Result:
        scope = "" if self.user == "root" else "--user "
        return self.run(f"systemctl {scope}{shlex.join(arguments)}", check=False)


@pytest.fixture(scope="module", params=ASKED)
def gateway(request: pytest.FixtureRequest, lab: Lab) -> Iterator[Gateway]:
    engine: str = request.param
    (host,) = lab.up(f"c{engine}", traits=Traits(packages=gateway_image.ENGINES[engine], containers=True))
    if engine == "docker":
        # Before the first login, which would not have the group yet; nor has the user's systemd.
        host.run("usermod -aG docker ops && systemctl restart user@1000", user="root")
    gateway_image.supply(host, engine)
    host.run("cat >/etc/systemd/system/double.service", user="root", stdin=DOUBLE)
    host.run("systemctl daemon-reload && systemctl enable --now --quiet double", user="root")
    if engine == "docker":
        made = Gateway(host, engine)
    else:
        host.run("install --directory --owner ops --group ops /srv/gateway", user="root")
        made = Gateway(host, engine, user="root", home="/srv/gateway")
    made.init()
    yield made
    lab.remove(host)


def answered(load: BackgroundLoad, more: int) -> None:
    """Wait until that many more have been asked."""
    at = load.report.requests
    until(lambda: load.report.requests >= at + more or not load.alive, 60, f"{more} more requests")


def nothing_lost(report: LoadReport) -> None:
    assert (report.failed, report.truncated) == (0, 0), json.dumps(report.as_dict(), indent=1)
    assert report.requests > 100


def test_it_is_not_root_and_can_write_nowhere_but_its_own_places(gateway: Gateway) -> None:
    assert gateway.status["supervisor"] == "container"
    assert gateway.inspect(".Config.User").startswith("1000:")
    assert gateway.inspect(".HostConfig.ReadonlyRootfs") == "true"
    inside = f"{gateway.engine} exec {gateway.container} python3 -c"
    secrets = "/srv/gateway/secrets" if gateway.home else "/home/ops/.config/aiops/secrets"
    for place in ("/usr/x", f"{secrets}/x"):
        assert "Read-only file system" in gateway.run(f'{inside} \'open("{place}", "w")\'', check=False).err
    held = gateway.run(f"{inside} 'print(open(\"/proc/self/status\").read())'").out
    assert "CapEff:\t0000000000000000" in held
    assert "NoNewPrivs:\t1" in held


@pytest.mark.shows("aiops.yaml: container.image")
def test_it_is_a_unit_and_a_second_up_changes_nothing(gateway: Gateway) -> None:
    assert gateway.systemctl("is-active", UNIT).out == "active\n"
    container = gateway.inspect(".Id")
    assert gateway.must("up")["outcome"] == "unchanged"
    assert gateway.inspect(".Id") == container


def test_changes_and_restarts_under_load_lose_no_request_and_cut_no_stream(gateway: Gateway) -> None:
    container = gateway.inspect(".Id")
    with BackgroundLoad(gateway.target, MIX) as load:
        answered(load, 60)
        assert gateway.must("add-model", "double", "two")["outcome"] == "applied"
        assert gateway.must("restart")["outcome"] == "applied"
        before = gateway.status["gateway"]["pid"]
        assert gateway.systemctl("restart", UNIT).ok
        until(lambda: gateway.status["gateway"]["pid"] not in (None, before), 180, "another master")
        assert gateway.must("remove-model", "double", "two", "--force")["outcome"] == "applied"
        answered(load, 60)
    nothing_lost(load.report)
    assert gateway.inspect(".Id") == container
    assert gateway.systemctl("is-active", UNIT).out == "active\n"


def test_a_new_image_goes_live_and_back_without_losing_a_request(gateway: Gateway) -> None:
    before, first = gateway.status["generation"], gateway.image
    gateway_image.derive(gateway.host, gateway.engine, "LABEL lab.image=second")
    with BackgroundLoad(gateway.target, MIX) as load:
        answered(load, 60)
        done = gateway.must("upgrade", "--reason", "a test")
        assert done["outcome"] == "applied"
        second = gateway.image
        assert gateway.must("rollback", str(before), "--reason", "a test")["outcome"] == "applied"
        third = gateway.image
        answered(load, 60)
    nothing_lost(load.report)
    assert second != first
    assert third == first
    assert {str(before), str(done["generation"]), str(done["generation"] + 1)} == set(load.report.generations)
    # One container is left, and the unit looks after that one.
    until(lambda: len(gateway.container.split()) == 1, 60, "one container")
    assert gateway.inspect(".State.Status") == "running"
    assert gateway.systemctl("is-active", UNIT).out == "active\n"
    assert gateway.inspect(".State.Pid") != "0"
    assert gateway.must("upgrade")["outcome"] == "applied"
    assert gateway.image == second
    assert gateway.must("upgrade")["outcome"] == "unchanged"


@pytest.mark.parametrize(("line", "reason"), BROKEN.values(), ids=list(BROKEN))
def test_a_bad_image_leaves_the_old_one_serving(gateway: Gateway, line: str, reason: str) -> None:
    before, image, container = gateway.status["generation"], gateway.image, gateway.container
    gateway.run(f"{gateway.engine} tag {image.removeprefix('image-')} {gateway_image.NAME}")
    gateway_image.derive(gateway.host, gateway.engine, line)
    with BackgroundLoad(gateway.target, MIX) as load:
        answered(load, 60)
        code, message, _ = gateway.refused("upgrade")
        answered(load, 60)
    nothing_lost(load.report)
    assert (code, reason in message) == (7, True), message
    assert (gateway.status["generation"], gateway.image, gateway.container) == (before, image, container)


def test_an_image_names_its_litellm_itself(gateway: Gateway) -> None:
    code, message, hint = gateway.refused("upgrade", "1.106.1")
    assert code == 2
    assert "whose image says which LiteLLM it is" in message
    assert "build an image with LiteLLM 1.106.1" in hint


def test_when_the_master_is_killed_the_workers_serve_on_and_a_new_one_takes_them_over(gateway: Gateway) -> None:
    container = gateway.inspect(".Id")
    before = gateway.status["gateway"]["pid"]
    with BackgroundLoad(gateway.target, MIX) as load:
        answered(load, 60)
        gateway.run(f"kill -KILL {before}")
        until(lambda: gateway.status["gateway"]["pid"] not in (None, before), 180, "another master")
        answered(load, 60)
    nothing_lost(load.report)
    assert gateway.inspect(".Id") == container


def test_a_bad_candidate_changes_nothing(gateway: Gateway) -> None:
    where = ["--type", "openai_compatible", "--base-url", "http://127.0.0.1:9"]
    assert gateway.aiops("add-provider", "nobody", *where, "--model", "none").code == 7
    assert gateway.answers()


def test_a_key_file_that_the_container_cannot_see_is_refused_with_what_to_type(gateway: Gateway) -> None:
    gateway.host.run("install -m 600 -o ops -g ops /etc/hostname /tmp/provider.key", user="root")
    where = ["--type", "openai_compatible", "--base-url", "http://127.0.0.1:9002", "--model", "three"]
    code, message, _ = gateway.refused("add-provider", "keyed", *where, "--api-key-file", "/tmp/provider.key")
    assert code == 3
    assert "`keyed.api_key_file` is outside" in message
    assert "install -m 600 /tmp/provider.key" in message


def test_logs_are_those_of_the_container(gateway: Gateway) -> None:
    home = f"--home {gateway.home} " if gateway.home else ""
    assert "master" in gateway.run(f"aiops {home}logs -n 200").out


def test_down_stops_it_and_up_brings_it_back_and_so_does_a_reboot(gateway: Gateway) -> None:
    image = gateway.image
    assert gateway.must("down")["outcome"] == "applied"
    assert gateway.container == ""
    assert gateway.status["gateway"]["state"] == "stopped"
    assert gateway.must("up")["outcome"] == "applied"
    gateway.host.restart()
    until(gateway.answers, 90, "an answer after a reboot")
    assert gateway.image == image, "the name stands for a broken image by now"


def test_where_no_systemd_runs_it_the_engine_does(gateway: Gateway) -> None:
    if gateway.engine != "docker":
        pytest.skip("podman has no daemon that would start it again at boot; the rest is the same")

    def root(command: str) -> str:
        return gateway.host.run(command, user="root").out.strip()

    # A user who has no systemd of its own and is in no session.
    root("useradd --create-home --groups docker solo")
    alone = "runuser -u solo -- env -i HOME=/home/solo PATH=/usr/local/bin:/usr/bin:/bin "
    solo = Gateway(gateway.host, "docker", user="root", home="/home/solo/gw", port=4200, prefix=alone)
    root(f"docker tag {gateway.image.removeprefix('image-')} {gateway_image.NAME}")  # one that works
    root(f"{alone} aiops --home {solo.home} --yes init --supervisor container --port {solo.port}")
    assert solo.must("up")["outcome"] == "applied"
    first = solo.status["gateway"]["container"]
    policy = "docker inspect --format '{{.HostConfig.RestartPolicy.Name}} {{.State.Pid}}' "
    assert root(policy + first).startswith("unless-stopped ")
    root(f"kill -KILL {root(policy + first).split()[1]}")
    until(solo.answers, 60, "an answer")
    gateway_image.derive(gateway.host, "docker", "LABEL lab.image=solo")
    assert solo.must("upgrade")["outcome"] == "applied"
    second = solo.status["gateway"]["container"]
    assert second != first
    assert root(policy + second).startswith("unless-stopped ")
    until(lambda: first not in root("docker ps --format '{{.Names}}'"), 30, "the end of the old container")
    assert solo.must("down")["outcome"] == "applied"
    assert not solo.answers()
    assert solo.must("uninstall")["outcome"] == "applied"
    assert first not in root("docker ps --all --format '{{.Names}}'")
    assert second not in root("docker ps --all --format '{{.Names}}'")


def test_uninstall_leaves_no_container_and_no_unit(gateway: Gateway) -> None:
    assert gateway.must("uninstall")["outcome"] == "applied"
    assert gateway.run(f"{gateway.engine} ps --all --filter label=aiops.instance --format '{{{{.Names}}}}'").out == ""
    assert gateway.systemctl("list-unit-files", "--no-legend", "litellm*").out == ""
    assert not gateway.answers()
    assert gateway.must("uninstall")["outcome"] == "unchanged"


@pytest.mark.shows("aiops.yaml: container.engine")
def test_without_an_engine_it_is_refused_with_what_to_type(host: Host) -> None:
    home = "/tmp/without-engine"
    host.run(f"aiops --home {home} --yes init --supervisor container --port 4123")
    refused = host.run(f"aiops --home {home} --yes up", check=False)
    assert refused.code == 4
    assert "there is no docker and no podman on this machine" in refused.err
    assert "`apt install podman` (or docker.io)" in refused.err
    found = json.loads(host.run(f"aiops --home {home} --json doctor", check=False).out)["findings"]
    missing = [finding for finding in found if "no docker and no podman" in finding["what"]]
    assert [finding["ok"] for finding in missing] == [False]
    assert "apt install podman" in missing[0]["mend"]
