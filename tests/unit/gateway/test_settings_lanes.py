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


@pytest.mark.parametrize("name", ["lanes.json", "routing.json", "gateway.json"])
@pytest.mark.parametrize("content", [b"", b"\xff", b"[]", b"{}"])
def test_a_damaged_one_is_said_to_be(generation: Path, name: str, content: bytes) -> None:
    (generation / "release" / name).write_bytes(content)
    with pytest.raises(ValueError, match=f"{name} is damaged"):
        settings.load(generation)


@pytest.mark.parametrize("direct", [b"[]", b'{"a": {"b": 1}}'])
def test_so_is_one_whose_content_is_of_another_shape(generation: Path, direct: bytes) -> None:
    (generation / "release" / "lanes.json").write_bytes(b'{"mode": "auto", "why_not": {}, "direct": %s}' % direct)
    with pytest.raises(ValueError, match=r"lanes\.json is damaged"):
        settings.load(generation)
