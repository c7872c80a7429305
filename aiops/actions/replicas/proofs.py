"""The proofs of one run, one after the other. Nothing of the operator's is stopped, and nothing is asked of tenants."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from sqlalchemy import Engine

from aiops.actions.change.terms import Terms
from aiops.actions.instance.heeded import Follows
from aiops.actions.keys.revoke import revoke
from aiops.actions.replicas import budget, ledger, places
from aiops.actions.replicas.budget import Spending
from aiops.actions.replicas.ledger import Ledger
from aiops.actions.replicas.listed import Listed
from aiops.actions.replicas.load import TRIES, Load
from aiops.actions.replicas.throwaway import REASON, Throwaway
from aiops.actions.usage.prove import prove as prove_usage
from aiops.host.instance import Instance
from aiops.output import Output
from aiops.verify.check import Check, Failed, Skipped, timed
from aiops.verify.client import Client
from aiops.verify.replicas import limits, reach, refusing
from aiops.verify.replicas.tenant import Replica, Reply, Tenant
from aiops.verify.side_by_side import side_by_side

NOT_PROVED = (
    "that others go on when a replica, Redis or PostgreSQL dies is not proved here: nothing is stopped. Try it where"
    " nobody is served, with `kill -9` of one master; `aiops status` says what happens without the stores"
)
FREE = (
    "costs nothing, so no budget can be spent: `--model` chooses one with a price, `cost_per_1k_tokens` in"
    " providers.yaml gives one"
)
UNSPENDABLE = 10**15  # nano-dollars
AGAIN_SECONDS = 2.0  # Redis is tried again after one
NO_PRICE = "has no price that anybody knows: `cost_per_1k_tokens` in providers.yaml gives one"


@dataclass
class Run:
    """``step`` is told each check as it is made. ``reached``: the replicas that the other proofs are made with.
    ``costs``: of the first requests, nano-dollars, None where nobody knows the price."""

    instance: Instance
    database: Engine
    keys: Throwaway
    ledger: Ledger
    there: Listed
    load: Load
    master_key: str
    step: Callable[[Check], None]
    reached: list[Replica] = field(default_factory=list)
    costs: list[int | None] = field(default_factory=list)

    def prove(self, *, wait: bool) -> None:
        """``wait``: as long as a refusal says, and ask again."""
        known = self.keys.make("known")
        for replica in self.there.replicas:
            self._check(f"replica:{replica.name}", self._reach, replica, known)
        if not self.reached:
            self._check("limits", _skip, "no replica answers: nothing else was tried")
            return
        self._learn_costs(known)
        limited, burst = self._requests()
        self._parallel()
        spender = self._budget(known)
        self._failover(known)
        if wait:
            self._check("limit:again", _again, limited, burst)
        self._usage(spender)
        self._block(known)
        self._revoke(limited)
        self._check("keys:removed", self._remove)

    def _check(self, identity: str, act: Callable[..., str], *arguments: object) -> None:
        self.step(timed(identity, lambda: act(*arguments)))

    # --- who is there -----------------------------------------------------------------------------------------

    def _reach(self, replica: Replica, known: Tenant) -> str:
        said = reach.identity(replica, self.there.names, known.timeout)
        reply = known.ask(replica)
        if not reply.answered:
            raise Failed(f"{said}, but to a key that is valid it says: {reply}")
        self.reached.append(replica)
        return f"{said}, and it answers a key that was made just now"

    def _failover(self, known: Tenant) -> None:
        """A client whose replica is gone asks another one: each is asked as if it were the only one that is left."""
        for replica in self.reached:
            self._check(f"failover:{replica.name}:stores", reach.stores, replica, known.timeout)
            self._check(f"failover:{replica.name}:alone", self._alone, replica, known)
        self._check("failover:faults", _skip, NOT_PROVED)

    def _alone(self, replica: Replica, known: Tenant) -> str:
        reply = known.ask(replica)
        if not reply.answered:
            raise Failed(f"to a known key it says: {reply}")
        # As all that aiops asks for itself this is neither limited nor accounted.
        client = Client(self.master_key, known.timeout, url=replica.url)
        if client.get("/v1/models").status_code == 401:
            raise Skipped(
                "it answers a known key; its master key is another one, with which nobody can go to the others"
            )
        client.ask(self.load.route.model, self.load.route.mode, anybody=len(self.load.route.endpoints) > 1)
        return "it alone answers a known key, and the master key"

    # --- limits and budgets -----------------------------------------------------------------------------------

    def _learn_costs(self, known: Tenant) -> None:
        self.costs = [row.cost for row in self.ledger.rows([known]) if row.status == 200]

    def _try(self, identity: str, what: str, act: Callable[[Tenant], str], **limited: int) -> Tenant:
        """``act`` with a key that is ``limited``. A replica that does not reach the counters in time goes on with its
        own, as it should: then nothing is proved yet, and it is tried again with another key, a few times. Returns the
        last one."""
        # With a budget that nobody spends, the ledger says in which counters a request is. Without a price it refuses.
        spied = {} if None in self.costs or not self.costs else {"max_budget": UNSPENDABLE}
        tenants: list[Tenant] = []

        def tried() -> str:
            before = ""
            for number in range(1, TRIES + 1):
                tenants.append(self.keys.make(what if number == 1 else f"{what}-{number}", **{**spied, **limited}))
                try:
                    return act(tenants[-1]) + before
                except Failed as failure:
                    alone = self.ledger.alone(tenants[-1])
                    if not alone:
                        raise
                    names = limits.named(Counter({self.there.names.get(id, id): many for id, many in alone.items()}))
                    before = f"; counted elsewhere than in the counters that are shared: {names}"
                    if number == TRIES:
                        raise Failed(f"{failure}{before}, in each of {TRIES} tries") from failure
                    before += " (before that)"
                    time.sleep(AGAIN_SECONDS)
            raise AssertionError

        self._check(identity, tried)
        return tenants[-1]

    def _requests(self) -> tuple[Tenant, list[Reply]]:
        limit = self.load.limit
        burst: list[Reply] = []

        def ask(tenant: Tenant) -> str:
            burst[:] = tenant.burst(self.reached, self.load.burst, self.load.at_once)
            return limits.requests(limit, burst)

        tenant = self._try("limit:requests", "requests", ask, rpm_limit=limit)
        self._check("limit:retry-after", limits.retry_after, burst)
        return tenant, burst

    def _parallel(self) -> None:
        replies: list[Reply] = []

        def take(tenant: Tenant) -> str:
            replies[:] = places.asked_while_taken(self.instance, self.database, tenant, self.reached)
            return places.held(replies)

        tenant = self._try("limit:parallel", "parallel", take, max_parallel_requests=1)
        for reply in replies:
            self._check(f"limit:parallel:{reply.replica.name}", places.refused, reply)
        if replies:
            free = [tenant.ask(replica) for replica in self.reached]
            self._check("limit:parallel:free", places.given_back, self.instance, self.database, tenant, free)

    def _budget(self, known: Tenant) -> Tenant | None:
        """The key whose budget was spent; None where there is no price."""
        priced = [cost for cost in self.costs if cost]
        if not self.costs:
            self._check("budget:spent", _fail, "no request of this run is in the ledger: nobody knows what one costs")
        elif not priced:
            self._check("budget:spent", _skip, f"`{self.load.route.model}` {NO_PRICE if None in self.costs else FREE}")
        if not priced:
            self._spent_already()
            return None
        amount = self.load.affordable * max(priced)
        spending: list[Spending] = []
        spent: list[int] = []

        def spend(tenant: Tenant) -> str:
            many, at_once = self.load.spending, self.load.at_once
            spending[:] = [budget.spend(tenant, self.reached, many, at_once, known.slowest)]
            spent[:] = [row.cost or 0 for row in self.ledger.rows([tenant])]
            return budget.overspent(amount, spent)

        tenant = self._try("budget:spent", "budget", spend, max_budget=amount)
        self._check("budget:refused", budget.refusals, amount, sum(spent), spending[0], self.reached)
        return tenant

    def _spent_already(self) -> None:
        """What can be shown without a price: that each replica heeds what the database says was spent."""
        tenant = self.keys.make("spent", max_budget=1, spend=1)
        for reply in side_by_side(tenant.ask, self.reached, len(self.reached)):
            self._check(f"budget:heeded:{reply.replica.name}", budget.heeded, reply)

    # --- what was counted -------------------------------------------------------------------------------------

    def _usage(self, spender: Tenant | None) -> None:
        tenants = self.keys.tenants
        rows = self.ledger.rows(tenants)
        self._check("usage:rows", ledger.counted, tenants, rows, self.there.names)
        self._check("usage:counters", self._counters, spender)

    def _counters(self, spender: Tenant | None) -> str:
        if spender is None:
            raise Skipped("nothing has a price here, so there is no sum to compare")
        proved = prove_usage(self.instance, [spender.id])
        said = "; ".join(str(proof)[2:] for proof in proved.proofs)  # without their signs
        if not proved.ok:
            raise Failed(said)
        return said

    # --- a key that must not be let in any more ---------------------------------------------------------------

    def _block(self, known: Tenant) -> None:
        began = self.keys.block(known)
        found = refusing.seconds_of_each(known, self.reached, began)
        for replica, seconds in zip(self.reached, found, strict=True):
            self._check(f"block:{replica.name}", refusing.in_time, seconds)

    def _revoke(self, tenant: Tenant) -> None:
        """Each replica says that its workers refuse the key; then it is asked."""
        done = revoke(self.instance, tenant.alias, Terms(REASON, assume_yes=True), Output(quiet=True))
        receipt = {each.replica: each for each in done.heeded.receipt} if done.heeded is not None else {}
        after = {reply.replica.id: reply for reply in side_by_side(tenant.look, self.reached, len(self.reached))}
        for replica in self.there.replicas:
            self._check(f"revoke:{replica.name}", _receipted, replica, receipt, after)

    def _remove(self) -> str:
        last = self.keys.tenants[-1]
        self.keys.remove()
        for seconds in refusing.seconds_of_each(last, self.reached, time.monotonic()):
            refusing.in_time(seconds)
        return f"the {len(self.keys.tenants)} keys of this run are revoked"


def _again(limited: Tenant, burst: Sequence[Reply]) -> str:
    found = limits.due(burst)
    if found is None:
        raise Skipped("none was refused")
    refusal, at = found
    time.sleep(max(0.0, at - time.monotonic()))
    reply = limited.ask(refusal.replica)
    said = f"asked again after {refusal.wait:g} s, as it had said, {refusal.replica.name}"
    if not reply.answered:
        raise Failed(f"{said} says: {reply}")
    return f"{said} answers"


def _receipted(replica: Replica, receipt: Mapping[str, Follows], after: Mapping[str, Reply]) -> str:
    said = receipt.get(replica.id)
    if said is None or said.seconds is None:
        raise Failed("no receipt: it does not say that its workers refuse the key")
    reply = after.get(replica.id)
    if reply is not None and reply.status != refusing.REFUSED:
        raise Failed(f"its receipt came after {said.seconds:.2f} s, and then it lets the key in ({reply.status})")
    workers = f"{said.workers} worker{'s' * (said.workers != 1)}"
    return f"receipt of {workers} after {said.seconds:.2f} s" + (", and it refuses the key" if reply else "")


def _skip(why: str) -> str:
    raise Skipped(why)


def _fail(why: str) -> str:
    raise Failed(why)
