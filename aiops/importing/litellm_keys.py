"""LiteLLM's settings that have no key of ours: why, so that nobody has to wonder where they went."""

from __future__ import annotations

from aiops.importing.report import Fate

_D, _N = Fate.DECISION, Fate.DROPPED
_LOGGING = "sent what LiteLLM logs elsewhere; this version of aiops does not: `logs/` and `/metrics` are here"
_CACHE = "answers are not cached by this version of aiops"
_REDIS = "one machine needs no Redis: the workers of a gateway share their counters. Its password was not copied"
_DATABASE = "LiteLLM's own database mode is not used: keys, budgets and usage in it stay where they are"
_CONTEXT = "a fallback here is tried whatever the failure was; if that will do, write it into `fallback_chains`"
_ALERTS = "nobody is alerted by this version of aiops; `aiops status` and `/_health/ready` say what is wrong"
_NOISE = "about LiteLLM's own output; `aiops logs` shows the gateway's"

ROUTER: dict[str, tuple[Fate, str]] = {
    "context_window_fallbacks": (_D, _CONTEXT),
    "content_policy_fallbacks": (_D, _CONTEXT),
    "disable_cooldowns": (_N, "nothing is cooled down here unless `special_cases.error_based_routing` says so"),
    "max_fallbacks": (_N, "every fallback that is written is tried"),
    "enable_weighted_failover": (_N, "always so here: when one deployment fails the others are tried"),
    "set_verbose": (_N, _NOISE),
    "debug_level": (_N, _NOISE),
    "enable_pre_call_checks": (_D, "a prompt that is too long goes to the provider here; `context_based` can avoid it"),
    "routing_strategy_args": (_D, "the strategies of aiops have no such arguments"),
    "retry_policy": (_D, "`gateway.retries` in aiops.yaml is for every kind of failure"),
    "model_group_retry_policy": (_D, "`gateway.retries` in aiops.yaml is for every model"),
    "allowed_fails_policy": (_D, "`special_cases.error_based_routing` counts every kind of failure"),
    "retry_after": (_N, "LiteLLM's own pause is used"),
    "cache_responses": (_D, _CACHE),
    **dict.fromkeys(
        ("redis_host", "redis_port", "redis_password", "redis_url", "redis_db", "cache_kwargs"), (_D, _REDIS)
    ),
}
LITELLM: dict[str, tuple[Fate, str]] = {
    "drop_params": (_D, "a parameter that a provider does not know is an error here, as LiteLLM has it by default"),
    "context_window_fallbacks": (_D, _CONTEXT),
    "content_policy_fallbacks": (_D, _CONTEXT),
    "set_verbose": (_N, _NOISE),
    "json_logs": (_N, _NOISE),
    "turn_off_message_logging": (_N, "the gateway's log never holds messages"),
    "telemetry": (_N, "nothing is reported home here"),
    "disable_hf_tokenizer_download": (_N, "always so here"),
    "use_chat_completions_url_for_anthropic_messages": (_N, "always so here"),
    **dict.fromkeys(("success_callback", "failure_callback", "callbacks", "service_callback"), (_D, _LOGGING)),
    **dict.fromkeys(("langfuse_default_tags", "redact_user_api_key_info"), (_D, _LOGGING)),
    **dict.fromkeys(("cache", "cache_params", "enable_caching_on_provider_specific_optional_params"), (_D, _CACHE)),
    **dict.fromkeys(("max_budget", "budget_duration"), (_D, "budgets are not kept by this version of aiops")),
}
GENERAL: dict[str, tuple[Fate, str]] = {
    "custom_auth": (_D, "who may ask is decided by aiops: the master key"),
    "disable_model_info_refresh": (_N, "always so here"),
    "completion_model": (_D, "a request has to name its model here"),
    **dict.fromkeys(
        ("alerting", "alerting_threshold", "alerting_args", "alert_types", "slack_alerting"), (_D, _ALERTS)
    ),
    **dict.fromkeys(
        (
            *("database_url", "database_connection_pool_limit", "database_connection_timeout", "database_type"),
            *("store_model_in_db", "allow_requests_on_db_unavailable", "disable_spend_logs", "proxy_batch_write_at"),
            *("use_redis_transaction_buffer", "store_prompts_in_spend_logs", "disable_prisma_schema_update"),
        ),
        (_D, _DATABASE),
    ),
    **dict.fromkeys(
        ("background_health_checks", "health_check_interval", "health_check_details"),
        (_N, "LiteLLM's health checks call every model; `aiops verify` and `/_health/ready` do not"),
    ),
    "coordination_redis": (_D, _REDIS),
    "ui_access_mode": (_N, "LiteLLM's admin pages need its database and are not served"),
}
NEVER_READ: dict[str, str] = {
    "rate_limit_settings": "LiteLLM never read it; `exact_matches.NAME.rate_limit: {rpm, tpm}` is a limit that holds",
    "server_settings": "LiteLLM never read it; port and address are `gateway:` in aiops.yaml",
    "model_mappings": "LiteLLM never read it; `exact_matches` in model-mappings.yaml is what it meant",
    "metadata": "about the file; nothing ever read it",
    "notes": "about the file; nothing ever read it",
}
DEPLOYMENT: dict[str, str] = {
    "api_version": "of Azure; an OpenAI-compatible server has none",
    "timeout": "`gateway.request_timeout` in aiops.yaml is for all",
    "stream_timeout": "`gateway.stream_timeout` in aiops.yaml is for all",
    "max_retries": "`gateway.retries` in aiops.yaml is for all",
    "num_retries": "`gateway.retries` in aiops.yaml is for all",
    "tags": "routing by tag; a condition on a header in `routing_rules.request_metadata_routing` can do it",
    "region_name": "this provider type has no regions",
    "litellm_credential_name": "write the key as `api_key_env` of the provider",
    "mock_response": "an answer without a model behind it",
}

SECTIONS: dict[str, str] = {
    "include": "the files named there were not read: put everything into one file and import that",
    "credential_list": "write each key as `api_key_env` of its provider",
    "guardrails": "this version of aiops has no guardrails",
    "mcp_servers": "this version of aiops serves models only",
    "vector_store_registry": "this version of aiops serves models only",
    "finetune_settings": "this version of aiops serves models only",
    "files_settings": "this version of aiops serves models only",
    "callback_settings": _LOGGING,
}
