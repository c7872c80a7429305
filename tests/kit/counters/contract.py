"""The sentences of the counters' contract, for every implementation: a class of tests below it says which."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Coroutine
from dataclasses import replace
from typing import Any, TypeVar

import pytest

from aiops.state.counters.meters import Counters, Decision, Demand, Granted, Level, Meter, Refused, Settled, Unseeded
from tests.kit.counters.clock import Clock

T = TypeVar("T")
RPM = Meter(name="key:K:rpm", what="requests", limit=60)
TPM = Meter(name="key:K:tpm", what="tokens", limit=100)
PARALLEL = Meter(name="key:K:parallel", what="parallel", limit=2)
USD = Meter(name="key:K:usd:0", what="money", limit=1000)


class Desk:
    """Counters, as a test asks them."""

    def __init__(self, counters: Counters, clock: Clock, run: asyncio.Runner) -> None:
        self.counters, self.clock, self.run = counters, clock, run
        self.numbers = itertools.count()

    def ask(self, question: Coroutine[Any, Any, T]) -> T:
        return self.run.run(question)

    def reserve(self, *meters: Meter, id: str | None = None, tokens: int = 0, cost: int = 0, **more: Any) -> Decision:
        id = f"r{next(self.numbers)}" if id is None else id
        demand = Demand(id=id, meters=meters, tokens=tokens, cost=cost, **{"owner": "worker", **more})
        return self.ask(self.counters.reserve(demand))

    def settle(self, id: str, tokens: int = 0, cost: int = 0) -> Settled:
        return self.ask(self.counters.settle(id, tokens, cost))

    def void(self, id: str) -> bool:
        return self.ask(self.counters.void(id))

    def post(self, id: str, meter: Meter, cost: int) -> bool:
        return self.ask(self.counters.post(id, {meter.name: cost}, {meter.name: meter.ends}))

    def seed(self, meter: Meter, spent: int = 0) -> None:
        self.ask(self.counters.seed({meter.name: spent}, {meter.name: meter.ends}))

    def alive(self, owner: str = "worker") -> None:
        self.ask(self.counters.alive(owner))

    def level(self, meter: Meter) -> Level:
        return self.ask(self.counters.levels([meter]))[0]

    def used(self, meter: Meter) -> tuple[int, int]:
        level = self.level(meter)
        return level.used, level.reserved

    def pass_by(self, seconds: float) -> None:
        """The worker says that it is alive meanwhile."""
        while seconds > 5:
            self.clock.pass_by(5)
            self.alive()
            seconds -= 5
        self.clock.pass_by(seconds)
        self.alive()

    def passed(self, meter: Meter, times: int, every: float) -> int:
        many = 0
        for _ in range(times):
            many += isinstance(self.reserve(meter), Granted)
            self.clock.pass_by(every)
        return many

    def month(self, begins_in: int = 0, limit: int = 1000, base: int = 0) -> Meter:
        begins = int(self.clock.seconds) + begins_in
        return Meter(
            name=f"key:K:usd:0:30d:{begins}",
            what="money",
            limit=limit,
            window=begins,
            ends=begins + 2_592_000,
            base=base,
        )


class Contract:
    @pytest.fixture
    def desk(self) -> Desk:
        raise NotImplementedError

    def test_a_demand_is_counted_on_all_meters_or_on_none(self, desk: Desk) -> None:
        desk.seed(USD, 1000)
        refused = desk.reserve(RPM, TPM, PARALLEL, USD, tokens=10, cost=10)
        assert isinstance(refused, Refused)
        assert refused.level.meter == USD
        assert [desk.used(meter) for meter in (RPM, TPM, PARALLEL, USD)] == [(0, 0), (0, 0), (0, 0), (1000, 0)]

    def test_what_is_granted_says_how_all_meters_stand_with_it(self, desk: Desk) -> None:
        desk.seed(USD, 5)
        granted = desk.reserve(RPM, TPM, PARALLEL, USD, tokens=10, cost=20)
        assert isinstance(granted, Granted)
        assert [(level.used, level.reserved, level.left) for level in granted.levels] == [
            (1, 0, 59), (10, 10, 90), (1, 1, 1), (25, 20, 975),
        ]  # fmt: skip
        assert granted.epoch == desk.ask(desk.counters.epoch())

    def test_of_600_requests_in_a_minute_exactly_60_pass(self, desk: Desk) -> None:
        assert desk.passed(RPM, 600, 0.1) == 60

    def test_the_window_slides_so_that_the_turn_of_a_minute_lets_no_second_burst_pass(self, desk: Desk) -> None:
        desk.clock.pass_by(59 - desk.clock.seconds % 60)
        assert desk.passed(RPM, 60, 0.001) == 60
        assert desk.passed(RPM, 600, 0.05) == 0
        desk.clock.pass_by(60)
        assert desk.passed(RPM, 100, 0.001) == 60

    def test_a_large_limit_is_kept_in_every_minute(self, desk: Desk) -> None:
        large = Meter(name="key:L:rpm", what="requests", limit=300)
        moments = []
        for _ in range(2000):
            if isinstance(desk.reserve(large), Granted):
                moments.append(desk.clock.seconds)
            desk.clock.pass_by(0.09)
        assert len(moments) > 2 * 300
        assert max(sum(1 for other in moments if 0 <= other - start < 60) for start in moments) <= 300

    def test_retry_after_is_when_the_next_one_passes(self, desk: Desk) -> None:
        desk.passed(RPM, 60, 0.25)
        refused = desk.reserve(RPM)
        assert isinstance(refused, Refused)
        assert refused.wait == pytest.approx(45)
        desk.clock.pass_by(44.99)
        assert isinstance(desk.reserve(RPM), Refused)
        desk.clock.pass_by(0.02)
        assert isinstance(desk.reserve(RPM), Granted)

    def test_a_refusal_writes_nothing_so_that_who_asks_on_and_on_waits_no_longer(self, desk: Desk) -> None:
        desk.passed(RPM, 60, 0)
        desk.passed(RPM, 500, 0.1)
        desk.clock.pass_by(10.001)
        assert isinstance(desk.reserve(RPM), Granted)

    def test_a_limit_that_is_changed_forgets_nothing(self, desk: Desk) -> None:
        high = Meter(name=RPM.name, what="requests", limit=600)
        assert desk.passed(high, 50, 0.01) == 50
        assert desk.passed(RPM, 50, 0.01) == 10
        assert desk.passed(high, 600, 0.01) == 540

    def test_requests_stay_counted_when_voided_and_tokens_do_not(self, desk: Desk) -> None:
        desk.reserve(RPM, TPM, PARALLEL, id="a", tokens=40)
        assert desk.void("a")
        assert [desk.used(meter) for meter in (RPM, TPM, PARALLEL)] == [(1, 0), (0, 0), (0, 0)]
        assert not desk.void("a")

    def test_an_estimate_above_the_limit_is_cut_so_that_the_first_call_of_a_small_key_passes(self, desk: Desk) -> None:
        granted = desk.reserve(TPM, id="a", tokens=1024)
        assert isinstance(granted, Granted)
        assert granted.levels[0].reserved == 100
        assert isinstance(desk.reserve(TPM, tokens=1), Refused)

    def test_663_tokens_at_100_a_minute_are_followed_by_six_and_a_half_minutes_of_silence(self, desk: Desk) -> None:
        desk.reserve(TPM, id="a", tokens=50)
        desk.settle("a", tokens=663)
        refused = desk.reserve(TPM, tokens=1)
        assert isinstance(refused, Refused)
        assert refused.wait == pytest.approx(397.8)
        desk.pass_by(397)
        assert isinstance(desk.reserve(TPM, tokens=1), Refused)
        desk.pass_by(1)
        assert isinstance(desk.reserve(TPM, tokens=100), Granted)

    def test_a_small_excess_waits_for_what_has_to_leave_and_no_longer(self, desk: Desk) -> None:
        large = Meter(name="key:L:tpm", what="tokens", limit=10_000)
        desk.reserve(large, id="a", tokens=9_000)
        desk.settle("a", tokens=9_900)
        desk.pass_by(30)
        desk.reserve(large, id="b", tokens=100)
        desk.settle("b", tokens=600)
        desk.pass_by(31.5)
        assert isinstance(desk.reserve(large, tokens=9_000), Granted)

    def test_tokens_stay_reserved_for_as_long_as_the_answer_takes(self, desk: Desk) -> None:
        desk.reserve(TPM, id="a", tokens=80)
        desk.pass_by(300)
        refused = desk.reserve(TPM, tokens=30)
        assert isinstance(refused, Refused)
        assert refused.wait is None
        desk.settle("a", tokens=10)
        assert isinstance(desk.reserve(TPM, tokens=90), Granted)

    def test_so_many_at_once_and_then_one_for_each_that_ends(self, desk: Desk) -> None:
        desk.reserve(PARALLEL, id="a")
        desk.reserve(PARALLEL, id="b")
        refused = desk.reserve(PARALLEL)
        assert isinstance(refused, Refused)
        assert (refused.wait, refused.for_good) == (None, False)
        desk.settle("a")
        assert isinstance(desk.reserve(PARALLEL), Granted)

    def test_a_settlement_that_is_said_again_is_not_added_twice(self, desk: Desk) -> None:
        desk.seed(USD)
        desk.reserve(USD, TPM, PARALLEL, id="a", tokens=10, cost=10)
        epoch = desk.ask(desk.counters.epoch())
        assert desk.settle("a", tokens=7, cost=12) == Settled(epoch, True)
        assert desk.settle("a", tokens=7, cost=12) == Settled(epoch, False)
        assert not desk.void("a")
        assert [desk.used(meter) for meter in (USD, TPM, PARALLEL)] == [(12, 0), (7, 0), (0, 0)]

    def test_a_reservation_that_is_asked_again_is_counted_once(self, desk: Desk) -> None:
        desk.seed(USD)
        for _ in range(3):
            assert isinstance(desk.reserve(RPM, USD, PARALLEL, id="a", cost=10), Granted)
        assert [desk.used(meter) for meter in (RPM, USD, PARALLEL)] == [(1, 0), (10, 10), (1, 1)]

    def test_a_reservation_that_arrives_after_it_was_voided_counts_nothing(self, desk: Desk) -> None:
        desk.seed(USD)
        assert not desk.void("late")
        desk.reserve(RPM, USD, PARALLEL, id="late", cost=10)
        assert [desk.used(meter) for meter in (RPM, USD, PARALLEL)] == [(0, 0), (0, 0), (0, 0)]

    def test_nothing_is_settled_that_these_counters_do_not_know(self, desk: Desk) -> None:
        assert desk.settle("of other counters", tokens=5, cost=5) == Settled("", False)

    def test_a_guess_of_money_is_cut_to_what_is_left_when_nobody_else_holds_any(self, desk: Desk) -> None:
        desk.seed(USD, 990)
        granted = desk.reserve(USD, id="a", cost=500)
        assert isinstance(granted, Granted)
        assert granted.levels[0].reserved == 10
        held = desk.reserve(USD, cost=1)
        assert isinstance(held, Refused)
        assert not held.for_good
        desk.settle("a", cost=4)
        assert isinstance(desk.reserve(USD, id="b", cost=500), Granted)
        desk.settle("b", cost=6)
        spent = desk.reserve(USD, cost=1)
        assert isinstance(spent, Refused)
        assert spent.for_good

    def test_many_at_once_spend_no_more_than_there_is(self, desk: Desk) -> None:
        desk.seed(USD)
        granted = [isinstance(desk.reserve(USD, id=f"m{number}", cost=20), Granted) for number in range(200)]
        assert sum(granted) == 50
        for number in range(50):
            desk.settle(f"m{number}", cost=20)
        assert desk.used(USD) == (1000, 0)

    def test_spent_money_says_when_the_window_ends(self, desk: Desk) -> None:
        month = desk.month(begins_in=1)
        desk.clock.pass_by(1)
        desk.reserve(month, id="a", cost=1000)
        desk.settle("a", cost=1000)
        refused = desk.reserve(month, cost=1)
        assert isinstance(refused, Refused)
        assert refused.wait == pytest.approx(month.ends - desk.clock.seconds if month.ends else 0)

    def test_the_next_window_is_another_counter_and_owes_nothing_to_the_last(self, desk: Desk) -> None:
        first, second = desk.month(begins_in=1), desk.month(begins_in=2)
        desk.clock.pass_by(2)
        desk.reserve(first, id="a", cost=1000)
        desk.settle("a", cost=1000)
        assert isinstance(desk.reserve(first, cost=1), Refused)
        assert isinstance(desk.reserve(second, cost=1), Granted)

    def test_money_whose_window_is_older_than_the_counters_has_to_be_seeded_and_writes_nothing(
        self, desk: Desk
    ) -> None:
        old = desk.month(begins_in=-5)
        asked = desk.reserve(RPM, old, USD, cost=1)
        assert asked == Unseeded((old, USD), desk.ask(desk.counters.epoch()))
        assert desk.used(RPM) == (0, 0)
        desk.ask(desk.counters.seed({old.name: 700, USD.name: 1}, {old.name: old.ends, USD.name: None}))
        assert isinstance(desk.reserve(RPM, old, USD, cost=1), Granted)
        assert desk.used(old) == (701, 1)

    def test_money_whose_window_began_later_starts_at_its_base(self, desk: Desk) -> None:
        new = desk.month(begins_in=1, base=40)
        desk.clock.pass_by(1)
        assert isinstance(desk.reserve(new, cost=5), Granted)
        assert desk.used(new) == (45, 5)

    def test_a_budget_given_in_the_middle_of_its_window_has_to_be_seeded(self, desk: Desk) -> None:
        new = desk.month(begins_in=1)
        desk.clock.pass_by(2)
        given_later = replace(new, since=new.window + 1)
        assert desk.reserve(given_later, cost=5) == Unseeded((given_later,), desk.ask(desk.counters.epoch()))
        assert isinstance(desk.reserve(replace(new, since=new.window - 1), cost=5), Granted)

    def test_a_seed_changes_nothing_that_is_there(self, desk: Desk) -> None:
        desk.seed(USD, 10)
        desk.seed(USD, 500)
        assert desk.used(USD) == (10, 0)

    def test_a_seed_for_counters_of_the_past_changes_nothing(self, desk: Desk) -> None:
        desk.ask(desk.counters.seed({USD.name: 10}, {USD.name: None}, "another"))
        assert isinstance(desk.reserve(USD), Unseeded)

    def test_what_other_counters_settled_is_posted_once(self, desk: Desk) -> None:
        desk.seed(USD)
        assert desk.post("elsewhere", USD, 30)
        assert not desk.post("elsewhere", USD, 30)
        assert desk.used(USD) == (30, 0)

    def test_a_post_ends_what_is_reserved_for_it_here(self, desk: Desk) -> None:
        desk.seed(USD)
        desk.reserve(USD, PARALLEL, TPM, id="a", cost=50, tokens=50)
        assert desk.post("a", USD, 30)
        assert [desk.used(meter) for meter in (USD, PARALLEL, TPM)] == [(30, 0), (0, 0), (0, 0)]
        assert not desk.settle("a", cost=30)
        assert desk.used(USD) == (30, 0)

    def test_a_post_counts_what_was_voided_here_and_settled_elsewhere(self, desk: Desk) -> None:
        desk.seed(USD)
        desk.reserve(USD, id="a", cost=50)
        desk.void("a")
        assert desk.post("a", USD, 30)
        assert desk.used(USD) == (30, 0)

    def test_a_post_for_a_counter_that_is_not_there_has_it_seeded(self, desk: Desk) -> None:
        new = desk.month(begins_in=1)
        desk.clock.pass_by(1)
        assert desk.post("elsewhere", new, 30)
        assert isinstance(desk.reserve(new, cost=1), Unseeded)
        desk.seed(new, 30)
        assert isinstance(desk.reserve(new, cost=1), Granted)
        assert desk.used(new) == (31, 1)

    def test_a_post_said_again_is_counted_where_the_counter_was_not_there_and_nowhere_twice(self, desk: Desk) -> None:
        """The row was not in the ledger when somebody seeded the counter: its transaction was rolled back."""
        new = desk.month(begins_in=1)
        desk.clock.pass_by(1)
        desk.seed(USD)
        costs, ends = {USD.name: 30, new.name: 30}, {USD.name: None, new.name: new.ends}
        assert desk.ask(desk.counters.post("elsewhere", costs, ends))
        assert not desk.ask(desk.counters.post("elsewhere", costs, ends))
        desk.seed(new, 5)
        assert not desk.settle("elsewhere", cost=30)
        assert not desk.void("elsewhere")
        assert desk.ask(desk.counters.post("elsewhere", costs, ends))
        assert not desk.ask(desk.counters.post("elsewhere", costs, ends))
        assert (desk.used(USD), desk.used(new)) == ((30, 0), (35, 0))

    def test_what_an_owner_reserved_is_given_back_when_it_is_no_longer_alive(self, desk: Desk) -> None:
        """Killed workers leave no phantoms that refuse others."""
        desk.seed(USD)
        desk.alive("killed")
        desk.reserve(USD, PARALLEL, TPM, id="a", owner="killed", cost=50, tokens=50)
        desk.pass_by(9.9)
        assert desk.used(USD) == (50, 50)
        desk.pass_by(0.2)
        assert [desk.used(meter) for meter in (USD, PARALLEL, TPM)] == [(0, 0), (0, 0), (0, 0)]

    def test_what_is_gone_gives_back_at_once(self, desk: Desk) -> None:
        desk.seed(USD)
        desk.reserve(USD, id="a", owner="leaving", cost=50)
        desk.reserve(USD, id="b", cost=7)
        desk.ask(desk.counters.gone("leaving"))
        assert desk.used(USD) == (7, 7)

    def test_whoever_asks_again_for_what_is_reserved_is_its_owner_from_then_on(self, desk: Desk) -> None:
        """A worker that gives a request to another one may retire while it is answered."""
        desk.seed(USD)
        desk.reserve(USD, PARALLEL, TPM, id="a", owner="light", cost=50, tokens=50)
        desk.reserve(USD, PARALLEL, TPM, id="a", owner="full", cost=50, tokens=50)
        desk.ask(desk.counters.gone("light"))
        assert [desk.used(meter) for meter in (USD, PARALLEL, TPM)] == [(50, 50), (1, 1), (50, 50)]
        desk.ask(desk.counters.gone("full"))
        assert [desk.used(meter) for meter in (USD, PARALLEL, TPM)] == [(0, 0), (0, 0), (0, 0)]

    def test_what_was_taken_over_ends_when_it_would_have_and_with_whoever_took_it(self, desk: Desk) -> None:
        desk.reserve(PARALLEL, id="a", owner="light", seconds=8.0)
        desk.reserve(PARALLEL, id="b", owner="light", seconds=300.0)
        desk.clock.pass_by(6)
        for id in "ab":
            desk.reserve(PARALLEL, id=id, owner="full", seconds=300.0)
        desk.pass_by(5)
        assert desk.used(PARALLEL) == (1, 1), "b has its owner, a its deadline"
        desk.pass_by(6)
        assert desk.used(PARALLEL) == (0, 0)

    def test_a_reservation_ends_at_its_deadline_though_its_owner_lives(self, desk: Desk) -> None:
        desk.reserve(PARALLEL, id="a", seconds=30.0)
        desk.pass_by(29)
        assert desk.used(PARALLEL) == (1, 1)
        desk.pass_by(2)
        assert desk.used(PARALLEL) == (0, 0)

    def test_a_settlement_after_the_expiry_counts_what_was_used_once(self, desk: Desk) -> None:
        desk.seed(USD)
        desk.reserve(USD, PARALLEL, TPM, id="a", cost=50, tokens=50, seconds=1.0)
        desk.pass_by(2)
        assert desk.settle("a", tokens=9, cost=60)
        assert not desk.settle("a", tokens=9, cost=60)
        assert [desk.used(meter) for meter in (USD, PARALLEL, TPM)] == [(60, 0), (0, 0), (9, 0)]

    def test_what_was_given_back_at_the_expiry_is_not_given_back_again_out_of_what_others_hold(
        self, desk: Desk
    ) -> None:
        desk.seed(USD)
        desk.reserve(USD, PARALLEL, TPM, id="a", cost=50, tokens=50, seconds=1.0)
        desk.reserve(USD, PARALLEL, TPM, id="b", cost=20, tokens=20, seconds=60.0)
        desk.pass_by(2)
        assert desk.settle("a", tokens=9, cost=1)
        assert [desk.used(meter) for meter in (USD, PARALLEL, TPM)] == [(21, 20), (1, 1), (29, 20)]

    def test_in_shadow_what_is_over_is_told_and_counted_and_not_refused(self, desk: Desk) -> None:
        shadow = Meter(name="key:S:rpm", what="requests", limit=1, shadow=True)
        desk.reserve(shadow, RPM)
        granted = desk.reserve(shadow, RPM)
        assert isinstance(granted, Granted)
        assert [level.meter for level in granted.over] == [shadow]
        assert granted.levels[0].used == 2

    def test_the_first_full_meter_refuses_and_the_wait_is_that_of_all(self, desk: Desk) -> None:
        one, two = (Meter(name=f"key:{name}:rpm", what="requests", limit=1) for name in "AB")
        desk.reserve(one)
        desk.clock.pass_by(20)
        desk.reserve(two)
        refused = desk.reserve(one, two)
        assert isinstance(refused, Refused)
        assert refused.level.meter == one
        assert refused.wait == pytest.approx(60)

    def test_a_limit_of_nothing_lets_nothing_pass(self, desk: Desk) -> None:
        for what in ("requests", "tokens", "parallel"):
            refused = desk.reserve(Meter(name=f"key:N:{what}", what=what, limit=0))  # type: ignore[arg-type]
            assert isinstance(refused, Refused)
            assert refused.wait is None
