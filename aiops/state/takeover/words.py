"""What aiops has no equal for, or has in another way, by the word it is called by. PURE.

What ``bounds`` held somebody back: without it a key may do more than before, so nothing is taken over until a person
has said that it may (``--without WORD``). Of the rest a person is told.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Word:
    word: str
    means: str
    bounds: bool = False


@dataclass(frozen=True)
class Note:
    """Of whom (``kind`` and ``name``, never a hash), what, and how it stood there."""

    word: Word
    kind: str
    name: str
    detail: str = ""

    def __str__(self) -> str:
        return f"{self.kind} {self.name}" + (f": {self.detail}" if self.detail else "")


def _bound(word: str, means: str) -> Word:
    return Word(word, means, bounds=True)


UNREADABLE = _bound("unreadable", "values that cannot be read; taken over as if they were not set")
GUARDRAILS = _bound("guardrails", "checks of what is asked and answered")
POLICIES = _bound("policies", "sets of guardrails")
OBJECT_PERMISSIONS = _bound("object-permissions", "which MCP servers, vector stores and agents may be used")
ORGANIZATION_LIMITS = _bound("organization-limits", "budgets, limits and models of an organization")
PROJECTS = _bound("projects", "budgets, limits and models of a project")
AGENTS = _bound("agents", "limits of an agent")
CUSTOMERS = _bound("customers", "budgets and blocks of end users (the request's `user`)")
TAG_BUDGETS = _bound("tag-budgets", "budgets of tags")
TAG_LIMITS = _bound("tag-limits", "requests a minute for each tag")
MCP_LIMITS = _bound("mcp-limits", "requests a minute to MCP servers")
DAILY_TOKENS = _bound("daily-tokens", "tokens a day (tpd_limit)")
TOKENS_APART = _bound("tokens-apart", "limits of input and of output tokens apart")
ACCESS_GROUP_BUDGETS = _bound("access-group-budgets", "budgets of groups of models")
CACHE_CONTROLS = _bound("cache-controls", "what a request may say of the cache")
ENFORCED_PARAMS = _bound("enforced-params", "parameters that a request must have")
FILE_EXPIRY = _bound("file-expiry", "when files and batches expire")
DENIED_ROUTES = _bound("denied-routes", "pass-through paths that are forbidden")
WHOLE_BUDGET = _bound("whole-budget", "the budget of the whole gateway")

ORGANIZATIONS = Word("organizations", "who belongs to which organization")
ACCESS_GROUPS = Word("access-groups", "groups of models that are given by an id: those models are not allowed here")
MODEL_ALIASES = Word("model-aliases", "other names for models; write them in model-mappings.yaml, for everybody")
OWN_SETTINGS = Word("own-settings", "settings of LiteLLM for one key or team")
PERMISSIONS = Word("permissions", "rights beyond asking models")
FALLBACKS = Word("budget-fallbacks", "another model once a budget is spent; here the request is refused")
ROTATION = Word("rotation", "a key that is replaced by itself; `aiops keys rotate` does it")
ADMINISTRATORS = Word("administrators", "keys that could administer LiteLLM; here they only ask models")
TEMPORARY = Word("temporary-budgets", "a budget that is higher for a while; taken over as it is without")
THROTTLE = Word("throttle", "slower instead of refused once a budget is spent; here it is refused")
DYNAMIC_LIMITS = Word("dynamic-limits", "limits that may be passed when there is room; here they hold")
ESTIMATES = Word("estimates", "how many tokens an answer is guessed to have")
CALLBACKS = Word("callbacks", "where requests of one key or team are logged to")
PROMPTS = Word("prompts", "prompts kept in LiteLLM")
PASS_THROUGH = Word("pass-through", "pass-through paths that are allowed")
VECTOR_STORES = Word("vector-stores", "indexes that may be used")
CACHING = Word("prompt-caching", "marks for prompt caching, put in by LiteLLM")
ALERTS = Word("alerts", "mails about budgets")
TEAM_TAGS = Word("team-tags", "tags of a team: here tags are a key's")
TEAM_RIGHTS = Word("team-rights", "what members may administer, and defaults for new ones")
MODEL_RATES = Word("model-rates", "limits inside of a model's budget; write model_rpm_limit and model_tpm_limit")
JWT = Word("jwt", "keys that are given for the claims of a token")
EMAILS = Word("emails", "members known by an e-mail address alone")

TOO_MUCH = Word("too-much", "a budget larger than can be counted; taken over as $9,007,199.25")
RENAMED = Word("renamed", "an alias that several keys had; all but the first have a number now")
OTHER_WINDOWS = Word("other-windows", "a budget that begins anew at another time than there")
FROM_ZERO = Word("from-zero", "a budget of which nobody knows what was spent: it begins at zero")
NO_TEAM = Word("no-team", "a team that is not there any more")
NO_BUDGET = Word("no-budget", "a budget that is not there any more")
GUESSED = Word("guessed", "KEYS THAT ANYBODY CAN GUESS: `aiops keys rotate` them")
NOT_HASHED = Word("not-hashed", "rows that no key can be found by, in LiteLLM neither")
CHANGED_HERE = Word(
    "changed-here", "changed in LiteLLM since they were taken over, and here, too: kept as they are here"
)
HERE_ALREADY = Word("here-already", "there already, and not from LiteLLM: kept as they are here")

WORDS: Mapping[str, Word] = {value.word: value for value in list(globals().values()) if isinstance(value, Word)}

METADATA: Mapping[str, Word | None] = {
    "model_rpm_limit": None,
    "model_tpm_limit": None,
    "tags": None,
    "team_member_budget_id": None,
    "scim_active": None,
    "temp_budget_expiry": None,  # of temp_budget_increase
    "model_itpm_limit": TOKENS_APART,
    "model_otpm_limit": TOKENS_APART,
    "default_estimated_output_tokens": ESTIMATES,
    "default_estimated_output_tokens_per_model": ESTIMATES,
    "mcp_rpm_limit": MCP_LIMITS,
    "tag_rpm_limit": TAG_LIMITS,
    "rpm_limit_type": DYNAMIC_LIMITS,
    "tpm_limit_type": DYNAMIC_LIMITS,
    "enforced_params": ENFORCED_PARAMS,
    "temp_budget_increase": TEMPORARY,
    "allowed_vector_store_indexes": VECTOR_STORES,
    "enforced_batch_output_expires_after": FILE_EXPIRY,
    "enforced_file_expires_after": FILE_EXPIRY,
    "throttle_on_budget_exceeded": THROTTLE,
    "enable_prompt_caching": CACHING,
    "end_user_budget_id": CUSTOMERS,
    "disable_global_guardrails": GUARDRAILS,
    "opted_out_global_guardrails": GUARDRAILS,
    "guardrails": GUARDRAILS,
    "policies": POLICIES,
    "team_member_key_duration": TEAM_RIGHTS,
    "prompts": PROMPTS,
    "logging": CALLBACKS,
    "callback_settings": CALLBACKS,
    "litellm_disabled_callbacks": CALLBACKS,
    "secret_manager_settings": OWN_SETTINGS,
    "model_config": OWN_SETTINGS,
    "allowed_passthrough_routes": PASS_THROUGH,
    "denied_passthrough_routes": DENIED_ROUTES,
    "soft_budget_alerting_emails": ALERTS,
}
"""Metadata that LiteLLM acts on; None: taken over into a column of ours. All other metadata is its owner's."""
QUIET: Mapping[str, tuple[object, ...]] = {
    "rpm_limit_type": ("best_effort_throughput", "guaranteed_throughput"),
    "tpm_limit_type": ("best_effort_throughput", "guaranteed_throughput"),
}
"""Values that say nothing."""
