"""Whoever renews a release of an aiops from before is told that providers are asked directly now; once."""

from __future__ import annotations

from aiops.render.lanes import NAME, news
from aiops.render.release import render
from aiops.spec.load.load import load
from aiops.spec.routes.resolve import resolve


def release(gateway: str = "") -> dict[str, bytes]:
    providers = b"""
providers:
  cards: {type: vllm, base_url: 'http://cards:8000', models: [chat-7b]}
  lab: {type: ollama, base_url: 'http://lab:11434', models: [llama3]}
"""
    state = load({"aiops.yaml": f"gateway: {{port: 4000{gateway}}}".encode(), "providers.yaml": providers}, {})
    return render(state, resolve(state), aiops_version="1")


def test_it_is_said_once_and_only_where_something_changes() -> None:
    now = release()
    before = {name: content for name, content in now.items() if name != NAME}
    [said] = news(before, now)
    assert said.startswith("from now on 1 of 2 deployments are asked without LiteLLM (docs/lanes.md); ")
    assert not [*news(now, now), *news({}, now), *news(now, before)]
    assert not [*news(before, release(", lanes: litellm"))]
