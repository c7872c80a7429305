"""A generation tells the gateway who is asked directly; one of an aiops from before tells nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from aiops.gateway.worker import settings
from aiops.render.release import render
from aiops.spec.lanes.decide import decide
from aiops.spec.load.load import load
from aiops.spec.routes.resolve import resolve

SOURCES = {
    "aiops.yaml": b"gateway: {port: 4000}",
    "providers.yaml": b"providers: {p: {type: vllm, base_url: 'http://127.0.0.1:8000', models: [m]}}",
}
STATE = load(SOURCES, {})


@pytest.fixture
def generation(tmp_path: Path) -> Path:
    release = tmp_path / "7" / "release"
    release.mkdir(parents=True)
    for name, content in render(STATE, resolve(STATE), aiops_version="1").items():
        release.joinpath(name).write_bytes(content)
    return release.parent


def test_the_gateway_reads_what_was_decided(generation: Path) -> None:
    assert settings.load(generation).lanes == decide(STATE, resolve(STATE))


def test_a_generation_from_before_has_none(generation: Path) -> None:
    (generation / "release" / "lanes.json").unlink()
    assert settings.load(generation).lanes is None


@pytest.mark.parametrize("content", [b"", b"{}", b'{"mode": "auto", "direct": {"a": {"b": 1}}}'])
def test_a_damaged_one_is_said_to_be(generation: Path, content: bytes) -> None:
    (generation / "release" / "lanes.json").write_bytes(content)
    with pytest.raises(ValueError):
        settings.load(generation)
