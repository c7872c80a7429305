"""`aiops route`: where a request goes and why, and another way of choosing, measured on the gateway that runs."""

from __future__ import annotations

import os
import pty
import re
import select
import subprocess
import time
from collections.abc import Iterator
from typing import Any

import pytest

from aiops.demo.child import DemoProvider
from aiops.verify.client import Client
from aiops.verify.measure import measure
from tests.kit.gateway import Gateway

GROUPS = """\
load_balancing:
  pair:
    providers: [{provider: one, preferred_model: alpha}, {provider: two, preferred_model: gamma}]
  heavy:
    strategy: direct
    providers: [{provider: two, preferred_model: gamma}, {provider: one, preferred_model: alpha}]
patterns:
  - {pattern: "^gpt-", provider: two, backend_model: delta, fallback: alpha}
"""


@pytest.fixture(scope="module")
def grouped(running: Gateway, two: DemoProvider) -> Gateway:
    """The module's gateway with two providers and names that both answer."""
    running.add("two", two.url, "gamma", "delta")
    mappings = running.source("model-mappings.yaml")
    begun = re.sub(r"^(load_balancing|patterns): (\{\}|\[\])\n", "", mappings.read_text(), flags=re.MULTILINE)
    mappings.write_text(begun + GROUPS)
    running.must("apply", "--reason", "two groups")
    return running


@pytest.fixture
def gateway(grouped: Gateway, one: DemoProvider, two: DemoProvider) -> Iterator[Gateway]:
    before = grouped.status["generation"]
    mappings = grouped.source("model-mappings.yaml").read_text()
    yield grouped
    for provider in (one, two):
        provider.control(mode="ok", delay=0, paths=[])
    grouped.source("model-mappings.yaml").write_text(mappings)
    if grouped.status["generation"] != before:
        grouped.must("rollback", before, "--reason", "the test is over", "--force")


def test_a_strategy_is_changed_and_compared_with_the_one_before(gateway: Gateway, one: DemoProvider) -> None:
    one.control(delay=0.5)
    done = gateway.must("route", "fastest_response", "--for", "pair", "--requests", "12")
    assert done["outcome"] == "applied"
    [compared] = done["comparison"]
    assert compared["strategy"] == {"before": "simple-shuffle", "after": "fastest_response"}
    for when in ("before", "after"):
        assert (compared[when]["requests"], compared[when]["errors"]) == (12, 0)
        assert sum(compared[when]["spread"].values()) == 12
    assert compared["after"]["spread"]["two"] > compared["after"]["spread"].get("one", 0), "the slow one is avoided"
    assert "strategy: fastest_response" in gateway.source("model-mappings.yaml").read_text()


def test_without_a_name_it_is_what_groups_without_a_strategy_of_their_own_use(gateway: Gateway) -> None:
    done = gateway.must("route", "least_busy", "--requests", "4")
    assert [each["group"] for each in done["comparison"]] == ["pair"], "`heavy` has a strategy of its own"
    assert "default_strategy: least-busy" in gateway.source("model-mappings.yaml").read_text()
    assert gateway.must("route", "least-busy")["outcome"] == "unchanged"


def test_an_error_of_the_one_that_was_chosen_is_not_hidden_by_a_fallback(gateway: Gateway, two: DemoProvider) -> None:
    gateway.must("route", "round-robin", "--for", "pair", "--requests", "0")
    two.control(mode="500", paths=["/v1/chat"])
    measured = measure(Client(gateway.key, 30, url=gateway.url), "pair", "chat", 10)
    assert (measured.requests, measured.failed, dict(measured.spread)) == (10, 5, {"one": 5})
    assert gateway.ask("pair").status_code == 200, "a user's request falls back"


def test_a_dry_run_asks_nobody_and_changes_nothing(gateway: Gateway, one: DemoProvider, two: DemoProvider) -> None:
    before = gateway.snapshot()
    one.forget_requests()
    two.forget_requests()
    assert gateway.must("route", "direct", "--for", "pair", "--dry-run")["outcome"] == "planned"
    assert gateway.snapshot() == before
    assert [*one.requests(), *two.requests()] == []


@pytest.mark.parametrize(
    ("arguments", "message", "hint"),
    [
        (("least_busi",), "there is no strategy `least_busi`", "did you mean `least_busy`?"),
        (("direct", "--for", "paar"), "there is no load-balancing group or capability `paar`", "did you mean `pair`?"),
        (
            ("direct", "--for", "alpha"),
            "one deployment answers `alpha`: there is nothing to choose between",
            "groups: heavy, pair",
        ),
    ],
)
def test_what_makes_no_sense_is_refused_with_what_would(
    gateway: Gateway, arguments: tuple[str, ...], message: str, hint: str
) -> None:
    refused = gateway.cli("route", *arguments)
    assert (refused.code, refused.message, refused.hint) == (2, message, hint)


def test_a_provider_that_costs_money_is_not_measured(gateway: Gateway) -> None:
    gateway.edit("providers.yaml", "  two:\n", "  two:\n    billable: true\n")
    gateway.must("apply")
    done = gateway.must("route", "least_loaded", "--for", "pair")
    assert done["comparison"] == []
    assert done["comparison_notes"] == [
        "`pair` was not measured: two costs money (`verify: {billable: true}` allows it)"
    ]


def test_a_person_is_shown_both_and_asked_whether_to_go_back(gateway: Gateway) -> None:
    before, mappings = gateway.generation, gateway.source("model-mappings.yaml").read_bytes()
    shown = typed(gateway, ["route", "least_loaded", "--for", "pair", "--requests", "4"], ["y", "y"])
    assert "simple-shuffle  least_loaded" in shown
    assert f"Go back to generation {before}?" in shown
    assert gateway.source("model-mappings.yaml").read_bytes() == mappings
    assert gateway.must("history")["generations"][0]["verb"] == "rollback"


def test_where_nobody_can_be_asked_the_way_back_is_printed_and_works(gateway: Gateway) -> None:
    before = gateway.generation
    said = gateway.say("route", "least_loaded", "--for", "pair", "--requests", "2")
    [line] = [line for line in said.err.splitlines() if line.startswith("to go back: ")]
    assert f"rollback {before} --reason" in line
    command = line.removeprefix("to go back: aiops ")
    done = subprocess.run(
        f"{gateway.argv()[0]} {command}", shell=True, env=gateway.env, capture_output=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_explain_says_who_is_asked_and_what_follows(gateway: Gateway) -> None:
    told = gateway.must("route", "explain", "heavy")
    assert (told["rule"], told["strategy"]) == ("load balancing", "direct")
    assert [(step["provider"], step["model"]) for step in told["members"]] == [("two", "gamma"), ("one", "alpha")]
    told = gateway.must("route", "explain", "gpt-9")
    assert told["rule"] == "the pattern `^gpt-`"
    assert [each["name"] for each in told["fallbacks"]] == ["alpha"]
    assert told["notes"] == []
    # And that is what happens.
    assert gateway.ask("gpt-9").headers["x-aiops-provider"] == "two"


def test_explain_speaks_of_the_files_and_says_when_something_else_serves(gateway: Gateway) -> None:
    gateway.edit("model-mappings.yaml", "backend_model: delta", "backend_model: gamma")
    told = gateway.must("route", "explain", "gpt-9")
    assert told["members"][0]["model"] == "gamma"
    assert told["notes"][0].startswith(f"generation {gateway.generation}, which serves, asks two/delta first")


def test_explain_names_the_nearest_when_nobody_answers(gateway: Gateway) -> None:
    told = gateway.cli("route", "explain", "alpa")
    assert (told.code, told.data["rule"], told.data["nearest"]) == (3, "", "alpha")
    assert (told.message, told.hint) == ("alpa: nobody answers", "did you mean `alpha`?")
    assert gateway.cli("route", "explain", "alpha", "--header", "nonsense").code == 2


def test_status_shows_who_served_what_and_which_fallback_was_taken(gateway: Gateway, two: DemoProvider) -> None:
    assert gateway.ask("alpha").status_code == 200
    two.control(mode="500", paths=["/v1/chat"])
    assert gateway.ask("gpt-9").headers["x-aiops-provider"] == "one"
    routes = gateway.must("status", "--routes")["routes"]
    rows = {(row["model"], row["provider"]): row["answered"] for row in routes["models"]}
    assert rows["alpha", "one"] >= 1
    [taken] = routes["fallbacks"]
    assert (taken["model"], taken["from"], taken["to"], taken["taken"]) == ("gpt-9", "two", "one", 1)
    shown = gateway.say("status", "--routes").out
    assert "after two" in shown


def typed(gateway: Gateway, arguments: list[str], answers: list[str]) -> str:
    """The verb on a terminal of its own, with one answer per question; everything it showed."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(gateway.argv(*arguments), env=gateway.env, stdin=theirs, stdout=theirs, stderr=theirs)
    os.close(theirs)
    shown, asked, deadline = "", 0, time.monotonic() + 60
    while process.poll() is None or select.select([ours], [], [], 0)[0]:
        assert time.monotonic() < deadline, shown
        if not select.select([ours], [], [], 0.1)[0]:
            continue
        try:
            data: bytes | Any = os.read(ours, 65536)
        except OSError:  # the other end has gone
            break
        shown += data.decode(errors="replace")
        while shown.count("[y/N]") > asked:
            os.write(ours, f"{answers[asked]}\n".encode())
            asked += 1
    os.close(ours)
    assert process.wait(10) == 0, shown
    return shown
