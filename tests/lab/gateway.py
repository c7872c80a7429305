"""A gateway on a lab host, run by the systemd of ``ops``, and model servers for it as units beside it."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import httpx

from tests.kit.tls import TLS
from tests.lab.command import Result
from tests.lab.host import Host
from tests.load import Target

T = TypeVar("T")
PORT = 4000
REQUESTS = int(os.environ.get("AIOPS_LAB_REQUESTS", "500"))
"""How many have to be answered, none lost, under each of three kinds of change. One takes about 25 ms of two cores: the
soak is AIOPS_LAB_REQUESTS=5000."""
PATIENCE = 3
"""How many times longer things may take than alone on a machine: two workers share two cores, with others at times."""
GENERATION = "x-aiops-generation"
_PROVIDERS = """providers:
  demo:
    type: openai_compatible
    base_url: http://127.0.0.1:8001
    models: [alpha]
"""
_PROVIDER = """[Unit]
Description=Double of a model server
[Service]
ExecStart=/srv/venv/bin/python -m aiops.demo double --port {port} --models {models} --latency {latency}
Restart=on-failure
[Install]
WantedBy=default.target
"""


@dataclass
class Gateway:
    """What people do with a gateway on their host, and what they see of it. All as ``ops``."""

    host: Host

    # --- making one -------------------------------------------------------------------------------------------

    def make(self) -> Gateway:
        """An instance that listens on every address, up, with one provider ``demo`` that serves ``alpha``."""
        self.init()
        self.provider("demo", 8001, "alpha")
        # In the file before the first `up`: a change of what runs already costs seconds more.
        self.host.run("cat >~/.config/aiops/providers.yaml", stdin=_PROVIDERS)
        self.must("up")
        return self

    def init(self, supervisor: str = "auto") -> None:
        self.host.run(f"aiops init --port {PORT} --supervisor {supervisor}")
        self.host.run(r"sed -i 's/^  # host: 127.0.0.1/  host: 0.0.0.0/' ~/.config/aiops/aiops.yaml")

    def provider(self, name: str, port: int, models: str, latency: float = 0.0) -> None:
        """A double of a model server, on at boot."""
        unit = _PROVIDER.format(port=port, models=models, latency=latency)
        units = "~/.config/systemd/user"
        ready = f"timeout 60 sh -c 'until curl -s http://127.0.0.1:{port}/v1/models; do sleep 0.05; done'"
        steps = [f"mkdir -p {units}", f"cat >{units}/{name}.service", "systemctl --user daemon-reload"]
        steps += [f"systemctl --user enable --quiet {name}", f"systemctl --user restart {name}", ready]
        self.host.run(" && ".join(steps), stdin=unit, timeout=90)

    def control(self, port: int, **changes: object) -> None:
        """How the double on ``port`` answers from now on; see aiops.demo.control."""
        self.host.run(f"curl -fsS -X PUT -d @- http://127.0.0.1:{port}/_control", stdin=json.dumps(changes))

    # --- commands ---------------------------------------------------------------------------------------------

    def aiops(self, *arguments: str, timeout: float = 300, check: bool = False) -> Result:
        return self.host.run(f"aiops {shlex.join(arguments)}", check=check, timeout=timeout)

    def must(self, *arguments: str, timeout: float = 300) -> dict[str, Any]:
        """A verb that has to succeed; its JSON."""
        done = self.aiops("--json", *arguments, timeout=timeout)
        assert done.code == 0, f"aiops {' '.join(arguments)}: exit {done.code}\n{done.out}{done.err}\n{self.journal()}"
        answer: dict[str, Any] = json.loads(done.out)
        return answer

    def refused(self, *arguments: str) -> tuple[int, str, str]:
        """Exit code, message and hint of a verb that has to fail."""
        done = self.aiops("--json", *arguments)
        error = json.loads(done.out)["error"]
        return done.code, error["message"], error["hint"]

    def add(self, name: str, port: int, model: str) -> dict[str, Any]:
        return self.must(*adding(name, port, model))

    def systemctl(self, *arguments: str, check: bool = True) -> Result:
        return self.host.run(f"systemctl --user {shlex.join(arguments)}", check=check, timeout=150)

    def begin(self, command: str, *options: str) -> subprocess.Popen[str]:
        """Run something in a session of its own and do not wait for it. ``options``: of ssh."""
        argv = self.host.ssh_argv("--", command)
        pipe = subprocess.PIPE
        # A connection of its own: killing it must not end everybody else's.
        argv[1:1] = ["-n", "-o", "ControlPath=none", *options]
        return subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=pipe, stderr=pipe, text=True)

    # --- what there is to see ---------------------------------------------------------------------------------

    @property
    def status(self) -> dict[str, Any]:
        return self.must("status")

    @property
    def state(self) -> str:
        state: str = self.status["gateway"]["state"]
        return state

    @property
    def master(self) -> int:
        return int(self.show("MainPID"))

    def show(self, prop: str, unit: str = "litellm.service") -> str:
        return self.systemctl("show", f"--property={prop}", "--value", unit).out.strip()

    def processes(self) -> list[int]:
        """Every gateway process on the host."""
        return [int(pid) for pid in self.host.run("pgrep -f 'm aiops.gatewa[y]'", check=False).out.split()]

    def findings(self) -> list[str]:
        """What `aiops doctor` has to object to."""
        done = self.aiops("--json", "doctor")
        wrong = [finding["what"] for finding in json.loads(done.out)["findings"] if not finding["ok"]]
        assert done.code == (4 if wrong else 0)
        return wrong

    def journal(self, *arguments: str) -> str:
        more = shlex.join(arguments) or "-n 30"
        return self.host.run(f"journalctl --user -u litellm --no-pager {more}", check=False).out

    # --- its clients ------------------------------------------------------------------------------------------

    @property
    def url(self) -> str:
        return f"http://{self.host.address}:{PORT}"

    @property
    def key(self) -> str:
        return self.host.run("cat ~/.config/aiops/secrets/master_key").out.strip()

    @property
    def target(self) -> Target:
        return Target(self.url, self.key, "alpha")

    def ask(self, model: str = "alpha", timeout: float = 60.0) -> httpx.Response:
        body = {"model": model, "messages": [{"role": "user", "content": "hello"}]}
        headers = {"authorization": f"Bearer {self.key}"}
        return httpx.post(
            f"{self.url}/v1/chat/completions", json=body, headers=headers, timeout=timeout, trust_env=False, verify=TLS
        )

    def ready(self, timeout: float = 30.0) -> httpx.Response:
        return httpx.get(f"{self.url}/_health/ready", timeout=timeout, trust_env=False, verify=TLS)

    def serves(self) -> bool:
        """Whether it answers right now."""
        try:
            return self.ready(2.0).status_code == 200
        except httpx.HTTPError:
            return False

    def is_refused(self) -> bool:
        """Whether nobody listens."""
        try:
            self.ready(1.0)
        except httpx.ConnectError:
            return True
        except httpx.HTTPError:
            return False
        return False


def adding(name: str, port: int, model: str) -> list[str]:
    """The arguments of ``add-provider``."""
    where = ["--type", "openai_compatible", "--base-url", f"http://127.0.0.1:{port}"]
    return ["add-provider", name, *where, "--model", model]


def until(what: Callable[[], T], seconds: float, name: str = "") -> T:
    """Ask until the answer is true; returns it. ``seconds``: of a machine that has nothing else to do."""
    deadline = time.monotonic() + PATIENCE * seconds
    while True:
        answer = what()
        if answer:
            return answer
        assert time.monotonic() < deadline, f"{name or what} did not come true within {seconds:g} s"
        time.sleep(0.05)
