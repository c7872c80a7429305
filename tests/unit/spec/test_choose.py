"""Who is chosen, strategy by strategy, and who is tried after it."""

from __future__ import annotations

import math
import random
from collections import Counter
from collections.abc import MutableMapping
from dataclasses import dataclass, field, replace

import pytest

from aiops.spec.choosing.ask import Known
from aiops.spec.choosing.choose import Choice, order, rule_for
from aiops.spec.choosing.conditions import Facts
from aiops.spec.choosing.prefix import Prefix
from aiops.spec.choosing.rules import Group, Imbalance, Member, MetadataRule, Strategy
from aiops.spec.choosing.said import Said
from aiops.spec.choosing.strategies import RANKINGS, turns

DRAWS = 10_000


@dataclass
class Idle:
    """A load of plain data: providers and deployments bear the same names here."""

    flying: dict[str, int] = field(default_factory=dict)
    slots: dict[str, int] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)
    tokens: dict[str, int] = field(default_factory=dict)
    success: dict[str, float] = field(default_factory=dict)
    shunned: dict[str, str] = field(default_factory=dict)
    cold: set[str] = field(default_factory=set)
    remembered: dict[str, dict[str, float]] = field(default_factory=dict)
    told: dict[str, Said] = field(default_factory=dict)
    had: dict[str, int] = field(default_factory=dict)
    last: str | None = None
    homes: dict[str, int] = field(default_factory=dict)

    def in_flight(self, provider: str) -> int:
        return self.flying.get(provider, 0)

    def parallel(self, provider: str) -> int:
        return self.slots.get(provider, 4)

    def local(self, provider: str) -> bool:
        return provider != "cloud"

    def asked(self, deployment: str) -> int:
        return self.flying.get(deployment, 0)

    def latency(self, deployment: str) -> float | None:
        return self.seconds.get(deployment)

    def tokens_this_minute(self, deployment: str) -> int:
        return self.tokens.get(deployment, 0)

    def success_rate(self, deployment: str) -> float:
        return self.success.get(deployment, 1.0)

    def avoided(self, provider: str) -> str | None:
        return self.shunned.get(provider)

    def warm(self, provider: str) -> bool:
        return provider not in self.cold

    def said(self, provider: str) -> Said | None:
        return self.told.get(provider)

    def known(self, prefix: Prefix) -> Known:
        return Known(self.had, self.last, self.homes)

    def turns(self, group: Group) -> MutableMapping[str, float]:
        return self.remembered.setdefault(group.name, {})


def group(strategy: Strategy, *members: Member, **more: object) -> Group:
    return replace(Group("g", "exact", strategy, members), **more)  # type: ignore[arg-type]


def member(name: str, weight: float = 1.0, **more: object) -> Member:
    return replace(Member(name, name, name, weight), **more)  # type: ignore[arg-type]


A, B, C = member("a"), member("b"), member("c")


class Asked:
    """Asks again and again with one random source, as a worker does."""

    def __init__(self, group: Group, load: Idle | None = None, **facts: object) -> None:
        self.group, self.load, self.facts = group, load or Idle(), facts
        self.random = random.Random(7).random

    def once(self, rule: MetadataRule | None = None) -> str:
        """The names in their order."""
        choices = order(self.group, Facts(**self.facts), self.load, self.random, rule)  # type: ignore[arg-type]
        assert sorted(choice.member.deployment for choice in choices) == sorted(
            m.deployment for m in self.group.members
        )
        return "".join(choice.member.deployment for choice in choices)

    def firsts(self, times: int) -> str:
        return "".join(self.once()[0] for _ in range(times))


def within_three_sigma(count: int, share: float, draws: int = DRAWS) -> bool:
    return abs(count - draws * share) <= 3 * math.sqrt(draws * share * (1 - share))


def test_every_strategy_there_is_can_be_chosen_by() -> None:
    assert set(RANKINGS) == set(Strategy)


def test_a_shuffle_follows_the_weights() -> None:
    firsts = Counter(Asked(group(Strategy.SIMPLE_SHUFFLE, member("a", 0.7), member("b", 0.3))).firsts(DRAWS))
    assert within_three_sigma(firsts["a"], 0.7)


def test_the_second_of_a_shuffle_is_drawn_by_weight_too() -> None:
    asked = Asked(group(Strategy.SIMPLE_SHUFFLE, member("a", 0.5), member("b", 0.4), member("c", 0.1)))
    after_a = [names[1] for names in (asked.once() for _ in range(DRAWS)) if names[0] == "a"]
    assert within_three_sigma(after_a.count("b"), 0.8, len(after_a))


@pytest.mark.parametrize(
    ("strategy", "expected"),
    [(Strategy.ROUND_ROBIN, "abcabc"), (Strategy.WEIGHTED_ROUND_ROBIN, "aabaab"), (Strategy.DIRECT, "aaaaaa")],
)
def test_who_begins_later_begins_with_the_next_turn(strategy: Strategy, expected: str) -> None:
    """Several workers that begin together would else all ask the first one first."""
    weights = {Strategy.WEIGHTED_ROUND_ROBIN: (2.0, 1.0)}.get(strategy, (1.0, 1.0, 1.0))
    chosen = group(strategy, *(member(name, weight) for name, weight in zip("abc", weights, strict=False)))
    several = [
        order(chosen, Facts(model="g"), Idle(remembered={"g": turns(chosen, worker)}), random.random)[0].member.provider
        for worker in range(6)
    ]
    alone = Idle()
    in_turn = [order(chosen, Facts(model="g"), alone, random.random)[0].member.provider for _ in range(6)]
    assert several == in_turn, "they begin as one alone would go on"
    assert Counter(several) == Counter(expected)


def test_round_robin_gives_everybody_the_same_number_of_turns() -> None:
    assert Asked(group(Strategy.ROUND_ROBIN, A, B, C)).firsts(7) == "abcabca"


def test_who_comes_back_gets_one_turn_and_not_all_it_missed() -> None:
    asked = Asked(group(Strategy.ROUND_ROBIN, A, B))
    asked.load.shunned["a"] = "it limits"
    assert asked.firsts(5) == "bbbbb"
    asked.load.shunned.clear()
    assert asked.firsts(4) == "abab"


def test_weighted_turns_are_exact_and_smooth() -> None:
    asked = Asked(group(Strategy.WEIGHTED_ROUND_ROBIN, member("a", 5), member("b", 1), member("c", 1)))
    assert asked.firsts(14) == "aabacaa" * 2


def test_weighted_turns_of_seventy_and_thirty_are_exact_in_every_ten() -> None:
    firsts = Asked(group(Strategy.WEIGHTED_ROUND_ROBIN, member("a", 0.7), member("b", 0.3))).firsts(DRAWS)
    assert all(firsts[start : start + 10].count("a") == 7 for start in range(0, DRAWS, 10))


def test_standing_by_uses_up_no_turn() -> None:
    asked = Asked(group(Strategy.ROUND_ROBIN, A, B))
    for _ in range(3):
        order(asked.group, Facts(), asked.load, asked.random, takes_turn=False)
    assert asked.firsts(2) == "ab"


def test_the_least_loaded_is_measured_against_what_it_can_do() -> None:
    load = Idle(flying={"a": 3, "b": 2}, slots={"a": 8, "b": 4})
    assert Asked(group(Strategy.LEAST_LOADED, A, B), load).firsts(3) == "aaa"


@pytest.mark.parametrize(
    ("a", "b", "expected"),
    [
        (Said(1, 1), Said(3, 0), "ba"),  # one that waits outweighs three more that are answered
        (Said(1, 0, 0.95), Said(3, 0, 0.5), "ba"),
        (Said(1, 0, 0.85), Said(3, 0, 0.5), "ab"),
        (Said(3, 0, beside=2), Said(3, 0), "ba"),  # somebody else's requests count as our own do
        (Said(3, 2), Said(3, 1), "ab"),  # where requests wait everywhere, the number decides again
    ],
)
def test_what_a_server_says_outweighs_what_is_counted(a: Said, b: Said, expected: str) -> None:
    load = Idle(flying={"a": 1, "b": 2}, slots={"a": 8, "b": 8}, told={"a": a, "b": b})
    assert Asked(group(Strategy.LEAST_LOADED, A, B), load).once() == expected


def test_a_silent_server_with_more_than_it_can_do_is_as_full_as_one_that_says_so() -> None:
    load = Idle(flying={"a": 5, "b": 1}, slots={"a": 4, "b": 1}, told={"b": Said(1, 1)})
    assert Asked(group(Strategy.LEAST_LOADED, A, B), load).once() == "ba"
    load = Idle(flying={"a": 4, "b": 1}, slots={"a": 4, "b": 8}, told={"b": Said(1, 1)})
    assert Asked(group(Strategy.LEAST_LOADED, A, B), load).once() == "ab"


def test_why_it_is_the_least_loaded_has_what_it_says() -> None:
    load = Idle(flying={"a": 1}, told={"a": Said(3, 2, 0.5, beside=4)})
    words = {
        choice.member.provider: choice.why
        for choice in order(group(Strategy.LEAST_LOADED, A, B), Facts(), load, random.random)
    }
    assert words["a"] == "5 of 4 slots are taken; it says: 3 requests running, 2 waiting, 50% of its cache used"
    assert words["b"] == "0 of 4 slots are taken"


class Talking(Asked):
    """Asks with prompts. ``parts``: how long each is."""

    def __init__(self, *members: Member, load: Idle | None = None, imbalance: Imbalance | None = None) -> None:
        super().__init__(group(Strategy.CACHE_AWARE, *members, imbalance=imbalance), load)

    def about(self, home: str, parts: int = 10) -> str:
        return "".join(choice.member.deployment for choice in self.choices(home, parts))

    def choices(self, home: str, parts: int = 10) -> list[Choice]:
        made = Prefix(home.encode(), tuple(f"{home} {part}".encode() for part in range(parts)))
        return order(self.group, Facts(), self.load, self.random, prefix=made)


def home_of(who: str, *members: Member) -> str:
    """A beginning of prompts that leads to ``who`` when nobody has had it."""
    return next(home for home in map(str, range(100)) if Talking(*members).about(home)[0] == who)


def test_a_prompt_goes_to_whom_its_beginning_leads_to_whoever_asks() -> None:
    firsts = [Talking(A, B, C).about(str(home))[0] for home in range(3000)]
    assert firsts == [Talking(C, A, B).about(str(home))[0] for home in range(3000)], "another worker agrees"
    assert all(within_three_sigma(firsts.count(name), 1 / 3, 3000) for name in "abc")


def test_who_leaves_moves_only_what_was_its_own() -> None:
    before = [Talking(A, B, C).about(str(home)) for home in range(500)]
    after = [Talking(A, B).about(str(home)) for home in range(500)]
    assert after == [names.replace("c", "") for names in before]


def test_a_weight_is_a_share_of_the_conversations() -> None:
    firsts = [Talking(member("a", 0.7), member("b", 0.3)).about(str(home))[0] for home in range(3000)]
    assert within_three_sigma(firsts.count("a"), 0.7, 3000)


def test_whoever_had_most_of_a_prompt_comes_first() -> None:
    home = home_of("c", A, B, C)
    assert Talking(A, B, C, load=Idle(had={"a": 8, "b": 9})).about(home) == "bac"


def test_less_than_half_of_a_prompt_is_not_worth_going_elsewhere() -> None:
    home = home_of("a", A, B)
    assert Talking(A, B, load=Idle(had={"b": 7})).about(home, 10) == "ba"
    assert Talking(A, B, load=Idle(had={"b": 6})).about(home, 10) == "ab"


def test_a_conversation_that_grew_to_twice_its_length_stays_where_it_was() -> None:
    home = home_of("a", A, B, C)
    load = Idle(had={"c": 10}, last="b")
    assert Talking(A, B, C, load=load).about(home, 20) == "bac"
    assert Talking(A, B, C, load=load).about(home, 12) == "cba", "unless another one has more of it"
    assert Talking(A, B, C, load=load).choices(home, 20)[0].why == "it had the last prompt that began like this one"


@pytest.mark.parametrize(
    ("homes", "expected"),
    [
        ({}, "ab"),
        ({"a": 1}, "ab"),
        ({"a": 2}, "ba"),  # of three it would have all; two is a fourth more than its part
        ({"a": 2, "b": 1}, "ab"),
        ({"a": 3, "b": 2}, "ab"),
        ({"a": 4, "b": 1}, "ba"),
        ({"a": 124, "b": 76}, "ab"),
        ({"a": 126, "b": 74}, "ba"),
    ],
)
def test_new_conversations_do_not_pile_up_where_chance_leads_them(homes: dict[str, int], expected: str) -> None:
    load = Idle(homes=homes)
    assert Talking(A, B, load=load).about(home_of("a", A, B)) == expected


def test_a_server_of_more_weight_keeps_more_conversations() -> None:
    heavy, light = member("a", 3.0), member("b", 1.0)
    home = home_of("a", heavy, light)
    assert Talking(heavy, light, load=Idle(homes={"a": 3})).about(home) == "ab"
    assert Talking(heavy, light, load=Idle(homes={"a": 16})).about(home) == "ba"


@pytest.mark.parametrize(
    ("flying", "expected"),
    [
        ({"a": 5, "b": 1}, "ab"),  # four more: no more than the bound
        ({"a": 6, "b": 1}, "ba"),
        ({"a": 14, "b": 9}, "ba"),  # five more, and more than half as many again
        ({"a": 14, "b": 10}, "ab"),
        ({"a": 18, "b": 12}, "ab"),  # six more, and exactly half as many again
    ],
)
def test_a_conversation_leaves_a_server_that_is_much_busier(flying: dict[str, int], expected: str) -> None:
    load = Idle(flying=flying, slots={"a": 64, "b": 64}, had={"a": 10})
    assert Talking(A, B, load=load).about("x") == expected


def test_how_much_busier_is_the_operators_to_say() -> None:
    load = Idle(flying={"a": 3, "b": 1}, slots={"a": 64, "b": 64}, had={"a": 10})
    assert Talking(A, B, load=load).about("x") == "ab"
    assert Talking(A, B, load=load, imbalance=Imbalance(requests=1.0)).about("x") == "ba"
    assert Talking(A, B, load=load, imbalance=Imbalance(factor=3.0, requests=1.0)).about("x") == "ab"


def test_a_larger_server_may_have_more() -> None:
    for slots, expected in ((8, "ab"), (64, "ba")):
        load = Idle(flying={"a": 9, "b": 1}, slots={"a": 64, "b": slots}, had={"a": 10})
        assert Talking(A, B, load=load).about("x") == expected


def test_a_conversation_does_not_wait_where_another_server_has_room() -> None:
    assert Talking(A, B, load=Idle(flying={"a": 2, "b": 1}, slots={"a": 2, "b": 2}, had={"a": 10})).about("x") == "ba"
    assert Talking(A, B, load=Idle(flying={"a": 2, "b": 2}, slots={"a": 2, "b": 2}, had={"a": 10})).about("x") == "ab"
    for slots in (64, 2):
        waits = Idle(flying={"a": 2, "b": 2}, slots={"a": slots, "b": slots}, had={"a": 10})
        waits.told = {"a": Said(2, 1), "b": Said(2, 0)}
        assert Talking(A, B, load=waits).about("x") == "ba"


def test_a_new_prompt_does_not_go_where_there_is_too_much_to_do_either() -> None:
    home = home_of("a", A, B)
    assert Talking(A, B, load=Idle(flying={"a": 4})).about(home) == "ba"


def test_an_avoided_server_comes_last_whatever_it_has_had() -> None:
    assert Talking(A, B, load=Idle(shunned={"a": "it limits"}, had={"a": 10})).about("x") == "ba"


def test_without_a_prompt_the_least_loaded_comes_first() -> None:
    assert Asked(group(Strategy.CACHE_AWARE, A, B), Idle(flying={"a": 1})).once() == "ba"


def test_why_a_server_has_its_place_for_a_prompt() -> None:
    home = home_of("c", A, B, C)
    load = Idle(flying={"b": 4}, had={"a": 9, "b": 10})
    assert [choice.why for choice in Talking(A, B, C, load=load).choices(home)] == [
        "it has had 90% of this prompt",
        "it has not had this prompt",
        "too busy to be waited for; 4 of 4 slots are taken",
    ]
    assert Talking(A, B, C).choices(home)[0].why == "where prompts that begin like this one go"


def test_equally_loaded_ones_share_by_weight() -> None:
    firsts = Counter(Asked(group(Strategy.LEAST_LOADED, member("a", 0.7), member("b", 0.3))).firsts(DRAWS))
    assert within_three_sigma(firsts["a"], 0.7)


def test_most_capacity_counts_free_slots() -> None:
    load = Idle(flying={"a": 3, "b": 0}, slots={"a": 8, "b": 4})
    assert Asked(group(Strategy.MOST_CAPACITY, A, B), load).firsts(3) == "aaa"


def test_the_fastest_is_asked_and_the_unknown_before_it() -> None:
    load = Idle(seconds={"a": 0.5, "b": 0.2})
    assert Asked(group(Strategy.FASTEST_RESPONSE, A, B, C), load).once() == "cba"


def test_one_whose_speed_is_not_known_is_tried_by_one_request_at_a_time() -> None:
    load = Idle(seconds={"a": 0.5}, flying={"b": 1})
    assert Asked(group(Strategy.FASTEST_RESPONSE, A, B), load).once() == "ab"


def test_one_that_failed_lately_is_the_slowest() -> None:
    load = Idle(seconds={"a": math.inf, "b": 20.0})
    assert Asked(group(Strategy.FASTEST_RESPONSE, A, B), load).once() == "ba"


def test_usage_goes_where_fewest_tokens_went() -> None:
    assert Asked(group(Strategy.USAGE_BASED, A, B), Idle(tokens={"a": 10, "b": 9})).once() == "ba"


def test_direct_is_the_order_that_was_written() -> None:
    assert Asked(group(Strategy.DIRECT, B, A, C)).once() == "bac"


@pytest.mark.parametrize("strategy", [Strategy.COMPLEXITY_BASED, Strategy.CONTEXT_BASED])
@pytest.mark.parametrize(
    ("tokens", "expected"), [(0, "abc"), (50, "abc"), (51, "bca"), (100, "bca"), (101, "cba"), (9999, "cba")]
)
def test_a_threshold_counts_strictly_above(strategy: Strategy, tokens: int, expected: str) -> None:
    levels = group(strategy, A, replace(B, above=50), replace(C, above=100))
    assert Asked(levels, tokens=tokens).once() == expected


def test_members_of_one_level_share_it_by_weight() -> None:
    levels = group(Strategy.CONTEXT_BASED, member("a", 0.7), member("b", 0.3), member("c", above=100))
    assert within_three_sigma(Counter(Asked(levels, tokens=5).firsts(DRAWS))["a"], 0.7)


@pytest.mark.parametrize(("tier", "expected"), [("high", "bac"), ("standard", "abc"), ("low", "abc")])
def test_quality_asks_for_size(tier: str, expected: str) -> None:
    sizes = group(Strategy.QUALITY_BASED, member("a", size=7.0), member("b", size=70.0), C)
    assert Asked(sizes, quality_tier=tier).once() == expected


def test_adaptive_weights_fall_with_failures_and_load() -> None:
    load = Idle(success={"b": 0.5}, flying={"c": 4})
    firsts = Counter(Asked(group(Strategy.ADAPTIVE_WEIGHTED, A, B, C), load).firsts(DRAWS))
    assert within_three_sigma(firsts["a"], 0.5)
    assert within_three_sigma(firsts["b"], 0.25)


def test_adaptive_still_asks_one_that_always_failed_now_and_then() -> None:
    firsts = Asked(group(Strategy.ADAPTIVE_WEIGHTED, A, B), Idle(success={"b": 0.0})).firsts(DRAWS)
    assert 0 < firsts.count("b") < DRAWS / 50


def test_the_cheapest_is_asked_first() -> None:
    costs = group(Strategy.COST_BASED, member("a", cost=0.03), member("b", cost=0.01), C)
    assert Asked(costs).once() == "cba"


def test_one_whose_condition_does_not_hold_comes_after_those_whose_does() -> None:
    conditional = group(Strategy.DIRECT, member("a", condition="tokens > 100"), member("b", condition="tokens < 200"))
    assert Asked(conditional, tokens=50).once() == "ba"
    assert Asked(conditional, tokens=150).once() == "ab"


def test_when_no_condition_holds_all_count() -> None:
    conditional = group(Strategy.DIRECT, member("a", condition="tokens > 100"), member("b", condition="tokens > 200"))
    assert Asked(conditional, tokens=50).once() == "ab"


def test_saturation_in_a_condition_is_that_of_the_member_judged() -> None:
    conditional = group(Strategy.DIRECT, *(replace(m, condition="saturation < 0.5") for m in (A, B)))
    assert Asked(conditional, Idle(flying={"a": 2, "b": 1})).once() == "ba"


def test_local_is_saturated_when_every_local_member_is() -> None:
    cloud = Member("c", "cloud", "c", condition="local_saturated")
    overflowing = group(Strategy.DIRECT, cloud, A, B, saturation_threshold=0.75)
    assert Asked(overflowing, Idle(flying={"a": 3, "b": 2})).once() == "abc"
    assert Asked(overflowing, Idle(flying={"a": 3, "b": 3})).once() == "cab"


def test_the_avoided_come_last_whatever_else_holds() -> None:
    conditional = group(Strategy.DIRECT, A, member("b", condition="tokens > 100"), C)
    asked = Asked(conditional, Idle(shunned={"a": "it limits"}), tokens=1)
    assert asked.once() == "cba"
    assert asked.once(MetadataRule("rule", "a", "stream == 1")) == "cba"


def test_the_cold_come_after_the_warm() -> None:
    assert Asked(group(Strategy.DIRECT, A, B), Idle(cold={"a"})).once() == "ba"


def test_a_metadata_rule_moves_the_request_to_its_provider() -> None:
    assert Asked(group(Strategy.DIRECT, A, B)).once(MetadataRule("to b", "b", "tokens > 1")) == "ba"


def test_the_first_rule_that_holds_and_can_be_followed_counts() -> None:
    rules = [
        MetadataRule("not here", "z", "tokens > 1"),
        MetadataRule("does not hold", "a", "tokens > 100"),
        MetadataRule("this", "b", "tokens > 1"),
        MetadataRule("too late", "a", "tokens > 1"),
    ]
    assert rule_for(rules, group(Strategy.DIRECT, A, B), Facts(tokens=50), Idle()) == rules[2]


def test_every_place_is_explained() -> None:
    conditional = group(Strategy.DIRECT, replace(A, condition="tokens > 100"), B, C)
    load = Idle(shunned={"b": "it limits requests"})
    whys = {choice.member.deployment: choice.why for choice in order(conditional, Facts(), load, random.random)}
    assert whys == {
        "a": "in the order written; its condition `tokens > 100` does not hold",
        "b": "in the order written; `b` is avoided: it limits requests",
        "c": "in the order written",
    }
