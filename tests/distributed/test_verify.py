"""`aiops verify --suite distributed`: green where three gateways keep what they promise, red where one does not."""

from __future__ import annotations

import os
import re
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from aiops.demo.child import DemoProvider
from aiops.state.store import open
from aiops.state.store import replicas as stored
from tests.distributed.replicas import replicas, secret
from tests.kit.gateway import Answer, Gateway
from tests.kit.postgres import Postgres
from tests.kit.redis import Redis
from tests.kit.waiting import until

BOXES = ("box-1", "box-2", "box-3")
VERIFY = ("verify", "--suite", "distributed")
MAPPINGS = """\
exact_matches:
  aaa-alone: {provider: one, backend_model: alpha}
  alpha: {provider: one, backend_model: alpha, rate_limit: {rpm: 2}}
"""


@pytest.fixture(scope="module")
def three(stores: tuple[Postgres, Redis], provider: DemoProvider) -> Iterator[list[Gateway]]:
    postgres, redis = stores
    with replicas(3, postgres.database(), redis.url, provider.url, one_master_key=True) as made:
        yield made


@pytest.fixture(autouse=True)
def nothing_is_left(three: list[Gateway]) -> Iterator[None]:
    """Whatever came of the run."""
    yield
    assert keys_of_runs(three[0]) == []


def keys_of_runs(gateway: Gateway) -> list[str]:
    """Those that are not revoked."""
    listed = gateway.must("keys", "list")["keys"]
    return [key["key_alias"] for key in listed if key["key_alias"].startswith("aiops-verify-")]


def by(status: str, answer: Answer) -> dict[str, str]:
    """Detail by id."""
    return {check["id"]: check["detail"] for check in answer.data["checks"] if check["status"] == status}


def of_each(what: str, *boxes: str) -> set[str]:
    return {what.format(box) for box in boxes or BOXES}


def test_three_replicas_that_share_everything_pass(three: list[Gateway]) -> None:
    done = three[0].cli(*VERIFY, "--wait")
    passed = by("pass", done)
    print("\n".join(f"{id}: {detail}" for id, detail in passed.items()))
    assert (done.code, by("fail", done)) == (0, {})
    assert by("skip", done).keys() == {"failover:faults"}
    assert passed.keys() == {
        *of_each("replica:{}"), *of_each("failover:{}:stores"), *of_each("failover:{}:alone"),
        *of_each("limit:parallel:{}"), *of_each("block:{}"), *of_each("revoke:{}"),
        "limit:requests", "limit:retry-after", "limit:again", "limit:parallel", "limit:parallel:free",
        "budget:spent", "budget:refused", "usage:rows", "usage:counters", "keys:removed",
    }  # fmt: skip
    for gateway, box in zip(three, BOXES, strict=True):
        assert gateway.url in passed[f"replica:{box}"]


def test_what_it_used_is_in_reports_under_a_name_and_a_tag_of_its_own_and_of_no_team(three: list[Gateway]) -> None:
    assert three[1].cli(*VERIFY).code == 0
    used = three[0].must("usage", "--by", "tag")["usage"]
    tagged = sum(row["requests"] for row in used if row["tag"] == "aiops-verify")
    by_key = three[0].must("usage", "--by", "key", "--by", "team")["usage"]
    named = [row for row in by_key if row["key"].startswith("aiops-verify-")]
    assert tagged == sum(row["requests"] for row in named) > 20
    assert {row["team"] for row in named} == {"(none)"}
    assert all("(revoked " in row["key"] for row in named)


def test_a_model_with_a_limit_of_its_own_or_that_one_replica_alone_serves_is_left_alone(three: list[Gateway]) -> None:
    mappings = three[0].home / "config" / "model-mappings.yaml"
    before = mappings.read_text()
    mappings.write_text(MAPPINGS)
    try:
        three[0].must("apply")
        done = three[0].say(*VERIFY)
        alone = three[0].cli(*VERIFY, "--model", "aaa-alone")
    finally:
        mappings.write_text(before)
        three[0].must("apply")
    assert (done.code, "✗" in done.out) == (0, False), done.out
    assert "tiny requests to `beta`" in done.out + done.err
    assert (alone.code, alone.message) == (4, "`aaa-alone` is not served by box-2, box-3")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["Ctrl-C", "SIGTERM"])
def test_a_run_that_is_interrupted_takes_its_keys_along(
    number: signal.Signals, three: list[Gateway], provider: DemoProvider
) -> None:
    provider.control(delay=1.0)
    run = subprocess.Popen(
        three[0].argv("--json", *VERIFY, "--model", "beta"), env=three[0].env,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        until(lambda: len(keys_of_runs(three[0])) >= 2, 30, "the keys of the run")
        run.send_signal(number)
        out, err = run.communicate(timeout=30)
    finally:
        run.kill()
        provider.control(delay=0)
    assert run.returncode == 130, out + err
    assert "Traceback" not in err


@contextmanager
def frozen(pid: int) -> Iterator[None]:
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


def test_a_replica_that_does_not_hear_of_changes_makes_it_red(three: list[Gateway], provider: DemoProvider) -> None:
    """Its accountant hangs when the keys are known to its workers: it goes on letting in what was blocked."""
    provider.control(delay=0.5)
    run = subprocess.Popen(
        three[0].argv("--json", *VERIFY), env=three[0].env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        until(lambda: any(name.endswith("-parallel") for name in keys_of_runs(three[0])), 30, "the third key")
        with frozen(accountant(three[1])):
            out, err = run.communicate(timeout=120)
    finally:
        run.kill()
        provider.control(delay=0)
    done = Answer(run.returncode, out, err, 0.0)
    failed = by("fail", done)
    assert done.code == 7
    assert "box-2 still says" in failed["block:box-2"]
    assert "no receipt" in failed["revoke:box-2"]
    assert "box-2" in failed["usage:rows"] and "in the ledger" in failed["usage:rows"]
    assert by("pass", done).keys() >= of_each("block:{}", "box-1", "box-3") | of_each("revoke:{}", "box-1", "box-3")


def accountant(gateway: Gateway) -> int:
    commands = {pid: Path(f"/proc/{pid}/cmdline").read_bytes() for pid in gateway.pids()}
    (pid,) = (pid for pid, command in commands.items() if b"aiops.gateway.accountant" in command)
    return pid


def test_a_replica_that_counts_by_itself_and_one_that_is_killed_make_it_red(
    three: list[Gateway], stores: tuple[Postgres, Redis]
) -> None:
    """Limits and budgets hold for each of two, and not for both; the third one has not said good-bye."""
    other = Redis(requirepass="another-one")
    url, master_key = (three[1].home / "secrets" / name for name in ("redis_url", "master_key"))
    shared, same = url.read_text().strip(), master_key.read_text().strip()
    try:
        secret(url, other.url)
        secret(master_key, "sk-another-one-for-box-2-alone")
        three[1].must("restart")
        for pid in three[2].pids():
            os.kill(pid, signal.SIGKILL)
        done = three[0].cli(*VERIFY)
    finally:
        secret(url, shared)
        secret(master_key, same)
        three[1].must("restart")
        three[2].must("up")
        other.remove()
        until(lambda: live(three[0]) == {*BOXES}, 20, "its sign of life")
    failed = by("fail", done)
    assert done.code == 7
    passed = re.match(r"(\d+) of 18 requests passed a limit of 6 \(box-1 6, box-2 \d\)", failed["limit:requests"])
    assert passed and int(passed[1]) > 7
    assert re.search(r"in the counters that are shared: box-2 \d, in each of 3 ", failed["limit:requests"])
    assert "counts by itself" in failed["limit:parallel:box-2"] and "box-2 let one more in" in failed["limit:parallel"]
    assert "times the budget" in failed["budget:spent"]
    assert failed.keys() >= {"replica:box-3", "usage:counters"}
    assert "limit:parallel:box-1" in by("pass", done)
    assert "its master key is another one" in by("skip", done)["failover:box-2:alone"]


def live(gateway: Gateway) -> set[str]:
    engine = open.engine((gateway.home / "secrets" / "database_url").read_text().strip())
    with open.reading(engine) as connection:
        found = {replica.host for replica in stored.live(connection, 10)}
    engine.dispose()
    return found


def test_an_address_that_is_another_replicas_is_seen(three: list[Gateway]) -> None:
    """As a loopback address of another host would be: it is answered, but by somebody else."""
    done = three[0].cli(*VERIFY, "--at", f"box-3={three[1].url}")
    failed = by("fail", done)
    assert done.code == 7
    assert "is answered by box-2, not by box-3" in failed["replica:box-3"]
    assert "--at box-3=URL" in failed["replica:box-3"]
    assert "limit:requests" in by("pass", done)
    unknown = three[0].cli(*VERIFY, "--at", f"box-4={three[1].url}")
    assert unknown.code == 2 and "they are called: box-1, box-2, box-3" in unknown.hint
