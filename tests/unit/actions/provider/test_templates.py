"""A template of providers.yaml is an example: no verb goes to the address that it shows."""

from __future__ import annotations

from pathlib import Path

import pytest

from aiops import cli
from aiops.host.instance import locate
from aiops.host.setup import make_instance


@pytest.mark.parametrize(
    "arguments",
    [
        ("provider", "status", "template_vllm"),
        ("provider", "discover", "template_vllm"),
        ("provider", "start", "template_vllm"),
        ("provider", "stop", "template_vllm"),
        ("provider", "install", "template_vllm"),
        ("switch", "template_vllm", "template_ollama"),
        ("add-model", "template_ollama", "llama3.1:8b", "--pull"),
    ],
    ids=" ".join,
)
def test_a_template_is_refused_by_name(
    arguments: tuple[str, ...], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    home = tmp_path / "home"
    make_instance(locate(home), profile=None, supervisor="process", port=4711)
    assert cli.run(["--home", str(home), *arguments]) == 4
    assert "is a template\nhint: copy it to a provider of its own first" in capsys.readouterr().err
