"""A gateway moves in and out: what was imported serves, and what is exported runs under LiteLLM alone."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import httpx
import pytest

from aiops.demo.child import DemoProvider
from tests.kit.gateway import Gateway
from tests.kit.tls import TLS
from tests.kit.waiting import free_port, until
from tests.kit.warm.product import ROOT

KEY = "sk-0815-the-key-clients-have-already"
PROVIDERS = """
# The lab's model servers
providers:
  one:
    type: openai_compatible
    base_url: ${ONE_URL:-http://127.0.0.1:9}  # by the window
    status: active
    env_var: ONE_KEY
    requires_api_key: true
    models:
      - name: alpha
        model_size_gb: 5
      - name: beta
  two:
    type: vllm
    url: http://%s/v1
    status: enabled
    gpu_memory_utilization: 0.4
    models: [gamma]
metadata: {version: "1.4"}
"""
MAPPINGS = """
exact_matches:
  "quick":
    provider: two
    backend_model: gamma
    fallback: one
    description: "the fast one"
fallback_chains:
  alpha:
    chain: [gamma, model-that-went]
notes: |
  regenerate after each edit
"""
GENERATED = """
# AUTO-GENERATED
model_list:
- model_name: alpha
  litellm_params: {model: openai/alpha, api_base: "%s/v1", api_key: os.environ/ONE_KEY}
- model_name: quick
  litellm_params: {model: openai/gamma, api_base: "http://10.9.9.9/v1", api_key: none}
router_settings: {timeout: 20, num_retries: 1}
general_settings: {master_key: %s}
"""


@pytest.fixture(scope="module")
def old(one: DemoProvider, two: DemoProvider, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What somebody has: two YAML files, what was generated from them, and a `.env`."""
    one.control(api_key="key-of-one")
    two.control(models=["gamma"])
    directory = tmp_path_factory.mktemp("old")
    (directory / "providers.yaml").write_text(PROVIDERS % two.url.removeprefix("http://"))
    (directory / "model-mappings.yaml").write_text(MAPPINGS)
    (directory / "litellm-unified.yaml").write_text(GENERATED % (one.url, KEY))
    (directory / ".env").write_text(f"ONE_KEY=key-of-one\nexport ONE_URL='{one.url}'\n")
    return directory


@pytest.fixture(scope="module")
def moved(old: Path) -> Iterator[Gateway]:
    """The gateway that became of it, running."""
    instance = Gateway()
    try:
        instance.must("import", old, "--supervisor", "process", "--port", instance.port)
        instance.up()
        yield instance
    finally:
        instance.destroy()


def test_what_was_imported_is_served_and_proved(moved: Gateway) -> None:
    assert moved.models() == ["alpha", "beta", "gamma", "quick"]
    assert moved.must("verify")["ok"]
    for model in moved.models():
        assert moved.ask(model).status_code == 200


def test_clients_keep_their_key(moved: Gateway) -> None:
    assert moved.key == KEY


def test_the_first_change_after_the_import_works(moved: Gateway, two: DemoProvider) -> None:
    two.control(models=["gamma", "delta"])
    moved.must("add-model", "two", "delta")
    assert moved.ask("delta").status_code == 200
    assert "# by the window" in moved.source("providers.yaml").read_text()


def test_an_import_over_an_instance_is_refused_and_changes_nothing(moved: Gateway, old: Path) -> None:
    before = moved.snapshot()
    answer = moved.cli("import", old)
    assert answer.code == 4
    assert "--home" in answer.hint
    assert moved.snapshot() == before


def test_a_dry_run_makes_nothing_and_reports_the_edits_of_the_generated_file(old: Path, tmp_path: Path) -> None:
    instance = Gateway()
    instance.home.rmdir()
    report = tmp_path / "report.txt"
    answer = instance.must("import", old, "--dry-run", "--report", report)
    assert not instance.home.exists()
    assert [edit["key"] for edit in answer["report"]["edits"]] == ["model_list[1].litellm_params.api_base"]
    assert "taken out of model-mappings.yaml" in report.read_text()
    assert "key-of-one" not in report.read_text()


@contextmanager
def stock(config: Path, directory: Path, env: dict[str, str]) -> Iterator[str]:
    """LiteLLM's own command, without aiops on its path; its URL."""
    port = free_port()
    log = (directory / "stock.log").open("wb")
    argv = [ROOT / ".venv/bin/litellm", "--config", config, "--host", "127.0.0.1", "--port", str(port)]

    process = subprocess.Popen(
        argv,
        cwd=directory,
        env={**os.environ, **env, "LITELLM_LOCAL_MODEL_COST_MAP": "True"},
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=subprocess.STDOUT,
    )
    url = f"http://127.0.0.1:{port}"

    def ready() -> bool:
        assert process.poll() is None, (directory / "stock.log").read_text()[-2000:]
        try:
            return httpx.get(f"{url}/health/liveliness", timeout=2, trust_env=False, verify=TLS).status_code == 200
        except httpx.HTTPError:
            return False

    try:
        until(ready, 180, "stock LiteLLM")
        yield url
    finally:
        process.terminate()
        try:
            process.wait(15)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        log.close()


def test_what_is_exported_runs_under_litellm_alone(moved: Gateway, one: DemoProvider, tmp_path: Path) -> None:
    config = tmp_path / "stock.yaml"
    moved.must("generate", "--stock", "--out", config)
    assert "aiops." not in config.read_text()
    env = {"LITELLM_MASTER_KEY": KEY, "ONE_KEY": "key-of-one"}
    with (
        stock(config, tmp_path, env) as url,
        httpx.Client(base_url=url, trust_env=False, verify=TLS, timeout=30) as client,
    ):
        client.headers["authorization"] = f"Bearer {KEY}"
        listed = sorted(item["id"] for item in client.get("/v1/models").json()["data"])
        assert listed == moved.models()
        body = {"messages": [{"role": "user", "content": "hello"}], "max_tokens": 4}
        for model in listed:
            assert client.post("/v1/chat/completions", json={"model": model, **body}).status_code == 200
        assert client.get("/v1/models", headers={"authorization": "Bearer wrong"}).status_code in (400, 401)
        one.control(mode="500", paths=["/v1/chat"])
        fallen_back = client.post("/v1/chat/completions", json={"model": "alpha", **body})
        one.control(mode="ok", paths=[])
        assert fallen_back.status_code == 200
        assert fallen_back.json()["model"] == "gamma"


STARS = """
model_list:
  - model_name: "lan/*"
    litellm_params: {model: "openai/*", api_base: "%s/v1", api_key: none}
  - model_name: "claude-*"
    litellm_params: {model: openai/alpha, api_base: "%s/v1", api_key: none}
general_settings: {master_key: %s}
"""


@pytest.mark.shows("model-mappings.yaml: patterns[].rename")
def test_a_name_with_a_star_reaches_the_server_without_its_prefix(two: DemoProvider, tmp_path: Path) -> None:
    two.control(models=["gamma", "alpha"])
    (tmp_path / "config.yaml").write_text(STARS % (two.url, two.url, KEY))
    instance = Gateway()
    try:
        instance.must("import", tmp_path / "config.yaml", "--supervisor", "process", "--port", instance.port)
        instance.up()
        for asked, arrives in (("lan/gamma", "gamma"), ("claude-of-the-day", "alpha")):
            two.forget_requests()
            assert instance.ask(asked).status_code == 200
            posted = [request["body"]["model"] for request in two.requests() if request["method"] == "POST"]
            assert posted == [arrives]
    finally:
        instance.destroy()


PROVED = sorted((ROOT / "tests/cases/import").glob("proved_*"))


@pytest.mark.parametrize("case", PROVED, ids=lambda case: case.name)
def test_an_import_is_proved_against_litellm_itself(case: Path, tmp_path: Path) -> None:
    shutil.copy(case / "input/config.yaml", tmp_path)
    if (case / "input/dotenv").exists():
        shutil.copy(case / "input/dotenv", tmp_path / ".env")
    instance = Gateway()
    instance.home.rmdir()
    answer = instance.must("import", tmp_path / "config.yaml", "--prove", "--dry-run", timeout=400)
    proof = answer["proof"]
    assert proof["asked"] > 30
    assert [each for each in proof["differences"] if not each["why"]] == []
    # What it compares arrives: with the original in the place of the import there would be none.
    assert {each["what"] for each in proof["differences"]} & {"path", "status", "server", "listed"}
    assert not instance.home.exists()


@pytest.mark.parametrize(("number", "heard"), [(signal.SIGTERM, "starting"), (signal.SIGINT, "asking")])
def test_a_proof_that_is_ended_leaves_nothing_behind(number: int, heard: str, tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_bytes((PROVED[0] / "input/config.yaml").read_bytes())
    with tempfile.TemporaryDirectory(prefix="room-") as room:  # short: there are sockets in it
        _end_a_proof(tmp_path, Path(room), number, heard)


def _end_a_proof(tmp_path: Path, place: Path, number: int, heard: str) -> None:
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # what is ignored here would be there, too
    proof = subprocess.Popen(
        [sys.executable, "-m", "aiops", "--home", tmp_path / "home", "import", tmp_path / "config.yaml", "--prove"],
        env={**os.environ, "TMPDIR": str(place)},
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    signal.signal(signal.SIGINT, before)
    try:
        assert proof.stderr is not None
        for line in proof.stderr:
            if line.startswith(heard):
                break
        until(lambda: len(_at_work_in(place)) >= 2, 90, "both at work")
    finally:
        proof.send_signal(number)
        proof.communicate()
    assert proof.returncode == 130
    assert _at_work_in(place) == []
    assert list(place.iterdir()) == []
    assert not (tmp_path / "home").exists()


def _at_work_in(place: Path) -> list[str]:
    """The command lines of processes that were started with something below ``place``."""
    found = []
    for each in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):
            found.append(each.read_bytes().replace(b"\0", b" ").decode())
    return [line for line in found if str(place) in line]
