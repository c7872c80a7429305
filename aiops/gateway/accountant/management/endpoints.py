"""Which path is answered by what; and those of LiteLLM's management API that are refused by name."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from aiops.gateway.accountant.management import budgets, keys, spend, teams, users
from aiops.gateway.accountant.management.asked import Asked

Answerer = Callable[[Asked], Any]


@dataclass(frozen=True)
class Endpoint:
    """``reads``: it changes nothing."""

    answer: Answerer
    reads: bool = False


def _reads(answer: Answerer) -> Endpoint:
    return Endpoint(answer, reads=True)


ENDPOINTS: Mapping[tuple[str, str], Endpoint] = {
    ("POST", "/key/generate"): Endpoint(keys.generate),
    ("POST", "/key/service-account/generate"): Endpoint(keys.service_account),
    ("GET", "/key/info"): _reads(keys.info),
    ("GET", "/key/list"): _reads(keys.listed),
    ("POST", "/key/update"): Endpoint(keys.update),
    ("POST", "/key/delete"): Endpoint(keys.delete),
    ("POST", "/key/regenerate"): Endpoint(keys.regenerate),
    ("POST", "/key/{key}/regenerate"): Endpoint(keys.regenerate),
    ("POST", "/key/{key}/reset_spend"): Endpoint(keys.reset_spend),
    ("POST", "/key/block"): Endpoint(keys.block),
    ("POST", "/key/unblock"): Endpoint(keys.unblock),
    ("POST", "/team/new"): Endpoint(teams.new),
    ("POST", "/team/update"): Endpoint(teams.update),
    ("GET", "/team/info"): _reads(teams.info),
    ("GET", "/team/list"): _reads(teams.listed),
    ("GET", "/v2/team/list"): _reads(teams.paged),
    ("POST", "/team/delete"): Endpoint(teams.delete),
    ("POST", "/team/block"): Endpoint(teams.block),
    ("POST", "/team/unblock"): Endpoint(teams.unblock),
    ("POST", "/team/member_add"): Endpoint(teams.member_add),
    ("POST", "/team/member_update"): Endpoint(teams.member_update),
    ("POST", "/team/member_delete"): Endpoint(teams.member_delete),
    ("POST", "/user/new"): Endpoint(users.new),
    ("POST", "/user/update"): Endpoint(users.update),
    ("GET", "/user/info"): _reads(users.info),
    ("GET", "/user/list"): _reads(users.listed),
    ("POST", "/user/delete"): Endpoint(users.delete),
    ("POST", "/budget/new"): Endpoint(budgets.new),
    ("POST", "/budget/update"): Endpoint(budgets.update),
    ("POST", "/budget/info"): _reads(budgets.info),
    ("GET", "/budget/list"): _reads(budgets.listed),
    ("POST", "/budget/delete"): Endpoint(budgets.delete),
    ("GET", "/spend/logs"): _reads(spend.logs),
    ("GET", "/global/spend/report"): _reads(spend.report),
}

_NO_CUSTOMERS = "End users are counted (`user` of a request is in /spend/logs) and not limited: make a key for each."

REFUSED: Mapping[str, str] = {
    "/customer/": _NO_CUSTOMERS,
    "/end_user/": _NO_CUSTOMERS,
    "/organization/": "Teams are the only level above keys.",
    "/project/": "Teams are the only level above keys.",
    "/key/bulk_update": "Keys are changed one by one: /key/update.",
    "/key/health": "Nothing is logged to outside; `aiops keys explain` says how a key stands.",
    "/key/aliases": "/key/list with return_full_object=true has them.",
    "/team/permissions_list": "Members have no rights over their team.",
    "/team/permissions_update": "Members have no rights over their team.",
    "/team/model/": "Write all `models` by /team/update.",
    "/team/available": "Teams are joined by /team/member_add.",
    "/team/bulk_member_add": "/team/member_add takes a list.",
    "/user/daily/activity": "/global/spend/report and `aiops usage` have it.",
    "/team/daily/activity": "/global/spend/report and `aiops usage` have it.",
    "/user/bulk_update": "Users are changed one by one: /user/update.",
    "/tag/": "Tags are written to keys and requests, and need not be made; `aiops usage --by tag` counts them.",
    "/budget/settings": "/budget/info has all fields.",
    "/spend/": "/spend/logs, /global/spend/report and `aiops usage` have it.",
    "/global/": "/global/spend/report and `aiops usage` have it.",
}
"""By how the path begins."""

_PATTERNS = [
    (method, re.compile(re.escape(path).replace(r"\{key\}", "(?P<key>[^/]+)")), endpoint)
    for (method, path), endpoint in ENDPOINTS.items()
    if "{" in path
]


def find(method: str, path: str) -> tuple[Endpoint, str] | None:
    """And what stands where a path has ``{key}``."""
    if (found := ENDPOINTS.get((method, path))) is not None:
        return found, ""
    for wanted, pattern, endpoint in _PATTERNS:
        if method == wanted and (match := pattern.fullmatch(path)) is not None:
            return endpoint, match["key"]
    return None


def methods(path: str) -> list[str]:
    """With which it would be answered."""
    plain = [method for method, known in ENDPOINTS if known == path]
    return plain or [method for method, pattern, _ in _PATTERNS if pattern.fullmatch(path)]
