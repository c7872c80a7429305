"""What an import finds, what it refuses, and that nothing is left of one that failed."""

from __future__ import annotations

from pathlib import Path

import pytest

from aiops import cli
from aiops.actions import takeover
from aiops.errors import InvalidState, Precondition, UsageError
from aiops.host import files
from aiops.host.instance import Instance, locate

CONFIG = """model_list:
  - model_name: small
    litellm_params: {model: openai/small, api_base: http://127.0.0.1:8000/v1}
general_settings: {master_key: sk-0815-a-key-that-is-long-enough}
"""
PROVIDERS = "providers: {p: {type: vllm, base_url: 'http://127.0.0.1:8000', models: [m]}}\n"


@pytest.fixture
def instance(tmp_path: Path) -> Instance:
    return locate(tmp_path / "home")


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "found" / "config.yaml"
    path.parent.mkdir()
    path.write_text(CONFIG)
    return path


def bring(instance: Instance, path: Path) -> takeover.Takeover:
    thought = takeover.plan(instance, takeover.look(path, {}))
    takeover.carry_out(instance, thought)
    return thought


def test_the_key_of_the_old_gateway_is_the_key_of_the_new_one(instance: Instance, config: Path) -> None:
    bring(instance, config)
    assert instance.master_key.read_text() == "sk-0815-a-key-that-is-long-enough\n"


def test_a_weak_key_is_replaced_and_that_is_said(instance: Instance, config: Path) -> None:
    config.write_text(CONFIG.replace("sk-0815-a-key-that-is-long-enough", "sk-1234"))
    thought = bring(instance, config)
    assert len(instance.master_key.read_text()) > 20
    assert any("a new one was made" in remark.lower() for remark in thought.imported.report.remarks)


def test_an_instance_is_never_overwritten(instance: Instance, config: Path) -> None:
    bring(instance, config)
    before = {path: path.read_bytes() for path in instance.config.iterdir()}
    with pytest.raises(Precondition, match="there is an instance") as caught:
        bring(instance, config)
    assert "--home" in caught.value.hint
    assert before == {path: path.read_bytes() for path in instance.config.iterdir()}


def test_beside_an_instance_a_dry_run_shows_the_report_as_the_refusal_says(
    instance: Instance, config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bring(instance, config)
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    command = ["--home", str(instance.home), "import", str(config)]
    assert cli.run(command) == 4
    assert "--dry-run" in capsys.readouterr().err
    assert cli.run([*command, "--dry-run"]) == 0
    assert "model_list[0].litellm_params.model" in capsys.readouterr().out
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before


def test_files_that_are_in_the_way_are_named_and_kept(instance: Instance, config: Path) -> None:
    instance.config.mkdir(parents=True)
    mine = instance.config / "providers.yaml"
    mine.write_text("# mine\n")
    with pytest.raises(Precondition, match=r"providers\.yaml would be overwritten"):
        bring(instance, config)
    assert mine.read_text() == "# mine\n"
    assert not instance.exists


def test_an_import_that_was_interrupted_is_finished_by_the_next(instance: Instance, config: Path) -> None:
    thought = takeover.plan(instance, takeover.look(config, {}))
    instance.config.mkdir(parents=True)
    (instance.config / "providers.yaml").write_bytes(thought.config[instance.config / "providers.yaml"])
    takeover.carry_out(instance, thought)
    assert instance.exists


def test_nothing_is_left_when_the_disk_is_full(
    instance: Instance, config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = files.write

    def full(path: Path, content: bytes, mode: int | None = None) -> None:
        if path.name == "model-mappings.yaml":
            raise OSError(28, "No space left on device")
        real(path, content, mode)

    monkeypatch.setattr(files, "write", full)
    with pytest.raises(Precondition, match="No space left") as caught:
        bring(instance, config)
    assert "df -h" in caught.value.hint
    assert instance.home is not None
    assert not instance.home.exists()


def test_a_file_that_writes_a_key_twice_is_refused_with_both_lines(instance: Instance, tmp_path: Path) -> None:
    (tmp_path / "providers.yaml").write_text(PROVIDERS)
    (tmp_path / "model-mappings.yaml").write_text("exact_matches:\n  m: {provider: p}\n  m: {provider: q}\n")
    with pytest.raises(InvalidState, match="line 2") as caught:
        bring(instance, tmp_path)
    assert caught.value.problems[0].line == 3
    assert not instance.config.exists()


def test_what_is_not_there_and_what_is_neither_are_usage_errors(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="there is nothing at"):
        takeover.look(tmp_path / "nowhere", {})
    with pytest.raises(UsageError, match=r"has no providers\.yaml"):
        takeover.look(tmp_path, {})


@pytest.mark.parametrize("name", ["providers.yaml", "compose.yaml"])
def test_a_file_that_is_no_litellm_configuration_is_refused_and_the_directory_is_named(
    tmp_path: Path, name: str
) -> None:
    (tmp_path / name).write_text(PROVIDERS)
    with pytest.raises(UsageError, match=f"{name} is no LiteLLM configuration") as caught:
        takeover.look(tmp_path / name, {})
    assert f"`aiops import {tmp_path}`" in caught.value.hint


def test_a_litellm_configuration_without_models_is_one(tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text("general_settings: {master_key: os.environ/KEY}\n")
    assert takeover.look(tmp_path / "config.yaml", {}).config is not None


def test_a_report_that_cannot_be_written_leaves_no_instance(instance: Instance, config: Path, tmp_path: Path) -> None:
    nowhere = tmp_path / "missing" / "report.txt"
    assert cli.run(["--home", str(instance.home), "import", str(config), "--report", str(nowhere)]) == 4
    assert not instance.exists


def test_a_directory_with_one_litellm_file_is_that_file_and_with_two_it_is_a_question(config: Path) -> None:
    found = takeover.look(config.parent, {})
    assert found.config is not None
    assert found.config[0] == "config.yaml"
    (config.parent / "other.yaml").write_text(CONFIG)
    with pytest.raises(UsageError, match=r"config\.yaml, other\.yaml"):
        takeover.look(config.parent, {})


def test_the_config_folder_of_a_checkout_is_found(tmp_path: Path) -> None:
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "providers.yaml").write_text(PROVIDERS)
    assert "providers.yaml" in takeover.look(tmp_path, {}).files


def test_what_the_command_line_says_counts_more_than_what_was_found(instance: Instance, tmp_path: Path) -> None:
    (tmp_path / "providers.yaml").write_text(PROVIDERS)
    (tmp_path / "ports.yaml").write_text("litellm_gateway: {port: 4100}\n")
    found = takeover.look(tmp_path, {("gateway", "port"): 4200, ("supervisor",): "process"})
    settings = takeover.plan(instance, found).config[instance.config / "aiops.yaml"].decode()
    assert "port: 4200" in settings
    assert "supervisor: process" in settings


def test_an_instances_own_directory_comes_back_as_it_was(instance: Instance, tmp_path: Path) -> None:
    mappings = "exact_matches:\n  x: {provider: p, backend_model: m}  # why\n"
    sources = {"aiops.yaml": "gateway: {port: 4321}\n", "providers.yaml": PROVIDERS, "model-mappings.yaml": mappings}
    for name, text in sources.items():
        (tmp_path / name).write_text(text)
    bring(instance, tmp_path)
    assert {name: (instance.config / name).read_text() for name in sources} == sources
