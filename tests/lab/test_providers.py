"""Providers as units: started, stopped, and two of which one can run changing places while people use both."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import httpx
import pytest

from tests.docs.console import commands, missing
from tests.kit.tls import TLS
from tests.lab.command import Result
from tests.lab.gateway import REQUESTS
from tests.lab.host import Host
from tests.lab.lab import Lab
from tests.lab.places import CHECKOUT
from tests.load import BackgroundLoad, Mix, Target

PORT = 4000
# Stands for a graphics card: both servers want the same port, so that two of them at once cannot work.
CARD_PORT = 9001
LOADING_SECONDS = 1.0
UNIT = """
[Unit]
StartLimitIntervalSec=0
[Service]
Type=exec
EnvironmentFile=%h/doubles/%i
ExecStartPre=sleep $LOADING
ExecStart=/srv/venv/bin/python -m aiops.demo double --face vllm --port $PORT --models $MODELS --tokens 6 \\
    --chunk-delay 0.02
Restart=on-failure
RestartSec=200ms
[Install]
WantedBy=default.target
"""
PROVIDERS = f"""
providers:
  spare:
    type: vllm
    base_url: http://127.0.0.1:9002
    models: [small]
  qwen:                       # the one that is used most
    type: vllm
    base_url: http://127.0.0.1:{CARD_PORT}
    models: [qwen]
    service: {{unit: double@qwen.service, exclusive_group: gpu0}}
  llama:
    type: vllm
    base_url: http://127.0.0.1:{CARD_PORT}
    status: disabled
    models: [llama]
    service: {{unit: double@llama.service, exclusive_group: gpu0}}
  wrong:
    type: vllm
    base_url: http://127.0.0.1:{CARD_PORT}
    status: disabled
    models: [right]
    service: {{unit: double@wrong.service, exclusive_group: gpu0}}
  broken:
    type: vllm
    base_url: http://127.0.0.1:{CARD_PORT}
    status: disabled
    models: [never]
    service: {{unit: double@broken.service, exclusive_group: gpu0}}
"""
MAPPINGS = """
exact_matches:
  qwen: {provider: qwen, fallback: small}
  llama: {provider: llama, fallback: small}
  right: {provider: wrong, fallback: small}
  never: {provider: broken, fallback: small}
"""
DOUBLES = {
    "spare": (9002, "small", 0.0),
    "qwen": (CARD_PORT, "qwen", LOADING_SECONDS),
    "llama": (CARD_PORT, "llama", LOADING_SECONDS),
    "wrong": (CARD_PORT, "left", 0.0),
    "broken": ("none", "never", 0.0),
}
MIX = Mix(pause=0.01, idle_seconds=0.7)


@dataclass(frozen=True)
class Gateway:
    """A gateway of ``ops`` on a host, with two providers of which one can run, and one that always runs."""

    host: Host
    key: str

    def aiops(self, *arguments: str, timeout: float = 180) -> Result:
        return self.host.run(f"aiops --json --yes {' '.join(arguments)}", check=False, timeout=timeout)

    def must(self, *arguments: str) -> dict[str, Any]:
        done = self.aiops(*arguments)
        log = "" if done.ok else self.host.run("tail -n 60 ~/.local/state/aiops/logs/gateway.log").out
        assert done.ok, f"aiops {' '.join(arguments)}: exit {done.code}\n{done.out}{done.err}\n{log}"
        data: dict[str, Any] = json.loads(done.out)
        return data

    @property
    def url(self) -> str:
        return f"http://{self.host.address}:{PORT}"

    def ask(self, model: str) -> httpx.Response:
        body = {"model": model, "messages": [{"role": "user", "content": "hello"}], "max_tokens": 4}
        headers = {"authorization": f"Bearer {self.key}"}
        return httpx.post(
            f"{self.url}/v1/chat/completions", json=body, headers=headers, timeout=20, trust_env=False, verify=TLS
        )

    def provider(self, name: str) -> dict[str, Any]:
        (state,) = self.must("provider", "status", name)["providers"]
        assert isinstance(state, dict)
        return state

    def units(self) -> dict[str, str]:
        listed = self.host.run("systemctl --user is-active double@qwen double@llama double@wrong double@broken || true")
        return dict(zip(("qwen", "llama", "wrong", "broken"), listed.out.split(), strict=True))

    def files(self) -> str:
        return self.host.run("cd ~/.config/aiops && sha256sum aiops.yaml providers.yaml model-mappings.yaml").out

    def settled(self) -> bool:
        """Whether the test before left it as each one begins, in one look."""
        look = "systemctl --user is-active double@qwen double@llama double@wrong double@broken; "
        look += "systemctl --user is-enabled double@qwen double@llama; ls ~/.local/state/aiops/switch 2>/dev/null; "
        look += "echo; cat ~/.config/aiops/providers.yaml"
        wanted = "active\ninactive\ninactive\ninactive\nenabled\ndisabled\n\n" + PROVIDERS
        if self.host.run(look).out != wanted:
            return False
        seen = self.must("status")
        return (seen["gateway"]["state"], seen["drift"], seen["notes"]) == ("running", [], [])

    def settle(self) -> None:
        """As each test begins: `qwen` runs and serves, `llama` does not."""
        if self.settled():
            return
        if self.units() != {"qwen": "active", "llama": "inactive", "wrong": "inactive", "broken": "inactive"}:
            self.host.run("systemctl --user stop double@llama double@wrong double@broken")
            self.host.run("systemctl --user reset-failed 'double@*'; systemctl --user start double@qwen")
        self.host.run("systemctl --user enable --quiet double@qwen; systemctl --user disable --quiet double@llama")
        self.host.run("rm -rf ~/.local/state/aiops/switch")
        self.host.run("cat >~/.config/aiops/providers.yaml", stdin=PROVIDERS)
        self.must("provider", "start", "qwen")
        self.must("apply", "--force")


@pytest.fixture(scope="module")
def made(lab: Lab) -> Iterator[Gateway]:
    (host,) = lab.up("providers")
    host.run("mkdir -p ~/.config/systemd/user ~/doubles")
    host.run("cat >~/.config/systemd/user/double@.service", stdin=UNIT)
    for name, (port, models, loading) in DOUBLES.items():
        host.run(f"cat >~/doubles/{name}", stdin=f"PORT={port}\nMODELS={models}\nLOADING={loading}\n")
    host.run("systemctl --user daemon-reload && systemctl --user enable --quiet double@qwen double@spare")
    host.run("systemctl --user start double@qwen double@spare")
    host.run(f"aiops --yes init --supervisor process --port {PORT}")
    host.run("sed -i 's/^  # host: .*/  host: 0.0.0.0/' ~/.config/aiops/aiops.yaml")
    host.run("cat >~/.config/aiops/model-mappings.yaml", stdin=MAPPINGS)
    host.run("cat >~/.config/aiops/providers.yaml", stdin=PROVIDERS)
    host.run("aiops --yes provider start qwen && PYTHONFAULTHANDLER=1 aiops --yes up", timeout=120)
    yield Gateway(host, host.run("cat ~/.config/aiops/secrets/master_key").out.strip())
    lab.remove(host)


@pytest.fixture
def gateway(made: Gateway) -> Gateway:
    made.settle()
    return made


@pytest.mark.shows("providers.yaml: providers.*.service.unit")
def test_a_provider_is_started_and_waited_for_until_it_serves_its_models(gateway: Gateway) -> None:
    gateway.must("disable", "qwen")
    assert gateway.must("provider", "stop", "qwen")["outcome"] == "applied"
    assert gateway.provider("qwen")["running"].startswith("inactive")
    done = gateway.must("provider", "start", "qwen")
    assert done["outcome"] == "applied"
    assert done["seconds"] >= LOADING_SECONDS
    state = gateway.provider("qwen")
    assert (state["running"], state["at_boot"], state["check"]["status"]) == ("active (running)", "enabled", "pass")
    assert gateway.must("provider", "start", "qwen")["outcome"] == "unchanged"


def test_a_provider_that_answers_users_is_not_stopped(gateway: Gateway) -> None:
    refused = gateway.aiops("provider", "stop", "qwen")
    assert refused.code == 4
    assert "qwen answers qwen now" in refused.out
    assert gateway.units()["qwen"] == "active"


@pytest.mark.shows("providers.yaml: providers.*.service.exclusive_group")
def test_a_second_provider_of_one_group_is_not_started(gateway: Gateway) -> None:
    refused = gateway.aiops("provider", "start", "llama")
    assert refused.code == 4
    assert "switch qwen llama" in json.loads(refused.out)["error"]["hint"]
    assert gateway.units()["llama"] == "inactive"


@pytest.mark.shows("providers.yaml: providers.*.service.scope")
def test_a_unit_that_does_not_exist_is_named(gateway: Gateway) -> None:
    gateway.host.run("sed -i s/double@llama/nothing/ ~/.config/aiops/providers.yaml")
    refused = gateway.aiops("switch", "qwen", "llama")
    assert refused.code == 4
    assert "nothing.service cannot be started: systemd does not know it" in refused.out


def test_a_switch_under_load_loses_no_request_and_cuts_no_stream(gateway: Gateway) -> None:
    with (
        BackgroundLoad(Target(gateway.url, gateway.key, "qwen", 6), MIX) as of_old,
        BackgroundLoad(Target(gateway.url, gateway.key, "llama", 6), MIX) as of_new,
    ):
        while of_old.report.requests + of_new.report.requests < REQUESTS:
            time.sleep(0.5)
            there = gateway.must("switch", "qwen", "llama")
            time.sleep(0.5)
            back = gateway.must("switch", "llama", "qwen")
            assert (there["outcome"], back["outcome"]) == ("applied", "applied")
            assert [step["name"] for step in there["steps"]] == ["disable", "drain", "stop", "start", "serve", "enable"]
    for report in (of_old.report, of_new.report):
        assert (report.failed, report.truncated) == (0, 0), json.dumps(report.as_dict(), indent=1)
        assert report.requests > REQUESTS / 3
        assert report.streams > REQUESTS / 30


def test_after_a_switch_the_new_one_serves_and_is_started_at_boot(gateway: Gateway) -> None:
    gateway.must("switch", "qwen", "llama")
    assert gateway.units() | {"qwen": "inactive", "llama": "active"} == gateway.units()
    old, new = gateway.provider("qwen"), gateway.provider("llama")
    assert (old["status"], old["at_boot"], old["routes"]) == ("disabled", "disabled", [])
    assert (new["status"], new["at_boot"], new["routes"]) == ("active", "enabled", ["llama"])
    assert gateway.ask("llama").status_code == gateway.ask("qwen").status_code == 200
    assert "# the one that is used most" in gateway.host.run("cat ~/.config/aiops/providers.yaml").out
    again = gateway.must("switch", "qwen", "llama")
    assert again["outcome"] == "unchanged"


@pytest.mark.parametrize(
    ("new", "code", "said"),
    [
        ("wrong", 7, "it does not have `right`; it lists left"),
        ("broken", 5, "double@broken.service keeps dying"),
    ],
)
def test_a_switch_that_fails_brings_the_old_one_back(gateway: Gateway, new: str, code: int, said: str) -> None:
    files = gateway.files()
    with BackgroundLoad(Target(gateway.url, gateway.key, "qwen", 6), MIX) as load:
        failed = gateway.aiops("switch", "qwen", new)
    assert failed.code == code, failed.out + failed.err
    assert said in json.loads(failed.out)["error"]["message"]
    assert gateway.units() == {"qwen": "active", "llama": "inactive", "wrong": "inactive", "broken": "inactive"}
    assert gateway.files() == files
    assert gateway.provider("qwen")["routes"] == ["qwen"]
    assert gateway.must("status")["drift"] == []
    assert (load.report.failed, load.report.truncated) == (0, 0), json.dumps(load.report.as_dict(), indent=1)


def test_a_model_that_would_not_be_answered_meanwhile_is_named_and_needs_force(gateway: Gateway) -> None:
    gateway.host.run(
        "sed -i 's/^  qwen: .*/  qwen: {provider: qwen, fallback: llama}/' ~/.config/aiops/model-mappings.yaml"
    )
    try:
        refused = gateway.aiops("switch", "qwen", "llama")
        assert refused.code == 4
        assert "nobody would answer qwen while llama starts" in refused.out
        assert gateway.units()["qwen"] == "active"
        assert gateway.must("switch", "qwen", "llama", "--force")["outcome"] == "applied"
        assert gateway.ask("qwen").status_code == 200, "by llama, its fallback"
    finally:
        gateway.host.run("cat >~/.config/aiops/model-mappings.yaml", stdin=MAPPINGS)


@pytest.mark.parametrize("signal", ["TERM", "KILL"])
def test_a_switch_whose_command_is_killed_is_taken_back_or_can_be_finished(gateway: Gateway, signal: str) -> None:
    files = gateway.files()
    gateway.host.run("echo LOADING=4 >>~/doubles/llama")
    try:
        gateway.host.run("(setsid aiops --yes switch qwen llama >~/switch.log 2>&1 &) </dev/null")
        deadline = time.monotonic() + 30
        while gateway.units()["llama"] != "activating":
            assert time.monotonic() < deadline, gateway.host.run("cat ~/switch.log").out
        gateway.host.run(f"pkill -{signal} --full 'aiops --yes switch'")
        assert gateway.ask("qwen").status_code == 200, "by its fallback"
        if signal == "TERM":
            while gateway.host.run("pgrep --full 'aiops --yes switch'", check=False).ok:
                assert time.monotonic() < deadline
            assert gateway.units()["qwen"] == "active"
            assert gateway.files() == files
        else:
            assert "the switch from qwen to llama" in gateway.must("status")["notes"][0]
            assert gateway.must("switch", "qwen", "llama")["outcome"] == "applied"
            assert gateway.must("status")["notes"] == []
    finally:
        gateway.host.run(f"echo LOADING={LOADING_SECONDS} >>~/doubles/llama")


def test_when_the_old_one_does_not_come_back_either_its_fallback_answers_and_a_second_try_can_succeed(
    gateway: Gateway,
) -> None:
    gateway.host.run("sed -i 's/^PORT=.*/PORT=none/' ~/doubles/qwen")
    try:
        failed = gateway.aiops("switch", "qwen", "broken")
        assert failed.code == 6, failed.out + failed.err
        message = json.loads(failed.out)["error"]["message"]
        assert "double@broken.service keeps dying" in message
        assert "taking it back failed: double@qwen.service keeps dying" in message
        assert gateway.ask("qwen").status_code == 200, "by its fallback"
        assert "the switch from qwen to broken" in gateway.must("status")["notes"][0]
    finally:
        gateway.host.run(f"sed -i 's/^PORT=.*/PORT={CARD_PORT}/' ~/doubles/qwen; systemctl --user stop double@qwen")
    assert gateway.must("switch", "broken", "qwen")["outcome"] == "applied"
    assert gateway.provider("qwen")["routes"] == ["qwen"]


@pytest.mark.parametrize("page", ["provider", "switch"])
def test_the_commands_of_the_page_do_what_it_shows(gateway: Gateway, page: str) -> None:
    text = (CHECKOUT / f"runbooks/{page}.md").read_text().replace("```console\n", "```other\n")
    for command in commands(text.replace("```console systemd\n", "```console\n")):
        done = gateway.host.run(command.text, check=False)
        assert done.code == command.exit_code, f"{command.text}\n{done.out}{done.err}"
        assert missing(command.expected, done.err + done.out) is None, f"{command.text}\n{done.err}{done.out}"


def test_a_dry_run_tells_all_of_it_and_does_nothing(gateway: Gateway) -> None:
    files = gateway.files()
    told = gateway.host.run("aiops switch qwen llama --dry-run").err
    for line in ("- stop double@qwen.service", "+ start double@llama.service", "dry run: nothing was changed"):
        assert line in told
    assert gateway.files() == files
    assert gateway.units()["llama"] == "inactive"


def test_a_shell_that_does_not_know_its_bus_finds_the_units_all_the_same(gateway: Gateway) -> None:
    done = gateway.host.run(
        "env -u DBUS_SESSION_BUS_ADDRESS XDG_RUNTIME_DIR=/nowhere aiops --yes provider start qwen", check=False
    )
    assert (done.code, done.out) == (0, "qwen serves already\n")
