"""LiteLLM's settings that have no key of ours: why, so that nobody has to wonder where they went."""

from __future__ import annotations

from aiops.importing.report import Fate

_D, _N = Fate.DECISION, Fate.DROPPED
_LOGGING = (
    "sent what LiteLLM logs or counts elsewhere; this version of aiops does not: `aiops logs` shows it, and /metrics "
    "has numbers under names of aiops' own (docs/http.md)"
)
_CACHE = (
    "on one machine answers are not cached; after `aiops scale-out`, `cache: {ttl: SECONDS}` in aiops.yaml caches them"
    " in Redis, those of each key for itself"
)
_REDIS = (
    "one machine needs no Redis: the workers of a gateway share their counters; several share one after"
    " `aiops scale-out`. Its password was not copied"
)
_DATABASE = (
    "LiteLLM's database is not used here; its keys, teams, budgets and what was spent are taken over with"
    " `aiops keys import` (docs/keys-import.md). Its password was not copied"
)
_DATABASE_HANDLING = "about LiteLLM's own database, which is not used here"
_ALERTS = "nobody is alerted by this version of aiops; `aiops status` and `/_health/ready` say what is wrong"
_NOISE = "about LiteLLM's own output; `aiops logs` shows the gateway's"

ROUTER: dict[str, tuple[Fate, str]] = {
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
    "set_verbose": (_N, _NOISE),
    "json_logs": (_N, _NOISE),
    "turn_off_message_logging": (_N, "the gateway's log never holds messages"),
    "telemetry": (_N, "nothing is reported home here"),
    "disable_hf_tokenizer_download": (_N, "always so here"),
    "use_chat_completions_url_for_anthropic_messages": (_N, "always so here"),
    **dict.fromkeys(("success_callback", "failure_callback", "callbacks", "service_callback"), (_D, _LOGGING)),
    **dict.fromkeys(("langfuse_default_tags", "redact_user_api_key_info"), (_D, _LOGGING)),
    **dict.fromkeys(("cache", "cache_params", "enable_caching_on_provider_specific_optional_params"), (_D, _CACHE)),
    **dict.fromkeys(
        ("max_budget", "budget_duration"),
        (
            _D,
            "there is no budget of all together here: each key, team or user has one, `aiops keys create --max-budget`",
        ),
    ),
}
GENERAL: dict[str, tuple[Fate, str]] = {
    "custom_auth": (_D, "who may ask is decided by aiops: the master key, and those of `aiops keys`"),
    "disable_model_info_refresh": (_N, "always so here"),
    "completion_model": (_D, "a request has to name its model here"),
    **dict.fromkeys(
        ("alerting", "alerting_threshold", "alerting_args", "alert_types", "slack_alerting"), (_D, _ALERTS)
    ),
    "database_url": (_D, _DATABASE),
    "store_model_in_db": (_D, "models that are kept in LiteLLM's database are not taken over: only those of the file"),
    "allow_requests_on_db_unavailable": (_D, "`profile` in aiops.yaml says what holds while a database is away"),
    "disable_spend_logs": (
        _D,
        "usage is always counted here; `usage.keep_days` says how long single requests are kept",
    ),
    "store_prompts_in_spend_logs": (_D, "what is asked and answered is kept nowhere here"),
    **dict.fromkeys(
        (
            *("database_connection_pool_limit", "database_connection_timeout", "database_type"),
            *("proxy_batch_write_at", "use_redis_transaction_buffer", "disable_prisma_schema_update"),
        ),
        (_N, _DATABASE_HANDLING),
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
    "tags": "routing by tag; a condition on a header in `routing_rules.request_metadata_routing` can do it",
    "litellm_credential_name": "write the key as `api_key_env` of the provider",
    "mock_response": "an answer without a model behind it",
    "cooldown_time": "`special_cases.error_based_routing` is for all",
    "guardrails": "this version of aiops has no guardrails",
}
_OWN_BEGINNINGS = (
    *("_", "litellm_", "anthropic_", "arize_", "auto_router_", "adaptive_router_", "complexity_router_", "dd_"),
    *("gcs_", "humanloop_", "langfuse_", "langsmith_", "mock_", "newrelic_", "openai_identity_", "posthog_"),
    *("prompt_", "quality_router_", "s3_", "search_", "signoz_", "wandb_", "weave_", "openai_service_", "regional_"),
)
_OWN_PARTS = ("_cost_", "cost_per_", "_token_cost", "callback", "default_api_key_")
_OWN = frozenset(
    (
        *("acompletion", "aembedding", "aimg_generation", "allm_passthrough_route", "async_call", "atext_completion"),
        *("allow_client_keepalive_override", "allowed_model_region", "assistant_continue_message", "attempted_targets"),
        *("aws_batch_role_arn", "azure", "azure_ad_token_provider", "azure_password", "azure_scope", "azure_username"),
        *("base_model", "bedrock_tags", "bos_token", "bucket_name", "budget_duration", "cache", "cache_key", "caching"),
        *("caching_groups", "client", "client_id", "client_secret", "client_side_timeout", "complete_response"),
        *("completion_call_id", "configurable_clientside_auth_params", "context_window_fallback_dict", "ttl"),
        *("custom_prompt_dict", "data_residency", "disable_add_transform_inline_image_block", "enable_prompt_caching"),
        *(
            "enable_json_schema_validation",
            "enable_tag_filtering",
            "ensure_alternating_roles",
            "eos_token",
            "fallbacks",
        ),
        *("fallback_depth", "fastest_response", "final_prompt_value", "fireworks_forward_user_id", "force_timeout"),
        *("hf_model_name", "id", "itpm", "otpm", "keepalive_seconds", "log_client_error_tracebacks", "logger_fn"),
        *("max_agentic_loops", "max_budget", "max_fallbacks", "max_file_size_mb", "metadata", "model_alias_map"),
        *("model_config", "model_file_id_mapping", "model_info", "model_list", "no-log", "output_vector_size"),
        *("preset_cache_key", "provider_affinity_header", "provider_specific_header", "proxy_server_request", "roles"),
        *("retry_policy", "retry_strategy", "routing_strategy", "rust", "secret_fields", "self", "shared_session"),
        *("silent_model", "ssl_verify", "stream_chunk_size", "stream_response", "stream_timeout_by_service_tier"),
        *("tag_regex", "tenant_id", "text_completion", "tiered_pricing", "timeout_by_service_tier", "use_client"),
        *("turn_off_message_logging", "use_in_pass_through", "use_litellm_proxy", "use_xai_oauth", "verbose"),
        *("user_continue_message", "region_name", "api_version"),
    )
)


def is_own(name: str) -> bool:
    """Whether LiteLLM acts on a parameter itself, so that no provider ever sees it."""
    return name in _OWN or name.startswith(_OWN_BEGINNINGS) or any(part in name for part in _OWN_PARTS)


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
