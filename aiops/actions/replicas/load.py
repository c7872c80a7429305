"""What a run asks for: of which model, how often, and what that costs at most."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from aiops.errors import Precondition, UnknownName
from aiops.spec.routes.routes import Route, RouteTable
from aiops.spec.suggest import nearest
from aiops.state import money
from aiops.verify.check import Failed
from aiops.verify.client import Client
from aiops.verify.replicas.tenant import CHARACTERS

MODELS = 3  # until one answers
TRIES = 3  # of a proof while a replica does without the counters that it shares, for a moment
MODE = "chat"
NO_BILL = "which its own server sends no bill for"


@dataclass(frozen=True)
class Load:
    """For so many ``replicas``. ``limit``: of requests in a minute; ``affordable``: requests that a budget is for."""

    route: Route
    replicas: int

    @property
    def limit(self) -> int:
        return max(6, self.replicas)

    @property
    def burst(self) -> int:
        return 3 * self.limit

    @property
    def affordable(self) -> int:
        return max(8, 2 * self.replicas)

    @property
    def spending(self) -> int:
        """Enough for a budget to be spent twice, should each replica count alone."""
        return 2 * self.affordable

    @property
    def at_once(self) -> int:
        return min(12, max(4, 2 * self.replicas))

    @property
    def most(self) -> int:
        """Requests to models, if nothing at all were limited."""
        return 4 * self.replicas + 1 + TRIES * (self.burst + self.spending + 3 * self.replicas)

    @property
    def usual(self) -> int:
        """Those that are answered, when all is well."""
        return 4 * self.replicas + self.limit + self.affordable

    @property
    def lines(self) -> list[str]:
        """For people, before anything is asked: how much it is, and from whom it is taken."""
        limited = rationed(self.route)
        taken = [f"`{self.route.model}` {limited}: what is asked here is taken from its users"] if limited else []
        return [self._sentence, *taken]

    @property
    def _sentence(self) -> str:
        tokens = self.most * CHARACTERS  # a token has a character at least
        price = "whose price is not written in providers.yaml" if self.route.billable else NO_BILL
        if self.route.cost is not None:
            price = f"{money.shown(round(tokens / 1000 * self.route.cost * 1e9))} at most"
            if not self.route.billable:
                price += f" by its `cost_per_1k_tokens`, {NO_BILL}"
        replicas = f"{self.replicas} replica{'s' * (self.replicas != 1)}"
        return (
            f"{replicas}: about {self.usual} tiny requests to `{self.route.model}` are answered, {self.most} at most if"
            f" no limit holds, of less than {tokens:,} tokens together ({price})"
        )


def choose(
    table: RouteTable, wanted: str | None, billable: bool, client: Client, served: Mapping[str, Collection[str]]
) -> Route:
    """The model that costs least, is nobody's to ration, and answers a proof; ``wanted``: this one. ``served``: the
    names by replica, of those that say so. Raises UnknownName, Precondition."""
    if wanted is not None:
        candidates = [_wanted(table, wanted, billable, served)]
    else:
        allowed = cheapest(table, billable)
        if not allowed:
            costs = any(route.mode == MODE for route in table.routes)
            raise Precondition(
                "every chat model costs money" if costs else "no chat model is served",
                "--billable allows it, --model chooses one" if costs else "`aiops add-provider` adds one",
            )
        left_out = {route.model: why for route in allowed if (why := rationed(route) or _missing(route, served))}
        candidates = [route for route in allowed if route.model not in left_out][:MODELS]
        if not candidates:
            why = "; ".join(f"`{model}` {reason}" for model, reason in left_out.items())
            raise Precondition(f"no chat model is left to be asked: {why}", "--model asks one with a `rate_limit`")
    failed = []
    for route in candidates:
        try:
            client.ask(route.model, route.mode, anybody=len(route.endpoints) > 1)
        except Failed as failure:
            failed.append(f"`{route.model}`: {failure}")
        else:
            return route
    raise Precondition(f"no model answers here: {'; '.join(failed)}", "`aiops verify` says more")


def rationed(route: Route) -> str:
    """Why what is asked for is taken from its users, and may be refused for what they use; empty when it is not."""
    limits = [
        f"{limit} {what}" for limit, what in ((route.rpm, "requests"), (route.tpm, "tokens")) if limit is not None
    ]
    return f"has a `rate_limit` of {' and '.join(limits)} in a minute" if limits else ""


def named(table: RouteTable, name: str, billable: bool) -> Route:
    """The one of that name, if it may be asked. Raises UnknownName, Precondition."""
    route = table.route(name)
    if route is None or route.mode != MODE:
        close = nearest(name, [each.model for each in table.routes if each.mode == MODE])
        hint = f"did you mean `{close}`?" if close else "`aiops list` shows what is served"
        raise UnknownName(f"no chat model is served as `{name}`", hint)
    if route.billable and not billable:
        raise Precondition(f"`{name}` costs money: {route.provider} sends a bill", "--billable allows it")
    return route


def _wanted(table: RouteTable, name: str, billable: bool, served: Mapping[str, Collection[str]]) -> Route:
    route = named(table, name, billable)
    if missing := _missing(route, served):
        raise Precondition(f"`{name}` {missing}", "--model chooses one that all of them serve")
    return route


def _missing(route: Route, served: Mapping[str, Collection[str]]) -> str:
    without = sorted(replica for replica, names in served.items() if route.model not in names)
    return f"is not served by {', '.join(without)}" if without else ""


def cheapest(table: RouteTable, billable: bool) -> list[Route]:
    """Own servers first, of these one with a price, which is nobody's bill and lets budgets be shown; then by price."""

    def order(route: Route) -> tuple[bool, bool, bool, float]:
        # Of a group each member may have a price of its own.
        return route.billable, len(route.endpoints) > 1, not route.cost, route.cost or 0.0

    return sorted(
        (route for route in table.routes if route.mode == MODE and (billable or not route.billable)), key=order
    )
