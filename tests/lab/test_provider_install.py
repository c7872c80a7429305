"""Units of providers put in place by aiops on real hosts: a real llama.cpp behind them, real systemd around them."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Any

import pytest

from tests.lab.gateway import Gateway, until
from tests.lab.host import Host
from tests.lab.lab import Lab

# llama.cpp's own server, out of the wheel that embeds it, under the options that the unit gives to llama-server.
LLAMA_SERVER = """#!/srv/venv/bin/python
import argparse, signal, xllamacpp
stop = {signal.SIGTERM, signal.SIGINT}
signal.pthread_sigmask(signal.SIG_BLOCK, stop)
parser = argparse.ArgumentParser()
parser.add_argument("--model"), parser.add_argument("--host"), parser.add_argument("--port", type=int)
parser.add_argument("--ctx-size", type=int, default=2048), parser.add_argument("--alias", default="tiny")
given = parser.parse_args()
parameters = xllamacpp.CommonParams()
parameters.model.path, parameters.hostnames, parameters.port = given.model, [given.host], given.port
parameters.model_alias, parameters.n_ctx, parameters.n_parallel = {given.alias}, given.ctx_size, 2
parameters.n_predict, parameters.warmup, parameters.ui, parameters.cpuparams.n_threads = 16, False, False, 1
server = xllamacpp.Server(parameters)
signal.sigwait(stop)
"""
PROVIDERS = """providers:
  small:                      # the one that is used most
    type: llama_cpp
    base_url: http://127.0.0.1:8080
    models: [small]
  other:
    type: llama_cpp
    base_url: http://127.0.0.1:8080
    status: disabled
    models: [other]
    service: {unit: llama-cpp@other.service, exclusive_group: gpu0}
  elsewhere:
    type: vllm
    base_url: http://10.9.8.7:8001
    status: disabled
    models: [far]
  cloud:
    type: openai_compatible
    base_url: http://127.0.0.1:8002
    status: disabled
    models: [cloud]
"""
MAPPINGS = """exact_matches:
  other: {provider: other, fallback: small}
  far: {provider: elsewhere, fallback: small}
  cloud: {provider: cloud, fallback: small}
"""
MODEL = "/srv/models/tiny.gguf"
UNIT = "~/.config/systemd/user/llama-cpp@.service"
VARIABLES = "~/.config/aiops/llama-cpp-small.env"


def with_llama_cpp(host: Host) -> Host:
    host.inside("mkdir -p /srv/models")
    make = "from pathlib import Path; from aiops.demo import tiny_model; print(tiny_model.ensure(Path('/srv/models')))"
    host.inside(f'mv "$(/srv/venv/bin/python -c "{make}")" {MODEL}; chmod -R a+rX /srv/models')
    host.run("cat >/usr/local/bin/llama-server; chmod 755 /usr/local/bin/llama-server", user="root", stdin=LLAMA_SERVER)
    return host


@pytest.fixture(scope="module")
def made(lab: Lab) -> Iterator[Gateway]:
    (host,) = lab.up("install")
    gateway = Gateway(with_llama_cpp(host))
    gateway.init("systemd")
    host.run("cat >~/.config/aiops/providers.yaml", stdin=PROVIDERS)
    host.run("cat >~/.config/aiops/model-mappings.yaml", stdin=MAPPINGS)
    yield gateway
    lab.remove(host)


@pytest.fixture
def gateway(made: Gateway) -> Gateway:
    """With `small` installed, as the first test does; the tests leave it so."""
    return made


def test_from_a_file_that_names_a_provider_to_a_model_that_answers(gateway: Gateway) -> None:
    code, _, hint = gateway.refused("provider", "start", "small")
    assert (code, hint) == (4, "`aiops provider install small` makes one")
    assert gateway.refused("provider", "install", "small")[:2] == (2, "nothing says what it is to serve")
    planned = gateway.aiops("provider", "install", "small", "--model", MODEL, "--dry-run", check=True)
    assert planned.err.splitlines()[-1].endswith("small is run by llama-cpp@small.service"), planned.err
    assert not gateway.host.run(f"ls {UNIT} {VARIABLES}", check=False).out
    began = time.monotonic()
    done = gateway.aiops("provider", "install", "small", "--model", MODEL, "--args", "--ctx-size 1024", check=True)
    print(f"installed in {time.monotonic() - began:.2f} s")
    assert done.out == "llama-cpp@small.service is installed\n"
    assert "changed: enable llama-cpp@small.service" in done.err
    assert "service:" in gateway.host.run("cat ~/.config/aiops/providers.yaml").out
    assert "# the one that is used most" in gateway.host.run("cat ~/.config/aiops/providers.yaml").out
    assert gateway.systemctl("is-enabled", "llama-cpp@small").out == "enabled\n"
    gateway.must("provider", "start", "small")
    gateway.must("up")
    assert gateway.ask("small").json()["choices"]
    assert gateway.host.run(f"stat -c %a {VARIABLES}").out == "600\n"
    assert gateway.status["drift"] == []
    (state,) = gateway.must("provider", "status", "small")["providers"]
    assert (state["running"], state["at_boot"]) == ("active (running)", "enabled")
    assert "small" in state["routes"]


def test_a_second_install_changes_nothing_and_says_why(gateway: Gateway) -> None:
    pid = gateway.show("MainPID", "llama-cpp@small")
    began = time.monotonic()
    done = gateway.aiops("provider", "install", "small", check=True)
    print(f"with nothing to change in {time.monotonic() - began:.2f} s")
    assert done.out == "no change: llama-cpp@small.service is installed already\n"
    told = done.err.splitlines()
    assert told
    assert [line for line in told if not line.startswith("as it was: ")] == []
    assert gateway.must("provider", "install", "small")["outcome"] == "unchanged"
    assert gateway.show("MainPID", "llama-cpp@small") == pid
    assert gateway.findings() == []


def test_other_arguments_are_set_and_what_else_is_in_the_file_stays(gateway: Gateway) -> None:
    gateway.host.run(f"echo OMP_NUM_THREADS=1 >>{VARIABLES}")
    done = gateway.aiops("provider", "install", "small", "--args", "--ctx-size 512 --alias named", check=True)
    assert "ARGS=--ctx-size 512 --alias named" in done.err
    assert "`systemctl --user restart llama-cpp@small.service` when it suits" in done.err
    text = gateway.host.run(f"cat {VARIABLES}").out
    assert "OMP_NUM_THREADS=1\n" in text
    assert f"MODEL={MODEL}\n" in text
    gateway.systemctl("restart", "llama-cpp@small")
    gateway.must("provider", "start", "small")
    assert "named" in gateway.host.run("curl -s http://127.0.0.1:8080/v1/models").out


def test_a_unit_edited_by_hand_is_found_and_not_overwritten_unless_forced(gateway: Gateway) -> None:
    gateway.host.run(f"sed -i 's/^RestartSec=.*/RestartSec=77/' {UNIT}; systemctl --user daemon-reload")
    assert gateway.findings() == ["llama-cpp@.service was edited by hand"]
    code, message, hint = gateway.refused("provider", "install", "small")
    assert code == 4
    assert message.endswith("llama-cpp@.service was not written by aiops, or was edited since")
    assert "systemctl --user edit llama-cpp@small.service" in hint
    assert "RestartSec=77" in gateway.host.run(f"cat {UNIT}").out
    gateway.must("provider", "install", "small", "--force")
    assert "RestartSec=77" not in gateway.host.run(f"cat {UNIT}").out
    assert "RestartSec=77" in gateway.host.run(f"cat {UNIT}.edited-*").out
    assert gateway.findings() == []


def test_a_port_that_is_not_where_clients_go_is_found_and_set_right(gateway: Gateway) -> None:
    gateway.host.run(f"sed -i 's/^PORT=.*/PORT=8088/' {VARIABLES}")
    (found,) = gateway.findings()
    assert found.endswith("has PORT=8088, but clients of small go to http://127.0.0.1:8080")
    gateway.must("provider", "install", "small")
    assert gateway.findings() == []


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("elsewhere", "--model", MODEL), 4, "where a unit of this machine does not listen"),
        (("cloud",), 4, "aiops has no unit for a provider of type openai_compatible"),
        (("smal",), 2, "there is no provider `smal`"),
        (("small", "--model", "/nowhere.gguf"), 2, "there is no /nowhere.gguf"),
        (("small", "--program", "/etc/passwd"), 2, "/etc/passwd is not a program"),
        (("small", "--args", "--api-key=hunter2"), 2, "there for everybody on the machine to read"),
    ],
)
def test_what_cannot_work_is_refused_before_anything_is_written(
    gateway: Gateway, arguments: tuple[str, ...], code: int, said: str
) -> None:
    before = gateway.host.run("find ~/.config -type f | sort | xargs -d '\\n' sha256sum").out
    seen, message, hint = gateway.refused("provider", "install", *arguments)
    assert seen == code, message
    assert said in message
    assert "hunter2" not in message + hint
    assert gateway.host.run("find ~/.config -type f | sort | xargs -d '\\n' sha256sum").out == before


def test_two_that_share_a_card_change_places(gateway: Gateway) -> None:
    done = gateway.aiops("provider", "install", "other", "--model", MODEL, "--args", "--alias other", check=True)
    assert "enable" not in done.err, "one that is disabled is not started at boot"
    gateway.host.run(
        "sed -i 's/unit: llama-cpp@small.service/unit: llama-cpp@small.service\\n      exclusive_group: gpu0/' "
        "~/.config/aiops/providers.yaml"
    )
    gateway.must("apply")
    gateway.must("switch", "small", "other", "--force")
    assert gateway.ask("other").status_code == 200
    enabled = gateway.systemctl("is-enabled", "llama-cpp@small", "llama-cpp@other", check=False).out.split()
    assert enabled == ["disabled", "enabled"]
    gateway.must("switch", "other", "small", "--force")
    assert gateway.ask("small").status_code == 200
    assert gateway.findings() == []


def test_gateway_and_model_are_there_after_a_reboot(gateway: Gateway) -> None:
    key = gateway.key
    gateway.host.restart()
    until(gateway.serves, 60, "the gateway")
    until(lambda: gateway.ask("small").status_code == 200, 30, "the model")
    assert key == gateway.key


# --- without a user who logs in --------------------------------------------------------------------------------------

SYSTEM = "aiops --home /var/lib/aiops"


@pytest.fixture(scope="module")
def machine(lab: Lab) -> Iterator[Host]:
    """Its own systemd is to run gateway and provider, both as a user of their own."""
    (host,) = lab.up("system")
    with_llama_cpp(host)
    host.inside("useradd --system --home-dir /var/lib/aiops --create-home --shell /usr/sbin/nologin aiops")
    host.run(f"runuser -u aiops -- {SYSTEM} init --supervisor systemd --port 4000", user="root")
    for name, text in (("providers", PROVIDERS), ("model-mappings", MAPPINGS)):
        host.run(f"runuser -u aiops -- tee /var/lib/aiops/config/{name}.yaml", user="root", stdin=text)
    yield host
    lab.remove(host)


def status_of(machine: Host) -> dict[str, Any]:
    seen: dict[str, Any] = json.loads(machine.run(f"{SYSTEM} --json status", user="root").out)
    return seen


def test_the_machines_own_systemd_runs_a_provider_as_the_gateways_user(machine: Host) -> None:
    machine.run(f"{SYSTEM} provider install small --model {MODEL}", user="root")
    assert "scope: system" in machine.run("cat /var/lib/aiops/config/providers.yaml", user="root").out
    assert machine.run("stat -c '%U %a' /etc/aiops/llama-cpp-small.env", user="root").out == "root 600\n"
    machine.run(f"{SYSTEM} provider start small", user="root")
    assert machine.run("systemctl show -p User --value llama-cpp@small", user="root").out == "aiops\n"
    assert machine.run("systemctl is-enabled llama-cpp@small", user="root").out == "enabled\n"
    again = json.loads(machine.run(f"{SYSTEM} --json provider install small", user="root").out)
    assert again["outcome"] == "unchanged"
    assert machine.run("find /var/lib/aiops -user root", user="root").out == "", "root left files behind"


def test_the_machines_own_systemd_runs_the_gateway_as_a_user_of_its_own(machine: Host) -> None:
    refused = machine.run(f"runuser -u aiops -- {SYSTEM} up", user="root", check=False)
    assert (refused.code, "systemd" in refused.err) == (4, True)
    machine.run(f"{SYSTEM} up", user="root", timeout=300)
    assert machine.run("systemctl show -p User --value litellm", user="root").out == "aiops\n"
    assert machine.run("find /var/lib/aiops -user root", user="root").out == "", "root left files behind"
    machine.run("sed -i 's/^  # retries: 0/  retries: 1/' /var/lib/aiops/config/aiops.yaml", user="root")
    machine.run("systemctl reload litellm", user="root", timeout=300)
    status = status_of(machine)
    assert (status["generation"], status["gateway"]["state"], status["systemd"]["scope"]) == (2, "running", "system")
    master = status["gateway"]["pid"]
    machine.run("systemctl restart litellm", user="root", timeout=300)
    status = status_of(machine)
    assert (status["gateway"]["state"], status["gateway"]["pid"] == master) == ("running", False)
    found = json.loads(machine.run(f"{SYSTEM} --json doctor", user="root", check=False).out)["findings"]
    assert [finding["what"] for finding in found if not finding["ok"]] == []
    machine.run(f"{SYSTEM} down", user="root", timeout=300)
    left = machine.run("pgrep -u aiops --list-full", user="root").out.splitlines()
    assert [process.split()[2] for process in left] == ["/usr/local/bin/llama-server"], left
