"""``/metrics`` of a real gateway: right after N requests over two workers, over a swap, and over deaths."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from aiops.demo.child import DemoProvider
from aiops.gateway.shared import accounting
from aiops.gateway.shared.metrics import series
from tests.kit.gateway import Gateway, serving
from tests.kit.waiting import until

Sample = tuple[str, frozenset[tuple[str, str]]]
REQUESTS = "aiops_requests_total"


@pytest.fixture(scope="module")
def gateway(one: DemoProvider) -> Iterator[Gateway]:
    """With two workers."""
    with serving(one.url, "alpha", "beta", workers=2) as made:
        yield made


def scraped(gateway: Gateway, headers: Mapping[str, str] | None = None) -> dict[Sample, float]:
    answer = gateway.get("/metrics", headers or {})
    assert (answer.status_code, answer.headers["content-type"].split(";")[0]) == (200, "text/plain"), answer.text
    return {
        (each.name, frozenset(each.labels.items())): each.value
        for family in text_string_to_metric_families(answer.text)
        for each in family.samples
    }


def of(found: Mapping[Sample, float], name: str, **labels: str) -> float:
    return found[name, frozenset(labels.items())]


def answered(gateway: Gateway) -> float:
    return of(scraped(gateway), REQUESTS, outcome="answered", code="2xx")


def counters(found: Mapping[Sample, float]) -> dict[Sample, float]:
    return {key: number for key, number in found.items() if key[0] in (REQUESTS, "aiops_refusals_total")}


def test_requests_are_counted_over_both_workers_whichever_is_scraped(gateway: Gateway) -> None:
    before = answered(gateway)
    for _ in range(20):  # each on a connection of its own
        assert gateway.ask("alpha").status_code == 200
    assert len(gateway.workers()) == 2
    assert {until(lambda: answered(gateway) - before == 20, 5, "20 more") for _ in range(6)} == {True}
    found = scraped(gateway)
    assert of(found, "aiops_requests_in_flight") == 0
    assert of(found, "aiops_workers", state="ready") == 2
    assert of(found, "aiops_accountant_up") == 1
    until(lambda: of(scraped(gateway), "aiops_replicas") == 1, 30, "this one")
    assert of(found, "aiops_generation") == gateway.generation


def test_refusals_are_counted_by_their_kind_and_a_failure_is_no_refusal(gateway: Gateway) -> None:
    before = scraped(gateway)
    for key in ("Bearer sk-nobody-knows-this-one", "Bearer no-key-at-all"):
        assert gateway.get("/v1/models", {"authorization": key}).status_code == 401
    assert gateway.get("/there/is/nothing").status_code == 404
    assert gateway.ask("nobody-serves-this").status_code == 400
    after = scraped(gateway)
    grown = {dict(key[1])["kind"]: number - before[key] for key, number in after.items() if "kind" in dict(key[1])}
    assert {kind: many for kind, many in grown.items() if many} == {
        "token_not_found_in_db": 1,
        "auth_error": 1,
        "not_found": 1,
    }
    failed = {"outcome": "failed", "code": "4xx"}
    assert of(after, REQUESTS, **failed) - of(before, REQUESTS, **failed) == 1


def test_nothing_that_a_client_or_a_tenant_is_called_is_in_it_and_each_series_is_one_that_is_known(
    gateway: Gateway,
) -> None:
    gateway.must("teams", "create", "team-of-a-tenant")
    key = gateway.must("keys", "create", "--alias", "alias-of-a-tenant", "--team", "team-of-a-tenant")["key"]
    body = {"model": "model-of-a-client", "messages": [{"role": "user", "content": "hello"}], "user": "user-of-it"}
    headers = {"authorization": f"Bearer {key}"}
    httpx.post(f"{gateway.url}/v1/chat/completions", json=body, headers=headers, trust_env=False, timeout=30)
    text = gateway.get("/metrics", {}).text
    for name in ("alias-of-a-tenant", "team-of-a-tenant", "model-of-a-client", "user-of-it", key[-4:], "alpha"):
        assert name not in text
    known = {key for family in series.ALL for key in family.every()}
    version = {family.name for family in series.ALL if not family.values and family.labels}
    for name, labels in scraped(gateway):
        assert name in version or any(each[0] == name and set(each[1:]) == {v for _, v in labels} for each in known)


def test_counters_never_go_backwards_over_a_swap_a_killed_worker_and_a_killed_accountant(gateway: Gateway) -> None:
    last = counters(scraped(gateway))
    begin, asked = answered(gateway), 0

    def looked() -> bool:
        nonlocal last
        now = counters(scraped(gateway))
        assert not [key for key in last if now[key] < last[key]]
        last = now
        return True

    def use() -> None:
        nonlocal asked
        for _ in range(4):
            assert gateway.ask("alpha").status_code == 200
            asked += 1
            looked()

    use()
    gateway.edit("aiops.yaml", "request_timeout: 600", "request_timeout: 601")
    gateway.must("apply")
    use()
    victim = gateway.workers()[0]
    os.kill(victim, signal.SIGKILL)
    until(lambda: len(set(gateway.workers()) - {victim}) == 2 and looked(), 30, "another worker")
    use()
    accountant = accounting.holder(gateway.home / "state")
    os.kill(accountant, signal.SIGKILL)
    use()
    state = gateway.home / "state"
    until(lambda: looked() and accounting.holder(state) not in (0, accountant), 30, "another")
    use()
    until(lambda: looked() and of(scraped(gateway), "aiops_accountant_up") == 1, 30, "its answer")
    assert answered(gateway) - begin == asked
    # What the dead have counted is in one file, and the dead have none.
    directory = gateway.home / "state" / "metrics"
    until(lambda: len(list(directory.glob("*.numbers"))) == 3, 30, "two workers and the accountant")
    assert answered(gateway) - begin == asked
    assert (directory / "ended.json").stat().st_mode & 0o077 == 0


def test_a_request_that_was_lost_with_its_worker_is_counted_as_lost(gateway: Gateway, one: DemoProvider) -> None:
    lost = {"outcome": "lost", "code": "none"}
    before = of(scraped(gateway), REQUESTS, **lost)
    one.control(delay=30)
    try:
        with ThreadPoolExecutor(1) as client:
            asked = client.submit(gateway.ask, "alpha")
            until(lambda: of(scraped(gateway), "aiops_requests_in_flight") == 1, 20, "one in flight")
            for pid in gateway.workers():
                os.kill(pid, signal.SIGKILL)
            assert isinstance(asked.exception(30), httpx.HTTPError)
    finally:
        one.control(delay=0)
    until(lambda: len(gateway.workers()) == 2, 30, "two workers")
    assert of(scraped(gateway), "aiops_requests_in_flight") == 0
    until(lambda: of(scraped(gateway), REQUESTS, **lost) == before + 1, 20, "one more lost")


def test_without_the_accountant_it_says_so_and_goes_on_counting(gateway: Gateway) -> None:
    before = answered(gateway)
    pid = accounting.holder(gateway.home / "state")
    os.kill(pid, signal.SIGSTOP)
    try:
        assert gateway.ask("alpha").status_code == 200
        found = scraped(gateway)
        assert of(found, "aiops_accountant_up") == 0
        assert of(found, REQUESTS, outcome="answered", code="2xx") == before + 1
        until(lambda: of(scraped(gateway), "aiops_workers", state="degraded") == 2, 30, "both workers say so")
        status = gateway.status
        assert status["readiness"]["status"] == "degraded"
        assert [each["check"] for each in status["readiness"]["why"]] == ["accountant", "store"]
        assert any(line.startswith("accountant is lost since ") for line in status["why"])
        assert gateway.say("doctor").out.count("degraded: accountant is lost since ") == 1
    finally:
        os.kill(pid, signal.SIGCONT)
    until(lambda: gateway.status["readiness"] == {"status": "ready", "why": []}, 20, "readiness")


def test_from_elsewhere_it_wants_an_administrators_key(gateway: Gateway) -> None:
    sent_on = {"x-forwarded-for": "10.0.0.9"}  # by a proxy on this machine: whoever asks is not here
    assert gateway.get("/metrics", sent_on).status_code == 401
    assert gateway.get("/metrics", {"host": "rebound.example"}).status_code == 401
    assert gateway.get("/metrics", {"host": f"localhost:{gateway.port}"}).status_code == 200
    key = gateway.must("keys", "create", "--alias", "no-administrator")["key"]
    assert gateway.get("/metrics", {**sent_on, "authorization": f"Bearer {key}"}).status_code == 403
    assert scraped(gateway, {**sent_on, **gateway.auth})
    assert httpx.post(f"{gateway.url}/metrics", headers=gateway.auth, trust_env=False).status_code == 404


def test_the_log_says_once_which_stores_there_are(gateway: Gateway) -> None:
    gateway.must("restart")
    until(lambda: of(scraped(gateway), "aiops_accountant_up") == 1, 20, "the accountant")
    log = (gateway.home / "logs" / "gateway.log").read_text()
    (pid,) = {accounting.holder(gateway.home / "state")}
    mine = [line for line in log.splitlines() if f"accountant {pid}:" in line]
    assert mine, log
    assert sum("database: SQLite 3." in line and "aiops.db, schema 1, answers in" in line for line in mine) == 1
    assert sum("counters: LMDB 0." in line and "state/counters, answers in" in line for line in mine) == 1
