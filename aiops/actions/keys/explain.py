"""``aiops keys explain``: would this key's next request pass, by which rule, and what is left on whose counter."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection

from aiops.actions.instance.counters import levels as levels_of
from aiops.actions.instance.database import engine
from aiops.actions.instance.table import columns
from aiops.actions.instance.which import key, named
from aiops.actions.keys.done import called
from aiops.host.instance import Instance
from aiops.state import money, rules
from aiops.state.administration import words
from aiops.state.counters.meters import Level, Meter, Refused
from aiops.state.rules import Counted, Refusal
from aiops.state.shapes import Account, Identity
from aiops.state.store import clock, identity, usage
from aiops.state.store.open import reading
from aiops.state.store.rows import Key

PATH = "/v1/chat/completions"
_WHAT = {"requests": "requests a minute", "tokens": "tokens a minute", "parallel": "at once", "money": "budget"}
_REVOKED = Refusal(
    status=401, kind="token_not_found_in_db", code="401", message="The key was revoked: nobody knows it any more."
)


@dataclass(frozen=True)
class Explained:
    """``refusal`` None: it would pass. ``counted`` and ``levels`` belong together. ``notes``: what is not known."""

    row: Key
    model: str | None
    refusal: Refusal | None
    accounts: Sequence[Account]
    counted: Sequence[Counted]
    levels: Sequence[Level]
    notes: Sequence[str]

    def lines(self) -> Iterator[str]:
        of = f", asking for {self.model}" if self.model else ""
        if self.refusal is None:
            yield f"{called(self.row)}{of}: would pass"
        else:
            yield f"{called(self.row)}{of}: would be refused, HTTP {self.refusal.status} {self.refusal.kind}"
            yield f"{'why:':<8}{self.refusal.message}"
            if self.refusal.wait is not None:
                yield f"{'when:':<8}in {self.refusal.wait:.0f} s"
        for account in self.accounts:
            yield f"{'rule:':<8}{_whose(account)} {_models(account, self.model)}"
        if self.levels:
            yield from columns([_row(*pair) for pair in zip(self.counted, self.levels, strict=True)])
        elif self.refusal is None:
            yield "nothing is counted that could refuse it"
        for note in self.notes:
            yield f"{'note:':<8}{note}"

    def to_json(self) -> dict[str, Any]:
        refusal = self.refusal
        return {
            "key": self.row.name,
            "key_alias": self.row.alias,
            "model": self.model,
            "passes": refusal is None,
            "refusal": None
            if refusal is None
            else {"status": refusal.status, "type": refusal.kind, "message": refusal.message, "wait": refusal.wait},
            "counters": [_json(*pair) for pair in zip(self.counted, self.levels, strict=True)],
            "notes": [*self.notes],
        }


def explain(instance: Instance, said: str, model: str | None) -> Explained:
    """Nothing is counted by it. Raises Unknown."""
    said = named(said)
    with engine(instance) as database, reading(database) as connection:
        now = clock.read(connection) / clock.SECOND
        row = key(connection, said)
        whose = identity.by_id(connection, row.id)
        if whose is None:
            return Explained(row, model, _REVOKED, (), (), (), ())
        counts = rules.counts(whose, model or "", now)
        notes = [] if model or not _by_model(whose) else ["some limits are of one model: name it to see them"]
        in_counters = levels_of(instance, counts.meters)
        if in_counters is None:
            notes.append("no worker has counted here yet: the ledger alone says what was spent")
        levels = [_with_ledger(connection, each, (in_counters or {}).get(each.meter.name)) for each in counts.counted]
    refused = rules.allow(whose, PATH, [model] if model else [], now) or _full(whose, counts.counted, levels, now)
    return Explained(row, model, refused, whose.accounts, counts.counted, levels, notes)


def _with_ledger(connection: Connection, counted: Counted, level: Level | None) -> Level:
    """A money counter that is not there yet stands at what the ledger says."""
    meter, account = counted.meter, counted.account
    found = level or Level(meter, meter.base, 0, None)
    if meter.what != "money":
        return found if level is not None else Level(meter, 0, 0, 0.0)
    begins = max(float(meter.window), account.base_at)
    spent = meter.base + usage.spent(connection, account.kind, account.id, begins, meter.ends, model=counted.model)
    return Level(meter, max(found.used, spent), found.reserved, found.resets)


def _full(whose: Identity, counted: Sequence[Counted], levels: Sequence[Level], now: float) -> Refusal | None:
    for level in levels:
        if level.left == 0 and not level.meter.shadow:
            spent = level.meter.what == "money" and level.used - level.reserved >= level.meter.limit
            return rules.over(whose, counted, Refused(level, level.resets, for_good=spent), now)
    return None


def _by_model(whose: Identity) -> bool:
    return any(account.by_model or account.budgets_by_model for account in whose.accounts)


def _whose(account: Account) -> str:
    return f"{account.kind} {account.name or account.id}"


def _models(account: Account, model: str | None) -> str:
    if not account.models:
        return "may ask for every model"
    listed = ", ".join(account.models)
    if model is None:
        return f"is held to {listed}"
    return f"may ask for {model}: {listed}" if rules.may_ask(account, model) else f"may not: it is held to {listed}"


def _row(counted: Counted, level: Level) -> dict[str, str]:
    meter, shown = level.meter, money.shown if level.meter.what == "money" else "{:,}".format
    model = f" on {counted.model}" if counted.model else ""
    reserved = f" ({shown(level.reserved)} reserved)" if level.reserved else ""
    return {
        "whose": _whose(counted.account),
        "what": _WHAT[meter.what] + model + (", in shadow" if meter.shadow else ""),
        "used": shown(level.used) + reserved,
        "of": shown(meter.limit),
        "left": shown(level.left),
        "window": _window(meter),
    }


def _window(meter: Meter) -> str:
    if meter.what == "parallel":
        return "now"
    if meter.what != "money":
        return "the last 60 s"
    if meter.ends is None:
        return "ever"
    return f"{words.moment(meter.window * clock.SECOND)} to {words.moment(meter.ends * clock.SECOND)}"


def _json(counted: Counted, level: Level) -> dict[str, Any]:
    meter = level.meter
    amount = money.dollars if meter.what == "money" else int
    return {
        "whose": counted.account.kind,
        "id": counted.account.id,
        "what": meter.what,
        "model": counted.model,
        "used": amount(level.used),
        "reserved": amount(level.reserved),
        "limit": amount(meter.limit),
        "left": amount(level.left),
        "begins": meter.window or None,
        "ends": meter.ends,
        "shadow": meter.shadow,
    }
