"""A generation of an aiops from before has one lane, that of LiteLLM; whoever renews it is told what changes."""

from __future__ import annotations

from tests.kit.gateway import Gateway


def test_a_generation_from_before_asks_by_way_of_litellm_until_it_is_renewed(gateway: Gateway) -> None:
    generation = gateway.status["generation"]
    decided = gateway.home / f"state/generations/{generation:06}/release/lanes.json"
    decided.parent.chmod(0o755)
    decided.unlink()
    gateway.must("restart")
    assert gateway.ask("alpha").headers["x-aiops-lane"] == "litellm"
    [note] = [note for note in gateway.must("route", "explain", "alpha")["notes"] if "LiteLLM" in note]
    assert note.startswith(f"generation {generation}, which serves, was made by an aiops that asked everybody")
    [news] = gateway.must("plan")["notes"]
    assert "are asked without LiteLLM" in news
    assert news in gateway.must("apply")["notes"]
    assert gateway.ask("alpha").headers["x-aiops-lane"] == "direct"
    assert gateway.must("plan")["notes"] == []
