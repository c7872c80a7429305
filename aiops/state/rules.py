"""May this key ask for that, and what is it counted on? PURE: the time is an argument, seconds since 1970 UTC.

Asked by the gateway for each request, and by ``aiops keys explain`` for one that is only described.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, tzinfo
from fnmatch import fnmatchcase
from typing import Literal

from aiops.state import money
from aiops.state.counters.meters import SLIDING, Level, Meter, Refused
from aiops.state.shapes import Account, Budget, Identity, Kind, Limits
from aiops.state.usage import settled
from aiops.state.windows import window

MASTER = Identity(id="", hash="", name="the master key", alias=None, accounts=(), admin=True)
"""No limit holds for it, and no look-up is needed."""

ALL, TEAMS, NONE = "all-proxy-models", "all-team-models", "no-default-models"
"""LiteLLM's names that are no names of models: everything; what the team may, which its own account says; nothing."""

SPECIAL = (ALL, TEAMS, NONE)

ROUTE_GROUPS = frozenset(
    {"llm_api_routes", "openai_routes", "anthropic_routes", "google_routes", "info_routes", "management_routes"}
)
"""LiteLLM's names of many paths at once that ``Identity.routes`` may have, beside paths and ``/v1/chat/*``."""

Area = Literal["models", "listings", "management", "opened"]
"""What a path is for: asking models, asking which there are, administering keys, or what `gateway.expose` opened."""

_ANTHROPIC = ("/v1/messages",)
_GOOGLE = ("/v1beta/models/", "/models/")
_WORDS: dict[Kind, str] = {"key": "key", "team": "team", "user": "user", "member": "team member"}
_OF_ONE_MODEL: dict[Kind, str] = {kind: f"model_per_{kind}" for kind in _WORDS}


@dataclass(frozen=True, kw_only=True)
class Refusal:
    """What the client is told. ``kind``, ``param`` and ``code``: ``type`` and the rest of an error in OpenAI's shape.

    ``wait``: seconds after which it makes sense to ask again, None where nobody knows. ``final``: it makes none at
    all. ``limit`` and ``resets``: what was full, in LiteLLM's words, and when it is not, seconds since 1970.
    ``levels``: how all that it would have been counted on stands.
    """

    status: int
    kind: str
    message: str
    param: str | None = None
    code: str = ""
    wait: float | None = None
    final: bool = False
    limit: str | None = None
    resets: float | None = None
    levels: tuple[Level, ...] = ()


@dataclass(frozen=True)
class Counted:
    """A meter, and whose it is. ``model``: it counts for this one alone, or for all that this pattern means."""

    meter: Meter
    account: Account
    model: str | None = None


@dataclass(frozen=True)
class Counts:
    """All that a request is counted on. ``until``: when the first of its windows is over, seconds since 1970."""

    counted: tuple[Counted, ...] = ()
    until: float = math.inf
    meters: tuple[Meter, ...] = field(init=False, compare=False)
    has_budget: bool = field(init=False, compare=False)
    may_refuse_by_cost: bool = field(init=False, compare=False)
    """Whether one of the budgets is more than a shadow."""

    def __post_init__(self) -> None:
        meters = tuple(each.meter for each in self.counted)
        budgets = [meter for meter in meters if meter.what == "money"]
        object.__setattr__(self, "meters", meters)
        object.__setattr__(self, "has_budget", bool(budgets))
        object.__setattr__(self, "may_refuse_by_cost", any(not meter.shadow for meter in budgets))


# --- may it? ----------------------------------------------------------------------------------------------------------


def valid(identity: Identity, now: float) -> Refusal | None:
    """Whether the key may ask for anything at all. Blocked is looked at first."""
    for account in identity.accounts:
        if account.blocked:
            return _blocked(identity, account)
    if identity.expires is not None and now >= identity.expires:
        return Refusal(
            status=401,
            kind="expired_key",
            param=identity.name,
            code="401",
            message=f"Authentication Error - Expired Key. {_ended(identity)} expired at {_shown(identity.expires)}.",
        )
    return None


def allow(identity: Identity, path: str, models: Iterable[str], now: float, area: Area = "models") -> Refusal | None:
    """Whether the key may ask for these models at this path, which belongs to ``area``."""
    refused = valid(identity, now)
    if refused is not None:
        return refused
    if identity.routes and not _route_is_among(identity.routes, path, area):
        return Refusal(
            status=403,
            kind="key_route_access_denied",
            code="403",
            message=f"{_whose(identity)} is not allowed to use {path[:200]}. It is held to: "
            f"{', '.join(identity.routes)}.",
        )
    for model in models:
        for account in identity.accounts:
            if not may_ask(account, model):
                return _model_denied(identity, account, model)
    return None


def may_ask(account: Account, model: str) -> bool:
    """Whether its models are held to none, or this is one of them."""
    allowed = account.models
    return not allowed or any(means(each, model) for each in allowed)


def lists(identity: Identity, model: str) -> bool:
    """Whether a list of models that this key asks for has it."""
    return all(may_ask(account, model) for account in identity.accounts)


def is_one_model(name: str) -> bool:
    """Rather than a pattern, or one of LiteLLM's names of many."""
    return name not in SPECIAL and not _is_pattern(name)


def means(allowed: str, model: str) -> bool:
    """Whether a name or a pattern (``gpt-*``) is one of this model."""
    if allowed in (ALL, TEAMS):
        return True
    return allowed != NONE and (allowed == model or (_is_pattern(allowed) and fnmatchcase(model, allowed)))


def _is_pattern(name: str) -> bool:
    return "*" in name or "?" in name


def _route_is_among(routes: Sequence[str], path: str, area: Area) -> bool:
    for route in routes:
        match route:
            case "llm_api_routes":
                found = area != "management"
            case "openai_routes":
                found = area != "management" and not path.startswith((*_ANTHROPIC, *_GOOGLE))
            case "anthropic_routes":
                found = path.startswith(_ANTHROPIC)
            case "google_routes":
                found = area == "models" and path.startswith(_GOOGLE)
            case "info_routes":
                found = area == "listings"
            case "management_routes":
                found = area == "management"
            case _:
                found = path == route or fnmatchcase(path, route)
        if found:
            return True
    return False


def _blocked(identity: Identity, account: Account) -> Refusal:
    what = "Key is" if account.kind == "key" else f"{_WORDS[account.kind].capitalize()}={_label(account)} is"
    unblock = "keys" if account.kind == "key" else "teams"
    message = (
        f"Authentication Error, {what} blocked. {_whose(identity)} cannot be used; "
        f"an administrator can let it in again with `aiops {unblock} unblock`."
    )
    return Refusal(status=401, kind="auth_error", code="401", message=message)


def _model_denied(identity: Identity, account: Account, model: str) -> Refusal:
    kind = "team" if account.kind == "member" else account.kind
    who = _whose(identity) if kind == "key" else f"{_WORDS[account.kind].capitalize()} {_label(account)}"
    message = (
        f"The requested model '{model[:200]}' is not available for this API key, or the model name is invalid. "
        f"{who} is held to: {', '.join(account.models)[:500]}."
    )
    return Refusal(status=403, kind=f"{kind}_model_access_denied", param="model", code="403", message=message)


# --- what is it counted on? -------------------------------------------------------------------------------------------


def counts(identity: Identity, model: str, now: float, zone: tzinfo = UTC) -> Counts:
    """What one request for ``model`` is counted on; ``zone``: whose midnight begins a day."""
    counted: list[Counted] = []
    until = math.inf
    for account in identity.accounts:
        counted += _limits(account, account.limits, None)
        for name, limits in account.by_model.items():
            if means(name, model):
                counted += _limits(account, limits, name)
        budgets: list[tuple[Budget, str | None]] = [(budget, None) for budget in account.budgets]
        for name, several in account.budgets_by_model.items():
            if means(name, model):
                budgets += [(budget, name) for budget in several]
        for budget, only in budgets:
            meter = money_meter(account, budget, now, only, zone)
            counted.append(Counted(meter, account, only))
            until = min(until, math.inf if meter.ends is None else meter.ends)
    return Counts(_each_once(counted), until)


def _each_once(counted: Iterable[Counted]) -> tuple[Counted, ...]:
    """Two budgets of one duration are one counter: the smaller one is refused by, before one in shadow."""
    found: dict[str, Counted] = {}
    for each in counted:
        other = found.get(each.meter.name)
        if other is None or (each.meter.shadow, each.meter.limit) < (other.meter.shadow, other.meter.limit):
            found[each.meter.name] = each
    return tuple(found.values())


def money_meter(account: Account, budget: Budget, now: float, model: str | None = None, zone: tzinfo = UTC) -> Meter:
    """Of the window that ``now`` is in. What was spent before aiops counted is nobody's model's."""
    current = window(budget.duration, now, zone)
    name = f"{account.kind}:{account.id}:usd:{account.epoch}:{budget.duration or 'ever'}:{current.begins}"
    return Meter(
        name=name if model is None else f"{name}:{model}",
        what="money",
        limit=budget.most,
        shown=account.kind if model is None else _OF_ONE_MODEL[account.kind],
        window=current.begins,
        ends=current.ends,
        base=account.base_of(budget.duration) if model is None and account.base_at >= current.begins else 0,
        since=math.ceil(account.changed_at),
        mark=settled.mark(account.kind, account.epoch, budget.duration, model),
        shadow=budget.shadow,
    )


def _limits(account: Account, limits: Limits, model: str | None) -> Iterator[Counted]:
    shown = account.kind if model is None else _OF_ONE_MODEL[account.kind]
    ending = "" if model is None else f":{model}"
    for what, short, limit in (
        ("requests", "rpm", limits.rpm),
        ("tokens", "tpm", limits.tpm),
        ("parallel", "parallel", limits.parallel),
    ):
        if limit is not None:
            name = f"{account.kind}:{account.id}:{short}{ending}"
            yield Counted(
                Meter(name=name, what=what, limit=limit, shown=shown, shadow=limits.shadow),  # type: ignore[arg-type]
                account,
                model,
            )


# --- what is full -----------------------------------------------------------------------------------------------------

LIMIT_TYPE = {"requests": "requests", "tokens": "tokens", "parallel": "max_parallel_requests", "money": "budget"}
"""LiteLLM's words."""
OVER_BUDGET = 429  # where `keys.over_budget_status` does not say otherwise


def over(
    identity: Identity,
    counted: Iterable[Counted],
    refused: Refused,
    now: float,
    spent: int = OVER_BUDGET,
    tokens: int = 0,
) -> Refusal:
    """What a client is told whose request found ``refused.level`` full. ``spent``: the status where that is a budget
    which nothing under way can give room in; one that only waits for others is told to come again. ``tokens``: that it
    may take."""
    found = _over(identity, counted, refused, now, tokens)
    if found.final:
        found = replace(found, status=spent, code=str(spent))
    return replace(found, levels=refused.levels)


def _over(identity: Identity, counted: Iterable[Counted], refused: Refused, now: float, tokens: int) -> Refusal:
    level = refused.level
    mine = next((each for each in counted if each.meter.name == level.meter.name), None)
    whose = _of(identity, mine)
    if level.meter.what == "money":
        return _over_budget(whose, refused)
    wait = max(1.0, refused.wait) if refused.wait is not None else 1.0
    limit = LIMIT_TYPE[level.meter.what]
    most = {
        "requests": f"{level.meter.limit} requests in {SLIDING} seconds",
        "tokens": f"{level.meter.limit} tokens in {SLIDING} seconds",
        "parallel": f"{level.meter.limit} requests at once",
    }[level.meter.what]
    if level.left and tokens > level.left:
        needs = f"; this request may take {tokens} (prompt and answer; `max_tokens` makes it less)"
    else:
        needs = ""
    when = f" Limit resets at: {_shown(now + wait)}." if level.meter.what != "parallel" else ""
    return Refusal(
        status=429,
        kind="rate_limit_error",
        code="429",
        message=f"Rate limit exceeded for {whose}: {most}. Limit type: {limit}. "
        f"Current limit: {level.meter.limit}, Remaining: {level.left}{needs}.{when}",
        wait=wait,
        limit=limit,
        resets=now + wait,
    )


def _over_budget(whose: str, refused: Refused) -> Refusal:
    level = refused.level
    ends = level.meter.ends
    spent = f"Current cost: {money.shown(level.used)}, Max budget: {money.shown(level.meter.limit)}."
    if refused.for_good:
        again = f" It begins anew at {_shown(ends)}." if ends is not None else ""
        message = f"Budget has been exceeded! {whose[0].upper()}{whose[1:]}. {spent}{again}"
        return Refusal(
            status=429, kind="budget_exceeded", code="429", message=message, final=True, limit="budget", resets=ends
        )
    held = money.shown(level.reserved)
    message = (
        f"ExceededBudget: {whose}. {spent} {held} of it are reserved by requests under way: "
        "what they do not use is free again when they end."
    )
    return Refusal(status=429, kind="budget_exceeded", code="429", message=message, wait=refused.wait or 1.0,
                   limit="budget")  # fmt: skip


def no_price(identity: Identity, model: str) -> Refusal:
    """A budget counts what nobody knows the price of."""
    message = (
        f"{_whose(identity)} has a budget, and nobody knows what '{model[:200]}' costs. "
        "For the operator: write `cost_per_1k_tokens` to this model in providers.yaml (0 if it is free)."
    )
    return Refusal(status=400, kind="invalid_request_error", param="model", code="price_unknown", message=message)


def tightest(levels: Iterable[Level], what: str) -> Level | None:
    """The one with least left, in proportion to nothing: what is left is what a client may still ask."""
    found = [level for level in levels if level.meter.what == what]
    return min(found, key=_left) if len(found) > 1 else found[0] if found else None


def _left(level: Level) -> int:
    return level.left


def _of(identity: Identity, counted: Counted | None) -> str:
    if counted is None or counted.account.kind == "key":
        whose = f"key {identity.name}" + (f" ({identity.alias})" if identity.alias else "")
    else:
        whose = f"{_WORDS[counted.account.kind]} {_label(counted.account)}"
    return whose if counted is None or counted.model is None else f"{whose}, model {counted.model}"


def _whose(identity: Identity) -> str:
    return f"The key {identity.name}" + (f" ({identity.alias})" if identity.alias else "")


def _ended(identity: Identity) -> str:
    """One that was replaced has no name any more but that of the other one."""
    whose = _whose(identity)
    return f"The key that was replaced by t{whose[1:]}" if identity.replaced else whose


def _label(account: Account) -> str:
    return account.name or account.id


def _shown(seconds: float) -> str:
    return f"{datetime.fromtimestamp(math.ceil(seconds), UTC):%Y-%m-%d %H:%M:%S UTC}"
