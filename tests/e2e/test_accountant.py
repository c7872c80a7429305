"""The accountant beside a gateway: requests are in the ledger once, it may die at any time, and there is one of it."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import sys
import threading
import uuid
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path

import httpx
import pytest

from aiops.demo.child import DemoProvider
from aiops.gateway.shared import accounting
from aiops.gateway.shared.messages import Become
from aiops.host import master as control
from aiops.state.usage import aside
from tests.e2e.keys import keys_of
from tests.kit.gateway import Gateway, processes
from tests.kit.waiting import until
from tests.unit.state.usage.test_spool import USAGE

MODULE = "aiops.gateway.accountant"


@pytest.fixture
def gateway(running: Gateway) -> Iterator[Gateway]:
    """The module's gateway, up again when a test took it down."""
    yield running
    running.must("up")


def accountants(gateway: Gateway) -> list[int]:
    mine = set(processes(str(gateway.home / "state")))
    return sorted(mine & set(processes(MODULE)))


def accountant(gateway: Gateway) -> int:
    """The one there is, which the master knows of."""

    def alone() -> int:
        told = control.status(gateway.home / "run")
        known = told.accountant.pid if told is not None and told.accountant is not None else None
        return known if known and accountants(gateway) == [known] == [accounting.holder(gateway.home / "state")] else 0

    return int(until(alone, 20, "one accountant"))


def ledger(gateway: Gateway) -> Counter[tuple[str, str]]:
    """How often which client's request ended how."""
    with closing(sqlite3.connect(gateway.home / "state" / "aiops.db", timeout=10)) as database:
        return Counter(database.execute("SELECT end_user, outcome FROM usage WHERE end_user IS NOT NULL").fetchall())


def ask(gateway: Gateway) -> str:
    """One request that names itself; its name."""
    name = uuid.uuid4().hex
    assert gateway.ask("alpha", user=name).status_code == 200
    return name


def ready(gateway: Gateway) -> tuple[str, str, str]:
    said = gateway.get("/_health/ready").json()
    return said["status"], said["checks"]["accountant"], said["checks"]["store"]


def test_what_was_answered_is_in_the_ledger(gateway: Gateway) -> None:
    names = [ask(gateway) for _ in range(5)]
    until(lambda: len(ledger(gateway)) >= 5, 10, "five rows")
    found = ledger(gateway)
    assert {name: found[name, "answered"] for name in names} == dict.fromkeys(names, 1)
    assert ready(gateway) == ("ready", "pass", "pass")
    for name in ("aiops.db", "accountant.lock", "replica"):
        assert (gateway.home / "state" / name).stat().st_mode & 0o077 == 0


def test_a_record_that_no_ledger_takes_is_told_and_once_it_is_put_right_it_is_there_once(gateway: Gateway) -> None:
    record = replace(USAGE, id=uuid.uuid4().hex, end_user="set aside", key="", prompt_tokens=2**70)
    aside.put(gateway.home / "state", record)
    proved = gateway.must("usage", "prove")
    assert (proved["ingested"], proved["set_aside"]) == (True, 1)
    assert "! 1 records are set aside" in gateway.say("usage", "prove").out
    (note,) = [note for note in gateway.status["notes"] if "ledger could not take" in note]
    assert "usage prove` has it tried again" in note
    assert note.partition(";")[0] in gateway.say("doctor").out
    path = aside.path(gateway.home / "state")
    for _ in range(2):  # put right by hand; and once more, as if the accountant had been killed before it noted it
        path.write_text(json.dumps(asdict(replace(record, prompt_tokens=7))) + "\n")
        assert gateway.must("usage", "prove")["set_aside"] == 0
        assert not path.exists()
        assert {who: times for who, times in ledger(gateway).items() if who[0] == "set aside"} == {
            ("set aside", "answered"): 1
        }
    assert not [note for note in gateway.status["notes"] if "ledger could not take" in note]


def test_what_was_set_aside_is_read_back_by_the_next_accountant(gateway: Gateway) -> None:
    record = replace(USAGE, id=uuid.uuid4().hex, end_user="read back", key="")
    path = aside.put(gateway.home / "state", record)
    os.kill(accountant(gateway), signal.SIGKILL)
    until(lambda: ledger(gateway)["read back", "answered"] == 1, 20, "the record to be in the ledger")
    until(lambda: not path.exists(), 20, "nothing set aside")


def test_it_has_nothing_of_litellm_in_memory(gateway: Gateway) -> None:
    """It is a program of its own, and a small one; the master's memory is ten times as large."""
    maps = Path(f"/proc/{accountant(gateway)}/maps").read_text()
    assert "_sqlite3" in maps
    assert "pydantic_core" not in maps


def test_killed_it_is_started_again_and_nobody_notices(gateway: Gateway) -> None:
    before = accountant(gateway)
    os.kill(before, signal.SIGKILL)
    name = ask(gateway)
    until(lambda: accountant(gateway) != before, 20, "another accountant")
    until(lambda: ledger(gateway)[name, "answered"] == 1, 10, "what was asked meanwhile")
    assert ready(gateway) == ("ready", "pass", "pass")
    assert gateway.status["gateway"]["state"] == "running"


def _grew(answered: list[str], before: int) -> bool:
    return len(answered) > before + 10


def test_each_request_is_once_in_the_ledger_although_worker_and_accountant_are_killed_under_load(
    gateway: Gateway, one: DemoProvider
) -> None:
    one.control(delay=0.2)  # most of the time each user has a request under way
    answered: list[str] = []
    broken: list[str] = []
    over = threading.Event()

    def user() -> None:
        while not over.is_set():
            name = uuid.uuid4().hex
            try:
                status = gateway.ask("alpha", user=name).status_code
            except httpx.HTTPError:
                status = 0
            (answered if status == 200 else broken).append(name)

    users = [threading.Thread(target=user) for _ in range(4)]
    for each in users:
        each.start()
    try:
        for victim in ("worker", "accountant", "both"):
            until(lambda: gateway.workers(), 30, "a worker")
            until(partial(_grew, answered, len(answered)), 60, "ten more answers")
            if victim != "worker":
                os.kill(accountant(gateway), signal.SIGKILL)
            if victim != "accountant":
                os.kill(gateway.workers()[0], signal.SIGKILL)
        until(partial(_grew, answered, len(answered)), 60, "ten more answers")
    finally:
        over.set()
        for each in users:
            each.join(60)
        one.control(delay=0)
    assert broken, "nobody was killed in the middle of a request"
    until(lambda: set(answered) <= {name for name, _ in ledger(gateway)}, 20, "all of them in the ledger")
    until(lambda: len(list((gateway.home / "state" / "spool").glob("*.spool"))) == 1, 20, "nothing left of the dead")
    found = ledger(gateway)
    assert Counter(name for name, _ in found.elements()).most_common(1)[0][1] == 1
    assert [name for name in answered if found[name, "answered"] != 1] == []
    # What broke off was let in and is lost, had been answered when its worker died, or was never let in.
    assert {outcome for name, outcome in found if name in broken} <= {"lost", "answered", "left"}
    assert any(found[name, "lost"] for name in broken)


def test_while_it_hangs_readiness_says_so_and_what_is_known_works(gateway: Gateway) -> None:
    pid = accountant(gateway)
    os.kill(pid, signal.SIGSTOP)
    try:
        refused = gateway.get("/v1/models", {"authorization": "Bearer sk-nobody-knows-this-one"})
        assert (refused.status_code, refused.headers["retry-after"]) == (503, "1")
        until(lambda: ready(gateway)[:2] == ("degraded", "lost"), 20, "readiness")
        name = ask(gateway)
    finally:
        os.kill(pid, signal.SIGCONT)
    until(lambda: ready(gateway) == ("ready", "pass", "pass"), 10, "readiness")
    until(lambda: ledger(gateway)[name, "answered"] == 1, 10, "what was asked meanwhile")
    assert gateway.get("/v1/models", {"authorization": "Bearer sk-nobody-knows-this-one"}).status_code == 401


def test_a_database_that_is_moved_away_is_missed_and_not_made_anew(gateway: Gateway) -> None:
    state, elsewhere = gateway.home / "state", gateway.home / "elsewhere"
    elsewhere.mkdir()

    def listed(key: str) -> int:
        return gateway.get("/v1/models", {"authorization": f"Bearer {key}"}).status_code

    with keys_of(gateway) as keys:
        known = keys.make()
    assert {listed(known) for _ in range(20)} == {200}  # by every worker
    for path in state.glob("aiops.db*"):
        path.rename(elsewhere / path.name)
    try:
        until(lambda: ready(gateway)[0::2] == ("degraded", "lost"), 20, "readiness")
        assert listed("sk-that-is-nobodys") == 503
        assert {listed(known) for _ in range(20)} == {200}
        name = ask(gateway)  # the master key needs no database
        refused = gateway.say("keys", "list")
        assert refused.code == 4
        assert f"rm {state / 'had-aiops.db'}" in refused.err
        assert "had-aiops.db" in gateway.say("status").out
        gateway.must("down")
        gateway.must("up")
        until(lambda: ready(gateway)[0::2] == ("degraded", "lost"), 20, "readiness")
        assert listed(known) == 503
        assert not list(state.glob("aiops.db*"))
    finally:
        for path in sorted(elsewhere.iterdir(), reverse=True):  # the journal first
            path.rename(state / path.name)
        elsewhere.rmdir()
    until(lambda: ready(gateway) == ("ready", "pass", "pass"), 20, "readiness")
    assert listed(known) == 200
    assert listed("sk-that-is-nobodys") == 401
    until(lambda: ledger(gateway)[name, "answered"] == 1, 10, "what was asked meanwhile")


def test_a_database_of_a_newer_aiops_is_told_and_not_touched(gateway: Gateway) -> None:
    with closing(sqlite3.connect(gateway.home / "state" / "aiops.db", timeout=10)) as database:
        (before,) = database.execute("SELECT version_num FROM alembic_version").fetchone()
        database.execute("UPDATE alembic_version SET version_num = '9999'")
        database.execute("DELETE FROM meta WHERE name = 'readable_since'")
        database.commit()
        try:
            until(lambda: ready(gateway) == ("degraded", "pass", "ahead"), 15, "readiness")
            refused = gateway.get("/v1/models", {"authorization": "Bearer sk-nobody-knows-this-one-either"})
            assert refused.status_code == 503
            assert "upgrade" not in refused.text, "strangers are told what only the operator can mend"
            assert "`aiops upgrade`" in gateway.cli("status").out
            name = ask(gateway)  # the master key needs no database
        finally:
            database.execute("UPDATE alembic_version SET version_num = ?", (before,))
            database.commit()
    until(lambda: ready(gateway) == ("ready", "pass", "pass"), 15, "readiness")
    until(lambda: ledger(gateway)[name, "answered"] == 1, 15, "what was asked meanwhile")


def test_another_program_of_the_master_has_an_accountant_of_its_own_and_no_second_one(gateway: Gateway) -> None:
    before, master = accountant(gateway), gateway.master
    with control.Session(gateway.home / "run") as session:
        session.call(Become(python=sys.executable, token="t", hold=0.0))
    until(lambda: (told := control.status(gateway.home / "run")) and told.handover is not None, 60, "the next program")
    assert (gateway.master, accountant(gateway) != before) == (master, True)
    children = Path(f"/proc/{master}/task/{master}/children").read_text().split()
    states = {Path(f"/proc/{child}/stat").read_text().rpartition(")")[2].split()[0] for child in children}
    assert "Z" not in states, "nobody has collected the one before"
    name = ask(gateway)
    until(lambda: ledger(gateway)[name, "answered"] == 1, 10, "its row")


@pytest.mark.real_start
def test_a_restart_leaves_one_accountant(gateway: Gateway) -> None:
    before = accountant(gateway)
    assert gateway.must("restart")["outcome"] == "applied"
    assert accountant(gateway) != before
    name = ask(gateway)
    until(lambda: ledger(gateway)[name, "answered"] == 1, 10, "its row")


@pytest.mark.real_start
def test_it_outlives_a_master_that_is_killed_until_the_next_one_has_another(gateway: Gateway) -> None:
    before = accountant(gateway)
    os.kill(gateway.master, signal.SIGKILL)
    until(lambda: gateway.status["gateway"]["state"] == "degraded", 5)
    name = ask(gateway)
    until(lambda: ledger(gateway)[name, "answered"] == 1, 10, "its row")
    assert accountants(gateway) == [before]
    assert "1 worker(s) serve on" in gateway.status["notes"][0], "it is no worker"
    gateway.must("up")
    assert accountant(gateway) != before


def test_down_leaves_none_of_it_and_all_that_was_asked_is_in_the_ledger(gateway: Gateway) -> None:
    names = [ask(gateway) for _ in range(3)]
    assert gateway.must("down")["outcome"] == "applied"
    assert gateway.pids() == []
    assert sorted(path.name for path in (gateway.home / "run").iterdir()) == []
    assert list((gateway.home / "state" / "spool").iterdir()) == []
    assert {name: ledger(gateway)[name, "answered"] for name in names} == dict.fromkeys(names, 1)


def test_down_without_a_master_ends_it_too(gateway: Gateway) -> None:
    name = ask(gateway)
    os.kill(gateway.master, signal.SIGKILL)
    until(lambda: gateway.status["gateway"]["state"] == "degraded", 5)
    gateway.must("down", "--drain", "2")
    assert gateway.pids() == []
    assert ledger(gateway)[name, "answered"] == 1
