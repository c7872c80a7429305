"""model-mappings.yaml, key by key."""

from __future__ import annotations

from tests.effects.case import Case, Documents, Explains, Flips, Off, Refuses

BALANCED = "load_balancing.*"
CAPABILITY = "capabilities.*"
RULES = "routing_rules"
BIG = "routing_rules.request_metadata_routing.*"
SIZE = "routing_rules.model_size_routing[]"
SPECIAL = "special_cases"

WEIGHTS = """\
      - {{provider: cards, preferred_model: chat-7b, condition: "tokens > 10 and not local_saturated", weight: {}}}
      - {{provider: lab, weight: {}"""


def _first(name: str, old: str, new: str, who: str, tokens: int = 0) -> Explains:
    return Explains(name, old, new, f"asked first: {who}", tokens)


CASES: dict[str, Case] = {
    "exact_matches.*.provider": Flips(
        "fast: {provider: lab, backend_model: llama3, fallback: chat-7b",
        "fast: {provider: cards, backend_model: chat-7b, fallback: llama3",
        '{"fast": ["llama3"]}',
    ),
    "exact_matches.*.backend_model": Flips(
        "fast: {provider: lab, backend_model: llama3",
        "fast: {provider: lab, backend_model: coder",
        '"ollama_chat/coder"',
    ),
    "exact_matches.*.fallback": Flips(
        "fallback: chat-7b, priority", "fallback: coder, priority", '{"fast": ["coder"]}'
    ),
    "exact_matches.*.rate_limit.rpm": Flips("rpm: 100", "rpm: 101", '"rpm": 101', live=True),
    "exact_matches.*.rate_limit.tpm": Flips("tpm: 2000", "tpm: 2001", '"tpm": 2001', live=True),
    "exact_matches.*.options": Flips("temperature: 0.5", "temperature: 0.6", '"temperature": 0.6'),
    "exact_matches.*.priority": Documents("priority: primary", "priority: secondary", '"secondary"'),
    "exact_matches.*.description": Documents("description: quick", "description: quickest", '"quickest"'),
    "exact_matches.*.notes": Documents("notes: n1", "notes: n3", '"notes": "n3"'),
    "exact_matches.*.tags": Documents("tags: [alias]", "tags: [other]", '["other"]'),
    "fallback_chains.*.chain": Flips("chain: [llama3]", "chain: [coder]", '{"chat-7b": ["coder"]}'),
    "fallback_chains.*.context_window": Flips(
        "context_window: [coder]", "context_window: [spare]", '"context_window_fallbacks": [{"chat-7b": ["spare"]}'
    ),
    "fallback_chains.*.content_policy": Flips(
        "content_policy: [spare]", "content_policy: [coder]", '"content_policy_fallbacks": [{"chat-7b": ["coder"]}'
    ),
    "fallback_chains.*.description": Documents("description: down the stairs", "description: up", '"up"'),
    "fallback_chains.*.tier": Documents("tier: local", "tier: cloud", '"fallback_tier": "cloud"'),
    "fallback_chains.*.notes": Documents("notes: n2", "notes: n4", '"fallback_notes": "n4"'),
    f"{BALANCED}.providers[].provider": Flips(
        "{provider: lab, weight: 0.3, preferred_model: llama3",
        "{provider: third, weight: 0.3",
        '"model": "openai/other"',
    ),
    f"{BALANCED}.providers[].weight": Flips(WEIGHTS.format(0.7, 0.3), WEIGHTS.format(0.6, 0.4), '"weight": 0.6'),
    f"{BALANCED}.providers[].condition": _first(
        "chat", 'condition: "tokens > 10 and', 'condition: "tokens < 10 and', "cards"
    ),
    f"{BALANCED}.providers[].preferred_model": Flips("preferred_model: llama3", "preferred_model: coder", '"coder"'),
    f"{BALANCED}.providers[].options": Flips("options: {seed: 1}", "options: {seed: 2}", '"seed": 2'),
    f"{BALANCED}.strategy": Flips(
        "strategy: weighted_round_robin", "strategy: fastest_response", '"strategy": "fastest_response"'
    ),
    f"{BALANCED}.parameters.saturation_threshold": Flips(
        "saturation_threshold: 0.7", "saturation_threshold: 0.6", '"saturation_threshold": 0.6'
    ),
    f"{BALANCED}.parameters.imbalance_factor": Flips("imbalance_factor: 2", "imbalance_factor: 3", '"factor": 3'),
    f"{BALANCED}.parameters.imbalance_requests": Flips(
        "imbalance_requests: 8", "imbalance_requests: 9", '"requests": 9'
    ),
    f"{BALANCED}.parameters.complexity_detection": Refuses(
        "complexity_detection: token_count", "complexity_detection: guess", "should be one of token_count"
    ),
    f"{BALANCED}.description": Documents("description: two servers", "description: both servers", '"both servers"'),
    f"{BALANCED}.notes": Documents("notes: n5", "notes: n6", '"n6"'),
    f"{CAPABILITY}.description": Documents("description: programs", "description: scripts", '"scripts"'),
    f"{CAPABILITY}.notes": Documents("notes: n7", "notes: n8", '"n8"'),
    f"{CAPABILITY}.preferred_models": _first("code", "[coder, chat-7b]", "[chat-7b, coder]", "cards/chat-7b"),
    f"{CAPABILITY}.provider": _first("alone", "alone: {provider: lab", "alone: {provider: third", "third/"),
    f"{CAPABILITY}.providers": _first("several", "providers: [lab, cards]", "providers: [cards, lab]", "cards/"),
    f"{CAPABILITY}.fallback": Flips("fallback: llama3, min", "fallback: spare, min", '"code": ["spare"]'),
    f"{CAPABILITY}.routing_strategy": Flips(
        "routing_strategy: direct", "routing_strategy: most_capacity", '"most_capacity"'
    ),
    f"{CAPABILITY}.min_context": _first("code", "min_context: 2048", "min_context: 8192", "cards/chat-7b"),
    f"{CAPABILITY}.min_model_size": _first("code", "min_model_size: 3B", "min_model_size: 7B", "cards/chat-7b"),
    f"{CAPABILITY}.complexity_thresholds.low.model": _first(
        "by-work",
        "low: {model: coder, above: 0}",
        "low: {model: spare, above: 0}",
        "cards/spare",
        tokens=1,
    ),
    f"{CAPABILITY}.complexity_thresholds.low.above": Refuses(
        "low: {model: coder, above: 0}", "low: {model: coder, above: 70}", "above"
    ),
    f"{CAPABILITY}.complexity_thresholds.medium.model": _first(
        "by-work", "medium: {model: llama3", "medium: {model: spare", "cards/spare", tokens=65
    ),
    f"{CAPABILITY}.complexity_thresholds.medium.above": _first(
        "by-work", "above: 60", "above: 70", "lab/coder", tokens=65
    ),
    f"{CAPABILITY}.complexity_thresholds.high.model": _first(
        "by-work", "high: {model: chat-7b", "high: {model: spare", "cards/spare", tokens=130
    ),
    f"{CAPABILITY}.complexity_thresholds.high.above": _first(
        "by-work", "above: 120", "above: 140", "lab/llama3", tokens=130
    ),
    f"{CAPABILITY}.context_thresholds.standard.model": _first(
        "by-length", "standard: {model: coder", "standard: {model: spare", "cards/spare", tokens=1
    ),
    f"{CAPABILITY}.context_thresholds.standard.above": Refuses("above: 1}", "above: 1200}", "above"),
    f"{CAPABILITY}.context_thresholds.complex.model": _first(
        "by-length", "complex: {model: llama3", "complex: {model: spare", "cards/spare", tokens=1150
    ),
    f"{CAPABILITY}.context_thresholds.complex.above": _first(
        "by-length", "above: 1100", "above: 1200", "lab/coder", tokens=1150
    ),
    f"{CAPABILITY}.context_thresholds.large.model": _first(
        "by-length", "large: {model: chat-7b", "large: {model: spare", "cards/spare", tokens=2150
    ),
    f"{CAPABILITY}.context_thresholds.large.above": _first(
        "by-length", "above: 2100", "above: 2200", "lab/llama3", tokens=2150
    ),
    "patterns[].pattern": _first("gpt-4", 'pattern: "^gpt-"', 'pattern: "^gtp-"', "lab/gpt-4"),
    "patterns[].provider": _first(
        "gpt-4",
        "provider: cards, fallback: spare, backend_model: chat-7b",
        "provider: third, fallback: spare, backend_model: other",
        "third/other",
    ),
    "patterns[].fallback": Explains("gpt-4", "fallback: spare", "fallback: coder", "the fallback `coder`"),
    "patterns[].backend_model": _first("gpt-4", "backend_model: chat-7b}", "backend_model: spare}", "cards/spare"),
    "patterns[].rename": Flips(
        "rename: '\\1'",
        "rename: 'org/\\1'",
        '"rename": "org/\\\\1"',
        live="tests/e2e/test_import.py::test_a_name_with_a_star_reaches_the_server_without_its_prefix",
    ),
    "patterns[].description": Explains("gpt-4", "description: renamed", "description: borrowed", "borrowed"),
    "patterns[].priority": Explains("gpt-4", "priority: 1", "priority: 2", "`priority: 2`"),
    f"{RULES}.default_strategy": Flips(
        "default_strategy: round-robin", "default_strategy: usage_based", '"strategy": "usage_based"'
    ),
    f"{RULES}.default_provider": _first("unheard-of", "default_provider: lab", "default_provider: third", "third/"),
    f"{RULES}.default_fallback": Explains(
        "unheard-of", "default_fallback: chat-7b", "default_fallback: spare", "the fallback `spare`"
    ),
    f"{BIG}.provider": Flips("big: {provider: cards", "big: {provider: third", '"provider": "third"'),
    f"{BIG}.condition": Explains("chat", '"tokens > 5000"', '"tokens > 10"', "the routing rule `big`", tokens=100),
    f"{BIG}.description": Explains("chat", "description: long ones", "description: longest", "longest", tokens=6000),
    f"{SIZE}.size": _first("new:9b", 'size: "< 8B"', 'size: "< 10B"', "third/"),
    f"{SIZE}.provider": _first("new:7b", "provider: third, fallback", "provider: cards, fallback", "cards/"),
    f"{SIZE}.fallback": Explains(
        "new:7b", "fallback: coder, reason", "fallback: spare, reason", "the fallback `spare`"
    ),
    f"{SIZE}.reason": Explains("new:7b", "reason: small ones", "reason: tiny ones", "tiny ones"),
    f"{SPECIAL}.first_request_routing.strategy": Refuses(
        "prefer_warm_providers", "prefer_cold_providers", "`prefer_warm_providers`"
    ),
    f"{SPECIAL}.first_request_routing.warm_check_timeout_ms": Flips(
        "warm_check_timeout_ms: 100", "warm_check_timeout_ms: 200", '"warm_check": 0.2'
    ),
    f"{SPECIAL}.first_request_routing.description": Explains("chat", "description: s1", "description: s5", "s5"),
    f"{SPECIAL}.rate_limited_fallback.description": Explains("chat", "description: s2", "description: s6", "s6"),
    f"{SPECIAL}.error_based_routing.description": Explains("chat", "description: s3", "description: s7", "s7"),
    f"{SPECIAL}.geographic_routing.description": Off(),
    f"{SPECIAL}.geographic_routing.prefer_local": Off(),
    f"{SPECIAL}.rate_limited_fallback.enabled": Flips(
        "rate_limited_fallback: {enabled: true", "rate_limited_fallback: {enabled: false", '"rate_limited": null'
    ),
    f"{SPECIAL}.rate_limited_fallback.fallback_duration_seconds": Flips(
        "fallback_duration_seconds: 60", "fallback_duration_seconds: 61", '"rate_limited": 61'
    ),
    f"{SPECIAL}.error_based_routing.enabled": Flips(
        "error_based_routing: {enabled: true", "error_based_routing: {enabled: false", '"error_threshold": null'
    ),
    f"{SPECIAL}.error_based_routing.error_threshold": Flips(
        "error_threshold: 3", "error_threshold: 4", '"error_threshold": 4'
    ),
    f"{SPECIAL}.error_based_routing.cooldown_seconds": Flips(
        "cooldown_seconds: 62", "cooldown_seconds: 63", '"cooldown": 63'
    ),
    f"{SPECIAL}.geographic_routing.enabled": Refuses(
        "geographic_routing: {enabled: false", "geographic_routing: {enabled: true", "routing by place is not supported"
    ),
}
