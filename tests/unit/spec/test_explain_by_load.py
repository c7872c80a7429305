"""`aiops route explain` of groups that go by load: who is asked how busy it is, and how long a conversation stays."""

from __future__ import annotations

from aiops.spec.choosing.request_facts import facts_of
from aiops.spec.load.load import load
from aiops.spec.routes.explain import Explainer, Explanation
from aiops.spec.routes.resolve import resolve


def test_who_is_asked_how_busy_it_is_is_said_and_how_long_a_conversation_stays() -> None:
    providers = """\
providers:
  cards: {type: vllm, base_url: http://cards:8000, models: [m]}
  cpp: {type: llama_cpp, base_url: http://cpp:8080, models: [m]}
  lab: {type: ollama, base_url: http://lab:11434, models: [m]}
"""
    mappings = """\
load_balancing:
  m: {strategy: %s, providers: [{provider: cards}, {provider: cpp}, {provider: lab}]%s}
"""

    def told(strategy: str, parameters: str = "") -> Explanation:
        files = {"providers.yaml": providers, "model-mappings.yaml": mappings % (strategy, parameters)}
        files["aiops.yaml"] = "gateway: {port: 4000}"
        state = load({name: text.encode() for name, text in files.items()}, {})
        return Explainer(state, resolve(state)).explain(
            facts_of("m", headers={}, tokens=0, length=0, stream=False, batch_size=1)
        )

    asked_by_itself = (
        "`cards` is asked how busy it is: what waits there counts first (http://cards:8000/metrics)",
        "`cpp` is asked how busy it is: what waits there counts first (http://cpp:8080/metrics or /slots)",
    )
    assert told("least_loaded").notes == asked_by_itself
    assert {step.why for step in told("least_loaded").members} == {
        "0 of 256 slots are taken",
        "0 of 1 slots are taken",
    }
    stays = (
        "a conversation stays with the server that had most of it; it leaves one that would let it wait where another "
    )
    stays += "would not, or that has more than {} times and {} requests more than the least loaded one"
    kept = told("cache_aware", ", parameters: {imbalance_factor: 2}")
    assert kept.notes == (stays.format("2", "4"), *asked_by_itself)
    assert told("cache_aware").notes[0] == stays.format("1.5", "4")
    assert kept.members[0].why.startswith("no prompt to go by; 0 of ")
    assert told("round-robin").notes == ()
