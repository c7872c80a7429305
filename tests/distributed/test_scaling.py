"""From one box to Postgres and Redis and back, while requests go on: nothing lost, nothing counted twice."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from aiops.demo.child import DemoProvider
from tests.distributed.replicas import ask, asked_all_the_time, create, secret, standalone
from tests.kit.gateway import Gateway
from tests.kit.postgres import Postgres
from tests.kit.redis import Redis
from tests.kit.waiting import until


@pytest.fixture(scope="module")
def box(provider: DemoProvider) -> Iterator[Gateway]:
    with standalone(provider.url) as made:
        yield made


@pytest.fixture(scope="module")
def files(box: Gateway, stores: tuple[Postgres, Redis]) -> tuple[str, ...]:
    """The options of `scale-out`."""
    postgres, redis = stores
    database = secret(box.home / "the-database-url", postgres.database())
    return (
        "--database-url-file",
        str(database),
        "--redis-url-file",
        str(secret(box.home / "the-redis-url", redis.url)),
    )


def books(gateway: Gateway) -> dict[str, Any]:
    """What is known of keys and usage, once the ledger has all of it."""
    proved = gateway.must("usage", "prove")
    assert proved["ingested"]
    assert proved["ok"]
    (used,) = gateway.must("usage", "--by", "key", "--key", "ci")["usage"]
    keys = gateway.must("keys", "list")["keys"]
    return {"used": (used["requests"], used["cost"]), "keys": sorted(str(each) for each in keys)}


def test_out_and_back_again_under_load_without_a_failed_request_and_with_everything_there(
    box: Gateway, files: tuple[str, ...]
) -> None:
    key = create(box, "--alias", "ci", "--max-budget", 100, "--rpm-limit", 100000)
    gone = create(box, "--alias", "gone")
    box.must("keys", "revoke", "gone")
    ask(box, key)
    before = 1
    for verb in (("scale-out", *files), ("scale-in",), ("scale-out", *files), ("scale-in",)):
        with asked_all_the_time(box, key) as statuses:
            done = box.must(*verb, "--reason", "a test")
            assert done["outcome"] == "applied"
            assert any("the same on both sides" in note for note in done["notes"])
        assert set(statuses) == {200}, verb
        before += statuses[200]
        found = books(box)
        assert found["used"][0] == before, verb
        assert len(found["keys"]) == 1 + len([each for each in found["keys"] if "gone" in each])
        assert ask(box, gone).status_code == 401
    assert box.must("status")["mode"] == "standalone"
    assert list((box.home / "state").glob("aiops.db.before-*")), "the files that were gone over from are kept"
    assert box.cli("scale-in").code == 4
    before_that = box.snapshot()
    back = box.cli("rollback", "--reason", "to where the keys were")
    assert (back.code, "would stay behind" in back.message, "scale-out" in back.hint) == (4, True, True)
    assert box.snapshot() == before_that


def test_what_keys_yaml_manages_is_managed_by_it_on_the_other_side(box: Gateway, files: tuple[str, ...]) -> None:
    written = box.home / "config" / "keys.yaml"
    written.write_text("keys: {declared: {rpm_limit: 60}}\n")
    before = box.snapshot()
    refused = box.cli("scale-out", *files)
    assert (refused.code, "keys.yaml" in refused.message, "apply" in refused.hint) == (4, True, True)
    assert box.snapshot() == before
    box.must("apply")
    for verb in (("scale-out", *files), ("scale-in",)):
        box.must(*verb)
        assert "rows" not in box.must("plan"), verb
        assert box.must("status")["drift"] == []
    written.unlink()
    gone = box.must("apply")["plan"]["rows"]
    assert [each["detail"] for each in gone] == [
        "blocked false -> true; not in keys.yaml any more; it stays, blocked, for reports"
    ]


def test_what_is_not_fit_is_said_all_at_once_and_nothing_is_touched(
    box: Gateway, stores: tuple[Postgres, Redis], tmp_path: Path
) -> None:
    evicting = Redis(maxmemory_policy="allkeys-lru", maxmemory="64mb")
    try:
        open_to_all = secret(tmp_path / "database", stores[0].url(password="wrong"))
        open_to_all.chmod(0o644)
        redis = secret(tmp_path / "redis", evicting.url)
        before = box.snapshot()
        refused = box.cli("scale-out", "--database-url-file", open_to_all, "--redis-url-file", redis)
    finally:
        evicting.remove()
    assert refused.code == 4
    for said in ("open to others (mode 644)", "password authentication failed", "maxmemory-policy allkeys-lru"):
        assert said in refused.message
    assert "wrong" not in refused.out + refused.err
    assert box.snapshot() == before


def test_no_other_verb_leaves_the_keys_behind(box: Gateway, files: tuple[str, ...]) -> None:
    written = "deployment:\n  database_url_file: database_url\n  redis_url_file: redis_url"
    secret(box.home / "secrets" / "database_url", Path(files[1]).read_text().strip())
    secret(box.home / "secrets" / "redis_url", Path(files[3]).read_text().strip())
    before = box.source("aiops.yaml").read_text()
    box.edit("aiops.yaml", "mode: standalone\n", f"mode: distributed\n{written}\n")
    try:
        refused = box.cli("apply")
        assert (refused.code, "scale-out" in refused.hint) == (4, True)
    finally:
        box.source("aiops.yaml").write_text(before)


@pytest.mark.parametrize("step", ["stage", "confirm", "commit"])
def test_killed_at_any_step_it_is_the_old_one_or_the_new_one_and_works_again(
    box: Gateway, files: tuple[str, ...], step: str
) -> None:
    """What the next verb says; the old database takes changes again when it is the old one."""
    journal = box.home / "state" / "journal"
    running = subprocess.Popen(
        box.argv("scale-out", *files, "--yes"), env=box.env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    until(lambda: running.poll() is not None or (journal.exists() and reached(journal, step)), 60, f"`{step}`")
    running.send_signal(signal.SIGKILL)
    running.wait(10)
    said = box.say("validate")
    box.must("apply")
    if box.must("status")["mode"] == "distributed":
        box.must("scale-in")
    create_when_thawed(box, f"after-{step}", said.err)
    assert box.must("status")["mode"] == "standalone"


def create_when_thawed(gateway: Gateway, alias: str, said: str) -> None:
    until(lambda: gateway.cli("keys", "create", "--alias", alias).code == 0, 70, f"changes again; {said}")


def reached(journal: Path, step: str) -> bool:
    with suppress(OSError):
        return step in (journal / "steps").read_text().split()
    return False
