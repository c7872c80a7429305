"""Which model is asked, and how often."""

from __future__ import annotations

from dataclasses import replace

import pytest

from aiops.actions.replicas.ledger import Row, counted
from aiops.actions.replicas.load import Load, cheapest, choose, rationed
from aiops.errors import Precondition, UnknownName
from aiops.spec.routes.routes import Route, RouteTable
from aiops.verify.check import Failed
from aiops.verify.client import Client
from aiops.verify.replicas.tenant import Tenant

OWN = Route("own", "ollama", "own")
PRICED = Route("priced", "ollama", "priced", cost=0.5)
CHEAP = Route("cheap", "openai", "cheap", billable=True, cost=0.1)
DEAR = Route("dear", "openai", "dear", billable=True, cost=2.0)
UNKNOWN = Route("unknown", "openai", "unknown", billable=True)
SOUNDS = Route("voice", "ollama", "voice", mode="audio_speech")
TABLE = RouteTable((SOUNDS, DEAR, CHEAP, OWN, PRICED, UNKNOWN))
NOBODY = Client("sk-none", 0.1, url="http://127.0.0.1:1")


def test_own_servers_come_first_and_of_these_one_that_can_show_what_a_budget_does() -> None:
    assert cheapest(TABLE, billable=False) == [PRICED, OWN]
    assert cheapest(TABLE, billable=True)[:3] == [PRICED, OWN, CHEAP]


def test_what_costs_money_is_asked_only_when_that_is_allowed() -> None:
    with pytest.raises(Precondition, match="every chat model costs money"):
        choose(RouteTable((CHEAP,)), None, False, NOBODY, {})
    with pytest.raises(Precondition, match="`cheap` costs money"):
        choose(TABLE, "cheap", False, NOBODY, {})
    with pytest.raises(UnknownName) as error:
        choose(TABLE, "chaep", False, NOBODY, {})
    assert error.value.hint == "did you mean `cheap`?"
    with pytest.raises(UnknownName) as error:
        choose(TABLE, "like-no-other", False, NOBODY, {})
    assert error.value.hint == "`aiops list` shows what is served"
    with pytest.raises(Precondition, match=r"no model answers here: `priced`: .*`own`: "):
        choose(TABLE, None, False, NOBODY, {})


def test_a_model_with_a_limit_of_its_own_or_that_a_replica_does_not_serve_is_asked_only_when_it_is_named() -> None:
    limited, everywhere = replace(PRICED, rpm=60, tpm=9000), {"box-1": {"own", "priced"}, "box-2": {"own", "priced"}}
    table = RouteTable((OWN, limited))
    with pytest.raises(Precondition, match=r"^no model answers here: `own`: (?!.*priced)"):
        choose(table, None, False, NOBODY, everywhere)
    with pytest.raises(Precondition, match="no model answers here: `priced`: "):
        choose(table, "priced", False, NOBODY, everywhere)
    with pytest.raises(Precondition) as error:
        choose(table, None, False, NOBODY, {"box-1": {"own", "priced"}, "box-2": {"priced"}})
    assert error.value.message == (
        "no chat model is left to be asked: `priced` has a `rate_limit` of 60 requests and 9000 tokens in a minute;"
        " `own` is not served by box-2"
    )
    with pytest.raises(Precondition, match=r"^`own` is not served by box-2$"):
        choose(table, "own", False, NOBODY, {"box-1": {"own"}, "box-2": {"priced"}})
    assert (rationed(replace(OWN, tpm=5)), rationed(OWN)) == ("has a `rate_limit` of 5 tokens in a minute", "")


def test_what_a_run_costs_is_bounded_before_it_begins() -> None:
    (said,) = Load(CHEAP, 3).lines
    assert "3 replicas: about 26 tiny requests to `cheap` are answered, 142 at most" in said
    assert "$1.6046 at most" in said
    assert "price is not written" in Load(UNKNOWN, 3).lines[0]
    sentence = Load(PRICED, 1).lines[0]
    assert "($6.554 at most by its `cost_per_1k_tokens`, which its own server sends no bill for)" in sentence
    assert "(which its own server sends no bill for)" in Load(OWN, 1).lines[0]


def test_from_whom_a_model_with_a_limit_of_its_own_is_taken_is_said_before_it_is_asked() -> None:
    (_, said) = Load(replace(OWN, rpm=60), 1).lines
    assert said == ("`own` has a `rate_limit` of 60 requests in a minute: what is asked here is taken from its users")


def test_each_request_is_in_the_ledger_once_and_as_one_of_who_answered_it() -> None:
    tenant = Tenant("key", "alias", "sk-none", "own", 1.0)
    tenant.answered.update({"1": 2, "2": 1})
    names = {"1": "box-1", "2": "box-2"}
    one, two = Row("key", "1", 200, 5), Row("key", "2", 200, 5)
    assert (
        counted([tenant], [one, one, two], names) == "3 requests were answered, and the ledger has 3 (box-1 2, box-2 1)"
    )
    for rows in ([one, two], [one, one, two, two], [one, one, one], [one, one, two, Row("key", "2", 500, 0)]):
        with pytest.raises(Failed, match="in the ledger"):
            counted([tenant], rows, names)
    tenant.unclear["2"] = 1  # its answer was not waited for
    assert counted([tenant], [one, one, two, two], names)
