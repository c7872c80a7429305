"""The modules of LiteLLM that are put off: those imported for their router, and what else is taken out of them.

Not here: what models are called on, and ``tracing_endpoints``, which every error asks.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Final

_MANAGEMENT: Final = "litellm.proxy.management_endpoints"
# The functions are called much later, if at all: one that was never asked for is asked of the real module then.
MODULES: Final[Mapping[str, Collection[str]]] = {
    "litellm.proxy.analytics_endpoints.analytics_endpoints": (),
    "litellm.proxy.batches_endpoints.endpoints": (),
    "litellm.proxy.caching_routes": (),
    "litellm.proxy.credential_endpoints.endpoints": (),
    "litellm.proxy.fine_tuning_endpoints.endpoints": ("set_fine_tuning_config",),
    "litellm.proxy.lens.dataset_endpoints": (),
    "litellm.proxy.lens.endpoints": (),
    "litellm.proxy.lens.feedback_endpoints": (),
    "litellm.proxy.memory.memory_endpoints": (),
    "litellm.proxy.moyai_endpoints": (),
    "litellm.proxy.openai_files_endpoints.files_endpoints": ("set_files_config",),
    "litellm.proxy.spend_tracking.spend_management_endpoints": (),
    "litellm.proxy.ui_crud_endpoints.latest_release_endpoints": (),
    "litellm.proxy.ui_crud_endpoints.proxy_setting_endpoints": ("sync_ui_settings_to_general_settings",),
    "litellm.proxy.ui_crud_endpoints.user_banner_endpoints": (),
    f"{_MANAGEMENT}.auto_router_endpoints": (),
    f"{_MANAGEMENT}.budget_management_endpoints": (),
    f"{_MANAGEMENT}.cache_settings_endpoints": (),
    f"{_MANAGEMENT}.callback_management_endpoints": (),
    f"{_MANAGEMENT}.coordination_redis_endpoints": ("get_persisted_coordination_redis_settings",),
    f"{_MANAGEMENT}.cost_tracking_settings": (),
    f"{_MANAGEMENT}.customer_endpoints": (),
    f"{_MANAGEMENT}.daily_activity_routes": (),
    f"{_MANAGEMENT}.fallback_management_endpoints": (),
    f"{_MANAGEMENT}.gateway_request_endpoints": (),
    f"{_MANAGEMENT}.internal_user_endpoints": ("user_update",),
    f"{_MANAGEMENT}.key_management_endpoints": (
        "delete_verification_tokens",
        "duration_in_seconds",
        "generate_key_helper_fn",
        "parse_key_alias_pattern",
    ),
    f"{_MANAGEMENT}.management_v1": (),
    f"{_MANAGEMENT}.model_access_group_management_endpoints": (),
    f"{_MANAGEMENT}.model_management_endpoints": (
        "_add_model_to_db",
        "_add_team_model_to_db",
        "_deduplicate_litellm_router_models",
        "add_model_to_db",
        "add_team_model_to_db",
        "deduplicate_litellm_router_models",
        "live_model_ids_snapshot",
    ),
    f"{_MANAGEMENT}.organization_endpoints": (),
    f"{_MANAGEMENT}.password_endpoints": (),
    f"{_MANAGEMENT}.prompt_caching_requests": (),
    f"{_MANAGEMENT}.router_settings_endpoints": (),
    f"{_MANAGEMENT}.session_endpoints": (),
    f"{_MANAGEMENT}.tag_management_endpoints": (),
    f"{_MANAGEMENT}.team_callback_endpoints": (),
    f"{_MANAGEMENT}.team_endpoints": ("update_team", "validate_membership"),
    f"{_MANAGEMENT}.ui_sso": ("get_disabled_non_admin_personal_key_creation",),
    f"{_MANAGEMENT}.user_agent_analytics_endpoints": (),
    f"{_MANAGEMENT}.workflow_management_endpoints": (),
}

# Paths on which models are called and which LiteLLM mounts behind some of these modules: none of them has such a path
# (a test asks all of their routes), so a request for one need not load them.
PASSED_BY: Final = frozenset(
    {
        "/v1/messages",
        "/v1/messages/count_tokens",
        "/rerank",
        "/v1/rerank",
        "/v2/rerank",
        "/images/generations",
        "/v1/images/generations",
        "/images/edits",
        "/v1/images/edits",
        "/v1/realtime",
        "/realtime",
        "/openai/v1/realtime",
    }
)
