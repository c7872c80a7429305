"""providers.yaml, key by key."""

from __future__ import annotations

from tests.effects.case import Case, Documents, Explains, Flips, Refuses, ShownBy

CASES: dict[str, Case] = {
    "max_parallel": Flips("max_parallel: 32", "max_parallel: 33", '"parallel": 33'),
    "lane": Flips("max_parallel: 32", "max_parallel: 32\n    lane: litellm", "`cards` has `lane: litellm`"),
    "queue.most": Flips("most: 20", "most: 21", '"most": 21'),
    "queue.seconds": Flips("seconds: 30}", "seconds: 31}", '"seconds": 31'),
    "cost_per_1k_tokens": Flips("cost_per_1k_tokens: 0.001", "cost_per_1k_tokens: 0.003", '"cost": 0.003'),
    "options": Flips("top_p: 0.9", "top_p: 0.8", '"top_p": 0.8'),
    "allow_link_local": Refuses("allow_link_local: true", "allow_link_local: false", "link-local"),
    "models[].cost_per_1k_tokens": Flips("cost_per_1k_tokens: 0.002", "cost_per_1k_tokens: 0.004", '"cost": 0.004'),
    "models[].cost_per_1k_tokens.input": Flips("input: 0.01", "input: 0.03", '"input_cost_per_token": 3e-05'),
    "models[].cost_per_1k_tokens.output": Flips("output: 0.02", "output: 0.04", '"output_cost_per_token": 4e-05'),
    "models[].cost_per_1k_tokens.cached": Flips(
        "cached: 0.005", "cached: 0.006", '"cache_read_input_token_cost": 6e-06'
    ),
    "models[].max_output_tokens": Flips(
        "max_output_tokens: 4096", "max_output_tokens: 4097", '"max_output_tokens": 4097'
    ),
    "models[].base_model": Flips("base_model: azure/gpt-4o", "base_model: azure/gpt-4", '"base_model": "azure/gpt-4"'),
    "models[].public": Flips("public: false", "public: true", '"model_name": "quiet"'),
    "models[].supports.reasoning": Flips("reasoning: true", "reasoning: false", '"supports_reasoning": false'),
    "models[].supports.vision": Flips("vision: true", "vision: false", '"supports_vision": false'),
    "models[].supports.function_calling": Flips(
        "function_calling: true", "function_calling: false", '"supports_function_calling": false'
    ),
    "exact_url": Flips("exact_url: true", "exact_url: false", '"http://169.254.10.1:8000/v1"'),
    "same_server_as": Refuses("same_server_as: third", "same_server_as: lab", "do not have the same host and port"),
    "models[].options": Flips("repeat_last_n: 64", "repeat_last_n: 65", '"repeat_last_n": 65'),
    "type": Flips("type: vllm", "type: openai_compatible", '"openai/chat-7b"'),
    "base_url": Flips("${LAB_HOST:-lab}:8000", "${LAB_HOST:-lab}:8001", '"http://lab:8001/v1"'),
    "status": Explains("chat-7b", "status: active", "status: disabled", "asked first: lab/llama3"),
    "health_endpoint": Flips("health_endpoint: /health", "health_endpoint: /ping", '"http://lab:8000/ping"'),
    "api_key_env": Flips("api_key_env: CARDS_KEY", "api_key_env: OTHER_KEY", "os.environ/OTHER_KEY"),
    "api_key_file": Flips("/etc/aiops/lab.key", "/etc/aiops/new.key", "/etc/aiops/new.key"),
    "billable": ShownBy(),
    "service.unit": ShownBy(),
    "service.scope": ShownBy(),
    "service.exclusive_group": ShownBy(),
    "description": Documents("description: the two cards", "description: one card", '"one card"'),
    "features": Documents("features: [fast]", "features: [slow]", '["slow"]'),
    "docs": Documents("docs: https://docs.vllm.ai", "docs: https://vllm.ai", '"https://vllm.ai"'),
    "notes": Documents("notes: in the cellar", "notes: upstairs", '"upstairs"'),
    "location": Documents("location: cellar", "location: attic", '"attic"'),
    "tags": Documents("tags: [gpu]", "tags: [card]", '["card"]'),
    "models[]": Flips("- bare", "- writer", '"model_name": "writer"'),
    "models[].name": Flips("name: unused", "name: reserve", '"hosted_vllm/reserve"'),
    "models[].mode": Flips("mode: chat", "mode: completion", '"mode": "completion"'),
    "models[].size": Flips("size: 7B", "size: 7.5B", '"size": 7.5'),
    "models[].quantization": Documents("quantization: Q4", "quantization: Q8", '"Q8"'),
    "models[].specialty": Documents("specialty: general", "specialty: letters", '"letters"'),
    "models[].description": Documents("description: the small one", "description: the tiny one", '"the tiny one"'),
    "models[].context_length": Flips("context_length: 8192", "context_length: 8193", '"context": 8193'),
    "models[].tags": Documents("tags: [small]", "tags: [little]", '["little"]'),
    "models[].notes": Documents("notes: since spring", "notes: since autumn", '"since autumn"'),
    "models[].pulled_at": Documents("pulled_at: 2025-10-19", "pulled_at: 2025-10-20", '"2025-10-20"'),
}
