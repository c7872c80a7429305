"""model-mappings.yaml, key by key."""

from __future__ import annotations

from tests.effects.case import Case, Documents, Flips

CASES: dict[str, Case] = {
    "exact_matches.*.provider": Flips(
        "fast: {provider: lab, backend_model: llama3, fallback: chat-7b",
        "fast: {provider: cards, backend_model: chat-7b, fallback: llama3",
        '"hosted_vllm/chat-7b"',
        count=2,
    ),
    "exact_matches.*.backend_model": Flips(
        "backend_model: llama3", "backend_model: coder", '"ollama_chat/coder"', count=2
    ),
    "exact_matches.*.fallback": Flips("fallback: chat-7b", "fallback: coder", '{"fast": ["coder"]}'),
    "exact_matches.*.priority": Documents("priority: primary", "priority: secondary", '"secondary"'),
    "exact_matches.*.description": Documents("description: quick", "description: quickest", '"quickest"'),
    "exact_matches.*.notes": Documents("notes: n1", "notes: n3", '"notes": "n3"'),
    "exact_matches.*.tags": Documents("tags: [alias]", "tags: [other]", '["other"]'),
    "fallback_chains.*.chain": Flips("chain: [llama3]", "chain: [coder]", '{"chat-7b": ["coder"]}'),
    "fallback_chains.*.description": Documents("description: down the stairs", "description: up", '"up"'),
    "fallback_chains.*.tier": Documents("tier: local", "tier: cloud", '"fallback_tier": "cloud"'),
    "fallback_chains.*.notes": Documents("notes: n2", "notes: n4", '"fallback_notes": "n4"'),
}
