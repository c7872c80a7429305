"""``/key/*``"""

from __future__ import annotations

import re
from typing import Any

from aiops.gateway.accountant.management.asked import Asked, texts, yes
from aiops.gateway.accountant.management.errors import Refused, missing
from aiops.state import money
from aiops.state.administration import find, keys, listing, readers, spend, view
from aiops.state.administration.litellm import dollars, when
from aiops.state.administration.request import Invalid, Problem, Unknown
from aiops.state.administration.requests import KeyRequest
from aiops.state.store import rows
from aiops.state.windows import window

Json = dict[str, Any]


def generate(asked: Asked) -> Json:
    return _made(asked, keys.create(asked.connection, KeyRequest.of(asked.given), asked.by))


def service_account(asked: Asked) -> Json:
    """A key of a team and of no user."""
    if not asked.given.get("team_id"):
        raise Invalid([Problem("team_id", "is missing: a service account belongs to a team")])
    if asked.given.get("user_id"):
        raise Invalid([Problem("user_id", "is not supported: a service account is nobody's")])
    return _made(asked, keys.create(asked.connection, KeyRequest.of(asked.given), asked.by))


def info(asked: Asked) -> Json:
    asked.only("key")
    said = asked.one("key", str) or asked.caller
    if not said:
        raise Refused(400, "No key was asked for: write ?key=. The master key itself is no row.", param="key")
    return {"key": said, "info": view.info(asked.connection, _key(asked, said, ended=True), asked.now)}


def update(asked: Asked) -> Json:
    """``key`` says which; without it ``key_alias`` does, and is not changed."""
    said, alias = asked.one("key", str), asked.one("key_alias", str)
    if said is None and alias is None:
        raise Invalid([Problem("key", "is missing: either `key` or `key_alias` says which")])
    row = _key(asked, said) if said is not None else _aliased(asked, alias or "")
    request = KeyRequest.of(asked.without("key") if said is not None else asked.without("key_alias"))
    done = keys.change(asked.connection, row, request, asked.by)
    return {**view.key(asked.connection, done.row, asked.now), "key": said or row.name}


def delete(asked: Asked) -> Json:
    """All of them or none."""
    asked.only("keys", "key_aliases")
    said, aliases = asked.one("keys", texts) or (), asked.one("key_aliases", texts) or ()
    if not said and not aliases:
        raise Invalid([Problem("keys", "is missing: either `keys` or `key_aliases` says which")])
    found = [(each, _key(asked, each)) for each in said] + [(each, _aliased(asked, each)) for each in aliases]
    for _, row in found:
        keys.revoke(asked.connection, row, asked.by)
    return {"deleted_keys": [each for each, _ in found]}


_REFUSED_FILTERS = {
    "organization_id": "teams are the only level above keys",
    "project_id": "teams are the only level above keys",
    "agent_id": "this gateway serves models only",
    "access_group_id": "`models` takes names and patterns such as gpt-*",
    "include_team_keys": "an administrator sees all keys: write `team_id`",
    "include_created_by_keys": "an administrator sees all keys: write `search`",
    "expand": "/user/info has the users",
}


def listed(asked: Asked) -> Json:
    asked.only(
        "page", "size", "user_id", "team_id", "key_hash", "key_alias", "search", "return_full_object", "sort_by",
        "sort_order", "status", "expires", "substring_matching", refused=_REFUSED_FILTERS,
    )  # fmt: skip
    number, size = asked.page()
    if asked.one("sort_by", str) not in (None, "created_at") or asked.one("sort_order", str) not in (None, "desc"):
        raise Invalid([Problem("sort_by", "is not supported: keys come by `created_at`, `desc`")])
    status = asked.one("status", readers.one_of(*listing.STATUSES))
    expires = asked.one("expires", readers.one_of("active", "expired"))
    alias, part = asked.one("key_alias", str), asked.one("search", str)
    if asked.one("substring_matching", yes) and alias is not None:
        alias, part = None, alias
    wanted = listing.Wanted(
        team=asked.one("team_id", str),
        user=asked.one("user_id", str),
        alias=alias,
        hash=asked.one("key_hash", str),
        part=part,
        status=status or expires,
    )
    total = listing.count(asked.connection, wanted)
    page = listing.page(asked.connection, wanted, size, skip=(number - 1) * size)
    full: list[Any]
    if asked.one("return_full_object", yes):
        full = view.keys(asked.connection, page, asked.now)
    else:
        hashes = find.hashes(asked.connection, [each.id for each in page])
        full = [hashes[each.id] for each in page if each.id in hashes]
    return {"keys": full, "total_count": total, "current_page": number, "total_pages": -(-total // size)}


def regenerate(asked: Asked) -> Json:
    """The key is named in the path, or in the body."""
    said = asked.step or asked.one("key", str)
    if not said:
        raise Invalid([Problem("key", "is missing")])
    row = _key(asked, said)
    if asked.given.get("new_master_key"):
        raise Refused(400, "`new_master_key` is not supported: the master key is a file of the operator's.")
    grace = asked.one("grace_period", readers.lifetime)
    given = asked.without("key", "new_key", "new_master_key", "grace_period")
    if (new := asked.given.get("new_key")) is not None:
        given["key"] = new
    try:
        request = KeyRequest.of(given)
    except Invalid as error:
        raise Invalid(
            Problem("new_key" if each.field == "key" else each.field, each.what) for each in error.problems
        ) from None
    return _made(asked, keys.rotate(asked.connection, row, request, asked.by, grace or 0))


def block(asked: Asked) -> Json:
    return _block(asked, True)


def unblock(asked: Asked) -> Json:
    return _block(asked, False)


def reset_spend(asked: Asked) -> Json:
    asked.only("reset_to")
    row = _key(asked, asked.step)
    lent = spend.lent(asked.connection, row)
    to, before = asked.need("reset_to", readers.amount), spend.spent(asked.connection, row, lent, asked.now).window
    if to > before:
        raise Invalid([Problem("reset_to", f"is more than was spent: {money.shown(before)}")])
    done = keys.reset_spend(asked.connection, row, to, asked.by)
    ends = window(row.budget_duration, asked.now).ends
    return {
        "key_hash": find.hashes(asked.connection, [row.id]).get(row.id),
        "spend": dollars(to),
        "previous_spend": dollars(before),
        "max_budget": dollars(done.row.max_budget),
        "budget_reset_at": when(None if ends is None else ends * 1_000_000),
    }


def _block(asked: Asked, blocked: bool) -> Json:
    asked.only("key")
    row = _key(asked, asked.need("key", str))
    return view.key(asked.connection, keys.block(asked.connection, row, asked.by, blocked).row, asked.now)


def _made(asked: Asked, new: keys.Made) -> Json:
    return view.made(asked.connection, new, asked.now)


def _key(asked: Asked, said: str, *, ended: bool = False) -> rows.Key:
    """By the key itself, its hash, or its id; ``ended``: also one that was revoked. Raises Refused, which repeats none
    of them."""
    if not re.fullmatch(r"[\x21-\x7e]{1,500}", said):
        raise Refused(400, "Invalid key format.", param="key")
    try:
        row = find.key(asked.connection, said, by_alias=False)
    except Unknown:
        raise missing("Key not found in database", "key") from None
    if row.revoked_at is not None and not ended:
        raise missing("Key not found in database", "key")
    return row


def _aliased(asked: Asked, alias: str) -> rows.Key:
    found = listing.page(asked.connection, listing.Wanted(alias=alias), 1)
    if not found:
        raise missing(f"Key not found in database: no key has the alias `{alias[:200]}`", "key_alias")
    return found[0]
