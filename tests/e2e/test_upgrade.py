"""Another LiteLLM in the gateway that runs: a real second release in a real second environment."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from aiops.demo.child import DemoProvider
from aiops.errors import Precondition
from aiops.supervise import requirements
from tests.kit.gateway import Gateway
from tests.kit.waiting import until
from tests.kit.warm.product import ROOT
from tests.kit.warm.session import starts
from tests.load import BackgroundLoad, LoadReport, Mix, Target

HERE = str(requirements.installed_version())
OTHER = "1.106.1" if HERE != "1.106.1" else "1.106.2"
MIX = Mix(pause=0.02, idle_seconds=0.5)


def _no_uv() -> bool:
    try:
        requirements.find_uv()
    except Precondition:
        return not os.environ.get("CI")
    return False


pytestmark = [
    pytest.mark.skipif(_no_uv(), reason="uv is not there: scripts/test fetches it"),
    pytest.mark.timeout(600),
    pytest.mark.real_start,
]


@pytest.fixture(scope="module")
def gateway(running: Gateway) -> Gateway:
    """The module's gateway; the tests below follow each other, because a runtime takes half a minute to build."""
    return running


def gateway_of(gateway: Gateway) -> dict[str, Any]:
    status: dict[str, Any] = gateway.status["gateway"]
    return status


def runtime(gateway: Gateway) -> str | None:
    found: str | None = gateway_of(gateway)["runtime"]
    return found


def target(gateway: Gateway) -> Target:
    return Target(gateway.url, gateway.key, "alpha")


def test_a_compromised_release_is_refused_and_nothing_is_downloaded(gateway: Gateway) -> None:
    before = gateway.snapshot()
    for version in ("1.82.7", "1.82.8"):
        refused = gateway.cli("upgrade", version)
        assert refused.code == 4
        assert refused.message == f"LiteLLM {version} is a known-compromised release; nothing was downloaded"
    assert not (gateway.home / "state" / "runtimes").exists()
    assert gateway.snapshot() == before


def test_what_is_no_version_is_refused(gateway: Gateway) -> None:
    for word in ("newest", "1.106.2; rm", "--find-links=/", "../1.0"):
        assert gateway.cli("upgrade", "--", word).code == 2


def test_an_upgrade_to_what_runs_changes_nothing(gateway: Gateway) -> None:
    for words in ((), (HERE,)):
        assert gateway.must("upgrade", *words)["outcome"] == "unchanged"
    assert f"the gateway runs LiteLLM {HERE} and this aiops" in gateway.say("upgrade").err


def test_a_dry_run_says_what_it_would_do_and_builds_nothing(gateway: Gateway) -> None:
    said = gateway.say("upgrade", OTHER, "--dry-run")
    assert (said.code, f"LiteLLM {HERE} → {OTHER}" in said.err) == (0, True)
    assert not (gateway.home / "state" / "runtimes").exists()


def test_files_that_were_edited_are_no_part_of_an_upgrade(gateway: Gateway) -> None:
    path = gateway.source("providers.yaml")
    text = path.read_text()
    path.write_text(text + "# edited\n")
    try:
        refused = gateway.cli("upgrade", OTHER)
    finally:
        path.write_text(text)
    assert refused.code == 4
    assert "providers.yaml edited since generation" in refused.message


def test_a_version_that_does_not_exist_is_named(gateway: Gateway) -> None:
    refused = gateway.cli("upgrade", "1.106.999", "--offline")
    assert refused.code == 4
    assert "there is no set of packages with LiteLLM 1.106.999" in refused.message
    planned = gateway.say("upgrade", "1.106.999", "--offline", "--dry-run")
    assert planned.code == 4
    assert "→" not in planned.err, "nobody is shown a plan that cannot be carried out"
    assert "that version does not exist" in planned.err


def test_an_upgrade_under_load_loses_nothing(gateway: Gateway) -> None:
    master, before = gateway.master, gateway.generation
    with BackgroundLoad(target(gateway), MIX) as load:
        time.sleep(0.3)
        done = gateway.must("upgrade", OTHER, "--reason", "a test", timeout=400)
        time.sleep(0.5)
    assert (load.report.failed, load.report.truncated) == (0, 0), explained(gateway, load.report.as_dict())
    assert load.report.requests > 100
    assert {str(before), str(done["generation"])} == set(load.report.generations)
    assert done["outcome"] == "applied"
    assert "answer:alpha" in {check["id"] for check in done["checks"]}
    status = gateway_of(gateway)
    assert (status["litellm"], status["runtime"].split("-")[0]) == (OTHER, OTHER)
    assert gateway.master == master, "a service manager still finds the process it started"
    assert gateway.ask("alpha").status_code == 200
    (line,) = [line for line in history(gateway, done["generation"])["changes"] if "runtime" in line]
    assert f"LiteLLM {HERE} → {OTHER}" in line


def test_later_changes_stay_in_the_runtime(gateway: Gateway, two: DemoProvider) -> None:
    before, master = runtime(gateway), gateway.master
    done = gateway.add("two", two.url, "gamma")
    assert [step["seconds"] < 0.5 for step in done["steps"] if step["name"] == "runtime"] == [True]
    assert (runtime(gateway), gateway.master) == (before, master)
    assert gateway.ask("gamma").status_code == 200
    gateway.must("remove-provider", "two", "--force")


def test_a_restart_and_a_crash_come_back_in_the_runtime(gateway: Gateway) -> None:
    wanted = runtime(gateway)
    assert wanted is not None
    gateway.must("restart")
    assert runtime(gateway) == wanted
    os.kill(gateway.master, signal.SIGKILL)
    until(lambda: gateway.status["gateway"]["state"] == "degraded", 20)
    gateway.must("up")
    assert (runtime(gateway), gateway_of(gateway)["litellm"]) == (wanted, OTHER)


def test_a_rollback_under_load_brings_the_previous_runtime_back(gateway: Gateway) -> None:
    upgraded = runtime(gateway)
    with BackgroundLoad(target(gateway), MIX) as load:
        time.sleep(0.3)
        gateway.must("rollback", 2, "--reason", "it answers strangely")
        time.sleep(0.5)
    assert (load.report.failed, load.report.truncated) == (0, 0), explained(gateway, load.report.as_dict())
    assert (runtime(gateway), gateway_of(gateway)["litellm"]) == (None, HERE)
    assert gateway.ask("alpha").status_code == 200
    assert (gateway.home / "state" / "runtimes" / str(upgraded)).exists(), "there are generations that need it"


def test_another_aiops_is_an_upgrade_too(gateway: Gateway, tmp_path: Path) -> None:
    """As after an update of the installed package: the same LiteLLM, other code, no checkout with a lock around it."""
    before = gateway.generation
    shutil.copytree(ROOT / "aiops", tmp_path / "aiops", ignore=shutil.ignore_patterns("__pycache__"))
    with (tmp_path / "aiops" / "errors.py").open("a") as module:
        module.write("# another aiops\n")
    argv = [sys.executable, "-P", "-m", "aiops", "--home", str(gateway.home), "--json", "upgrade"]
    env = {**gateway.env, "PYTHONPATH": str(tmp_path)}
    with BackgroundLoad(target(gateway), MIX) as load:
        done = subprocess.run(argv, env=env, cwd="/", capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert load.report.clean, explained(gateway, load.report.as_dict())
    there = gateway.home / "state" / "runtimes" / str(runtime(gateway))
    (copied,) = there.glob("lib/python*/site-packages/aiops/errors.py")
    assert copied.read_text().endswith("# another aiops\n")
    assert gateway_of(gateway)["litellm"] == HERE
    gateway.must("rollback", before, "--reason", "the test is over")
    assert runtime(gateway) is None


class Broken:
    """A runtime with one module that is not what it was, for the length of a ``with`` block."""

    def __init__(self, gateway: Gateway, module: str, text: str) -> None:
        (site,) = (gateway.home / "state" / "runtimes").glob(f"{OTHER}-*/lib/python*/site-packages")
        self._path, self._text = site / module, text

    def __enter__(self) -> None:
        # A new file: the old one may be shared with the cache of the installer.
        self._saved = self._path.with_suffix(".saved")
        self._path.rename(self._saved)
        self._path.write_text(self._text or self._saved.read_text())

    def __exit__(self, *_: object) -> None:
        self._saved.replace(self._path)
        for compiled in (self._path.parent / "__pycache__").glob(f"{self._path.stem}.*.pyc"):
            compiled.unlink()


@pytest.mark.parametrize(
    ("module", "text", "said"),
    [
        ("litellm/proxy/proxy_server.py", "raise ImportError('half of it is missing')\n", "does not work in"),
        ("aiops/gateway/master/master.py", "raise RuntimeError('not in this one')\n", "does not start in"),
        (
            "aiops/gateway/worker/worker.py",
            "from dataclasses import dataclass\nfrom typing import Any\nimport os\n\n"
            "class Assignment:\n    def __init__(self, **given: Any) -> None: ...\n\n"
            "def run(assignment: Any) -> None:\n    os._exit(9)\n",
            "the new generation does not start: a worker ended: exit code 9",
        ),
    ],
    ids=["does-not-import", "master-does-not-start", "candidate-dies"],
)
def test_a_runtime_that_is_broken_costs_nobody_anything(gateway: Gateway, module: str, text: str, said: str) -> None:
    before, generation, workers = gateway_of(gateway), gateway.generation, gateway.workers()
    with Broken(gateway, module, text), BackgroundLoad(target(gateway), MIX) as load:
        refused = gateway.cli("upgrade", OTHER)
        time.sleep(0.2)
    assert refused.code == 7, refused
    assert said in refused.message
    assert load.report.clean, explained(gateway, load.report.as_dict())
    assert set(load.report.generations) == {str(generation)}
    after = gateway_of(gateway)
    assert [after[name] for name in ("runtime", "litellm", "pid")] == [before[n] for n in ("runtime", "litellm", "pid")]
    assert gateway.workers() == workers, "the workers that served never noticed"
    assert gateway.status["generation"] == gateway.status["desired_generation"] == generation


def test_a_killed_command_line_leaves_the_gateway_where_it_was(gateway: Gateway) -> None:
    """Killed while the other runtime is being imported, and nobody comes for a while: it goes back by itself."""
    before, generation = gateway.workers(), gateway.generation
    with BackgroundLoad(target(gateway), MIX) as load:
        killed = subprocess.Popen(
            gateway.argv("--json", "upgrade", OTHER),
            env=gateway.env,
            stdout=subprocess.DEVNULL,
            stdin=subprocess.DEVNULL,
        )
        until(lambda: OTHER in executable(gateway.master), 60, "the other program")
        killed.kill()
        killed.wait()
        following = gateway.must("apply")
        time.sleep(0.2)
    assert load.report.clean, explained(gateway, load.report.as_dict())
    assert following["outcome"] == "unchanged", following
    assert (runtime(gateway), gateway_of(gateway)["litellm"]) == (None, HERE)
    assert (gateway.workers(), gateway.generation) == (before, generation)
    assert gateway.must("verify")["ok"]


@pytest.mark.parametrize(
    ("act", "step", "when", "code", "live"),
    [
        ("kill-cli", "confirm", "before", -signal.SIGKILL, False),
        ("kill-cli", "commit", "after", -signal.SIGKILL, True),
        ("kill-candidate", "confirm", "before", 5, False),
        ("kill-master", "stage", "before", 4, False),
    ],
)
def test_whatever_is_killed_pointer_runtime_and_generation_agree(
    gateway: Gateway, tmp_path: Path, act: str, step: str, when: str, code: int, live: bool
) -> None:
    generation = gateway.generation
    fault = json.dumps({"act": act, "step": step, "when": when})
    argv = [sys.executable, "-m", "tests.faults.runner", fault, str(tmp_path / "mark"), "--"]
    with BackgroundLoad(target(gateway), MIX) as load:
        ran = starts.run(
            [*argv, "--home", str(gateway.home), "--yes", "upgrade", OTHER],
            200, cwd=ROOT, env=gateway.env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        assert ran.returncode == code, ran
        assert (tmp_path / "mark").read_text() == act
        if act == "kill-cli" and not live:
            # Nobody else has to do anything.
            until(lambda: gateway.status["gateway"].get("runtime", OTHER) is None, 60, "the runtime from before")
        gateway.must("up")
        gateway.must("apply")
        time.sleep(0.2)
    if act == "kill-candidate":
        _only_what_the_dead_one_held_broke(load.report)
    else:
        assert load.report.clean, explained(gateway, load.report.as_dict())
    if act != "kill-candidate":
        until(lambda: not gateway.status["notes"], 30, "the end of the last requests")
    status = gateway.status
    assert status["generation"] == status["desired_generation"]
    assert (status["generation"] != generation) == live
    assert (runtime(gateway), gateway_of(gateway)["litellm"]) == ((runtime(gateway), OTHER) if live else (None, HERE))
    assert status["notes"] == [] or act == "kill-candidate"
    assert gateway.must("verify")["ok"]
    if live:
        gateway.must("rollback", generation, "--reason", "the test is over")


def _only_what_the_dead_one_held_broke(report: LoadReport) -> None:
    """It was public when it was killed: what it was answering broke, one request of each client at most. Nobody was
    refused, given an error, or left waiting: who knocked meanwhile is answered by the generation before."""
    for name, kind in report.kinds.items():
        assert set(kind.failures) <= {"ReadError", "WriteError", "RemoteProtocolError"}, report.as_dict()
        assert kind.failures.total() + kind.truncated <= MIX.clients()[name], report.as_dict()


def executable(pid: int) -> str:
    return Path(f"/proc/{pid}/cmdline").read_text().split("\0")[0]


def test_runtimes_go_with_the_generations_that_need_them(gateway: Gateway) -> None:
    left = [path for path in (gateway.home / "state" / "runtimes").iterdir() if path.is_dir()]
    assert left
    for path in (gateway.home / "state" / "generations").iterdir():
        if json.loads((path / "manifest.json").read_text()).get("runtime") is not None:
            shutil.rmtree(path)
    gateway.must("disable", "one", "--force")
    assert not [path for path in left if path.exists()]
    gateway.must("enable", "one")


def history(gateway: Gateway, number: int) -> dict[str, Any]:
    manifest: dict[str, Any] = json.loads(
        (gateway.home / "state" / "generations" / f"{number:06d}" / "manifest.json").read_text()
    )
    return manifest


def explained(gateway: Gateway, report: dict[str, Any]) -> str:
    log = "\n".join(gateway.must("logs", "-n", "60")["lines"])
    return f"{json.dumps(report, indent=1)}\n{log}"
