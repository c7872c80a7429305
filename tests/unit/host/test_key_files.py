"""Keys that are no text, and keys where a container does not see them: of this machine it has ``secrets/``."""

from __future__ import annotations

from pathlib import Path

import pytest

from aiops.errors import InvalidState
from aiops.host.credentials import provider_keys, read_env, read_master_key, require_mounted
from aiops.host.instance import Instance, locate
from aiops.spec.load.load import load
from aiops.spec.shapes.model import DesiredState


@pytest.fixture
def instance(tmp_path: Path) -> Instance:
    made = locate(tmp_path)
    made.make_directories()
    return made


def state(key_file: str, supervisor: str = "container", status: str = "active") -> DesiredState:
    provider = (
        "providers:\n  lab:\n    type: vllm\n    base_url: http://127.0.0.1:8000\n"
        f"    status: {status}\n    models: [m]\n    api_key_file: {key_file}\n"
    )
    settings = f"gateway:\n  port: 4000\nsupervisor: {supervisor}\n"
    return load({"aiops.yaml": settings.encode(), "providers.yaml": provider.encode()}, {})


@pytest.mark.parametrize("written", ["lab.key", "~/lab.key"])
def test_a_key_file_is_beside_the_other_secrets_or_below_the_home(
    instance: Instance, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, written: str
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "person"))
    (tmp_path / "person").mkdir()
    file = instance.key_file(written)
    file.write_text("not-a-real-key\n")
    assert file == (tmp_path / "person" if "~" in written else instance.secrets) / "lab.key"
    lab = state(written).providers["lab"]
    assert provider_keys(instance, [lab], {}) == {"lab": "not-a-real-key"}


def test_a_key_file_elsewhere_is_named_with_its_line_and_what_to_type(instance: Instance, tmp_path: Path) -> None:
    with pytest.raises(InvalidState) as refused:
        require_mounted(instance, state("/etc/keys/lab.key"))
    (problem,) = refused.value.problems
    assert (problem.file, problem.line) == ("providers.yaml", 7)
    assert (
        problem.hint == f"`install -m 600 /etc/keys/lab.key {tmp_path}/secrets/lab.key`, then `api_key_file: lab.key`"
    )


@pytest.mark.parametrize("escape", ["../lab.key", "link"])
def test_nor_is_one_that_only_seems_to_be_in_secrets(instance: Instance, escape: str) -> None:
    (instance.secrets / "link").symlink_to("/etc/hostname")
    with pytest.raises(InvalidState):
        require_mounted(instance, state(escape))


def test_what_is_in_secrets_or_not_used_or_not_in_a_container_is_fine(instance: Instance) -> None:
    for fine in (
        state("lab.key"),
        state(str(instance.secrets / "lab.key")),
        state("/etc/keys/lab.key", status="disabled"),
        state("/etc/keys/lab.key", supervisor="process"),
    ):
        require_mounted(instance, fine)


def test_a_key_that_is_no_text_is_refused_like_any_other_bad_one(instance: Instance) -> None:
    instance.master_key.write_bytes(b"sk-" + bytes(range(128, 160)))
    instance.master_key.chmod(0o600)
    with pytest.raises(InvalidState) as refused:
        read_master_key(instance.master_key)
    assert [problem.message for problem in refused.value.problems] == [
        "the master key is weak: it holds characters that no HTTP header can carry"
    ]


def test_variables_that_are_no_text_are_named_with_their_line_and_never_quoted(instance: Instance) -> None:
    instance.env_file.write_bytes(b"A=1\nKEY=hunter\xff2\n")
    with pytest.raises(InvalidState) as refused:
        read_env(instance)
    (problem,) = refused.value.problems
    assert (problem.file, problem.line) == (str(instance.env_file), 2)
    assert "hunter" not in f"{problem}"
