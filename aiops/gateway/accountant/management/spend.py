"""``/spend/logs`` and ``/global/spend/report``, out of the ledger and its sums by day."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, date, datetime, timedelta
from itertools import groupby
from typing import Any

from aiops.gateway.accountant.management.asked import Asked, yes
from aiops.gateway.accountant.management.errors import Refused
from aiops.state import money, tokens
from aiops.state.administration import find, litellm, readers
from aiops.state.administration.request import Invalid, Problem, Unknown
from aiops.state.store import teams as stored_teams
from aiops.state.store import usage
from aiops.state.store.usage import Filter, Group, Which
from aiops.state.usage.record import Usage

Json = dict[str, Any]
MOST = 10_000  # rows, as with LiteLLM
MOST_DAYS = 366
_MICRO = 1_000_000
_FOREVER = 2**62


def logs(asked: Asked) -> list[Json]:
    """Rows; with both dates, and unless ``summarize`` is false, a sum for each day."""
    asked.only("api_key", "user_id", "request_id", "start_date", "end_date", "summarize")
    key, user, request = _key(asked), asked.one("user_id", str), asked.one("request_id", str)
    begins, ends = asked.one("start_date", _day), asked.one("end_date", _day)
    summarize = asked.one("summarize", yes)
    if begins is not None and ends is not None and summarize is not False and request is None:
        return [*_by_day(asked, begins, ends, key, user)]
    which = Which(
        id=request,
        key=key,
        user=user,
        since=_micro(begins) if begins is not None else 0,
        until=_micro(ends + timedelta(days=1)) if ends is not None else _FOREVER,
    )
    found = usage.page(asked.connection, which, size=MOST)
    hashes = find.hashes(asked.connection, sorted({each.key for each in found if each.key}))
    return [_row(each, hashes) for each in found]


def report(asked: Asked) -> list[Json]:
    """By team or end user for each day, or by key over all of them."""
    asked.only(
        "start_date", "end_date", "group_by", "api_key", "team_id", "internal_user_id",
        refused={"customer_id": "end users are in /spend/logs"},
    )  # fmt: skip
    begins, ends = asked.one("start_date", _day), asked.one("end_date", _day)
    if begins is None or ends is None:
        raise Refused(400, "Please provide start_date and end_date")
    if not 0 <= (ends - begins).days < MOST_DAYS:
        raise Invalid([Problem("end_date", f"is not within {MOST_DAYS} days after start_date")])
    within = Filter(since=begins, until=ends + timedelta(days=1))
    if (key := _key(asked)) is not None:
        return _by_key(asked, Filter(since=within.since, until=within.until, key=key))
    if (user := asked.one("internal_user_id", str)) is not None:
        return _by_key(asked, Filter(since=within.since, until=within.until, user=user))
    by = asked.one("group_by", readers.one_of("team", "customer", "api_key")) or "team"
    if by == "customer":
        raise Invalid([Problem("group_by", "is not supported for `customer`: end users are in /spend/logs")])
    if by == "api_key":
        return _by_key(asked, within)
    return _by_team(asked, Filter(since=within.since, until=within.until, team=asked.one("team_id", str)))


def _by_team(asked: Asked, where: Filter) -> list[Json]:
    found = usage.by(asked.connection, ("day", "team", "model", "key"), where)
    hashes = find.hashes(asked.connection, sorted({each.of[3] for each in found if each.of[3]}))
    names: dict[str, str | None] = {}
    for each in found:
        if each.of[1] not in names:
            team = stored_teams.get(asked.connection, each.of[1])
            names[each.of[1]] = team.alias or team.id if team is not None else each.of[1] or None
    return [
        {
            "group_by_day": f"{day}T00:00:00+00:00",
            "teams": [
                {
                    "team_name": names[team],
                    "total_spend": _dollars(of_team),
                    "metadata": [
                        {
                            "model": each.of[2],
                            "api_key": hashes.get(each.of[3], each.of[3]),
                            "spend": money.dollars(each.cost),
                            "total_tokens": each.prompt_tokens + each.completion_tokens,
                        }
                        for each in of_team
                    ],
                }
                for team, of_team in _grouped(of_day, lambda group: group.of[1])
            ],
        }
        for day, of_day in _grouped(found, lambda group: group.of[0])
    ]


def _by_key(asked: Asked, where: Filter) -> list[Json]:
    found = usage.by(asked.connection, ("key", "model"), where)
    hashes = find.hashes(asked.connection, sorted({each.of[0] for each in found if each.of[0]}))
    shown = [
        {
            "api_key": hashes.get(key, key),
            "total_cost": _dollars(of_key),
            "total_input_tokens": sum(each.prompt_tokens for each in of_key),
            "total_output_tokens": sum(each.completion_tokens for each in of_key),
            "model_details": [
                {
                    "model": each.of[1],
                    "total_cost": money.dollars(each.cost),
                    "total_input_tokens": each.prompt_tokens,
                    "total_output_tokens": each.completion_tokens,
                }
                for each in of_key
            ],
        }
        for key, of_key in _grouped(found, lambda group: group.of[0])
    ]
    return sorted(shown, key=lambda each: -each["total_cost"])


def _by_day(asked: Asked, begins: date, ends: date, key: str | None, user: str | None) -> Iterable[Json]:
    """Days after the last one that has any are there, too, with nothing."""
    where = Filter(since=begins, until=ends + timedelta(days=1), key=key, user=user)
    found = usage.by(asked.connection, ("day", "key", "user", "model"), where)
    hashes = find.hashes(asked.connection, sorted({each.of[1] for each in found if each.of[1]}))
    last = begins
    for day, of_day in _grouped(found, lambda group: group.of[0]):
        last = date.fromisoformat(day)
        keys = {hashes.get(key, key): spent for key, spent in _sums(of_day, 1).items() if key}
        yield {
            **keys,
            "startTime": day,
            "spend": _dollars(of_day),
            "users": _sums(of_day, 2),
            "models": _sums(of_day, 3),
        }
    for offset in range(1, (ends - last).days + 1 if found else 0):
        yield {"startTime": str(last + timedelta(days=offset)), "spend": 0, "users": {}, "models": {}}


def _row(each: Usage, hashes: dict[str, str]) -> Json:
    """``LiteLLM_SpendLogs``. Neither questions nor answers are kept."""
    return {
        "request_id": each.id,
        "call_type": each.path,
        "api_key": hashes.get(each.key, each.key),
        "spend": litellm.dollars(each.cost) or 0.0,
        "total_tokens": each.prompt_tokens + each.completion_tokens,
        "prompt_tokens": each.prompt_tokens,
        "completion_tokens": each.completion_tokens,
        "startTime": litellm.when(each.started),
        "endTime": litellm.when(each.started + int(each.seconds * _MICRO)),
        "completionStartTime": litellm.when(each.started + int(each.first * _MICRO))
        if each.first is not None
        else None,
        "model": each.served,
        "model_group": each.model,
        "custom_llm_provider": each.provider,
        "api_base": "",
        "user": each.user or "",
        "team_id": each.team,
        "end_user": each.end_user or "",
        "metadata": {
            "status": "success" if each.outcome in ("answered", "cached") else "failure",
            "outcome": each.outcome,
            "http_status": each.status,
            "usage_estimated": each.estimated,
            "price_known": each.cost is not None,
            "generation": each.generation,
            "replica": each.replica,
        },
        "cache_hit": str(each.outcome == "cached"),
        "cache_key": None,
        "request_tags": [*each.tags],
        "requester_ip_address": None,
        "messages": {},
        "response": {},
        "status": "success" if each.outcome in ("answered", "cached") else "failure",
    }


def _key(asked: Asked) -> str | None:
    """The id of the key that is asked about."""
    said = asked.one("api_key", str)
    if said is None:
        return None
    try:
        return find.key(asked.connection, said, by_alias=False).id
    except Unknown:
        shown = tokens.name(said) if said.startswith(tokens.PREFIX) else said[:64]
        raise Refused(404, f"Key not found in database: {shown}", "not_found_error", "api_key") from None


def _day(value: Any) -> date:
    try:
        return datetime.strptime(str(value), "%Y-%m-%d").replace(tzinfo=UTC).date()
    except ValueError:
        raise ValueError(f"is no day such as 2026-11-27, but {str(value)[:40]}") from None


def _micro(day: date) -> int:
    return int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp()) * _MICRO


def _grouped(groups: Sequence[Group], by: Callable[[Group], str]) -> Iterable[tuple[str, list[Group]]]:
    return [(name, [*of]) for name, of in groupby(groups, key=by)]


def _sums(groups: Iterable[Group], at: int) -> dict[str, float]:
    found: dict[str, int] = {}
    for each in groups:
        found[each.of[at]] = found.get(each.of[at], 0) + each.cost
    return {name: money.dollars(cost) for name, cost in found.items()}


def _dollars(groups: Iterable[Group]) -> float:
    return money.dollars(sum(each.cost for each in groups))
