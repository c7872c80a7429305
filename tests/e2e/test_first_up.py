"""The first `up` gets people going: what answers is served, what does not is said, what is wrong is named."""

from __future__ import annotations

import re
import shlex
import signal
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest

from aiops.demo.child import DemoProvider
from tests.e2e.fresh import forget, nobody_listens, off, unproved, write
from tests.kit.gateway import Answer, Gateway
from tests.kit.waiting import free_port, until
from tests.kit.warm.session import starts

KEY = "sk-one-of-them-is-right"


@pytest.fixture(scope="module")
def good() -> Iterator[DemoProvider]:
    with DemoProvider.double(models=("chat", "other")) as provider:
        yield provider


@pytest.fixture(scope="module")
def second() -> Iterator[DemoProvider]:
    with DemoProvider.double(models=("chat", "other")) as provider:
        yield provider


@pytest.fixture(scope="module")
def locked() -> Iterator[DemoProvider]:
    """A server that wants a key."""
    with DemoProvider.double(models=("paid",)) as provider:
        provider.control(api_key=KEY)
        yield provider


@pytest.fixture
def fresh(empty: Gateway, good: DemoProvider) -> Iterator[Gateway]:
    """An instance that never served anything."""
    forget(empty)
    yield empty
    forget(empty)
    good.control(mode="ok", delay=0, paths=[], models=["chat", "other"])


# --- a server that is off -------------------------------------------------------------------------------------------


def test_one_server_that_is_off_does_not_stop_the_others(fresh: Gateway, good: DemoProvider) -> None:
    url = off()
    write(fresh, {"good": {"base_url": good.url, "models": ["chat"]}, "gpu-box": {"base_url": url, "models": ["x"]}})
    up = fresh.say("up")
    assert up.code == 0, up.err
    why = f"{url}/v1/models: nobody listens there (connection refused)"
    assert "served, and not proved to answer (1 provider):" in up.out
    assert f"  gpu-box (x): {why}" in up.out
    assert fresh.ask("chat").status_code == 200
    assert fresh.models() == ["chat", "x"]
    assert unproved(fresh) == [{"provider": "gpu-box", "models": ["x"], "reason": "absent", "why": why}]
    status = fresh.say("status").out
    assert "gpu-box is served unproved" in status
    assert f"`aiops --home {fresh.home} verify --all` asks those who were not proved" in status


def test_what_was_unproved_stays_so_until_it_answers(fresh: Gateway, good: DemoProvider) -> None:
    port = free_port()
    box = {"base_url": f"http://127.0.0.1:{port}", "models": ["x"]}
    write(fresh, {"good": {"base_url": good.url, "models": ["chat"]}, "gpu-box": box})
    fresh.up()
    fresh.must("add-model", "good", "other")
    assert [each["provider"] for each in unproved(fresh)] == ["gpu-box"]
    assert fresh.cli("verify", "--all").code == 7
    with DemoProvider.double(models=("x",), port=port):
        assert fresh.cli("verify", "--all").code == 0
        assert unproved(fresh) == []


def test_all_of_them_may_be_off(fresh: Gateway) -> None:
    write(fresh, {"one": {"base_url": off(), "models": ["a"]}, "two": {"base_url": off(), "models": ["b"]}})
    up = fresh.must("up")
    assert [each["provider"] for each in up["unproved"]] == ["one", "two"]
    assert fresh.models() == ["a", "b"]


def test_a_group_is_served_by_those_of_its_servers_that_are_there(fresh: Gateway, good: DemoProvider) -> None:
    members = [{"provider": name, "weight": 0.5} for name in ("good", "gpu-box")]
    write(
        fresh,
        {
            "good": {"base_url": good.url, "models": ["chat"]},
            "gpu-box": {"base_url": off(), "models": ["chat"]},
        },
        {"load_balancing": {"chat": {"providers": members, "strategy": "weighted_round_robin"}}},
    )
    up = fresh.must("up")
    assert [(each["provider"], each["models"]) for each in up["unproved"]] == [("gpu-box", ["chat"])]
    assert {fresh.ask("chat").status_code for _ in range(4)} == {200}


def test_taking_a_provider_out_proves_only_what_that_changes(
    fresh: Gateway, good: DemoProvider, second: DemoProvider
) -> None:
    """Of three servers of a group one is off already: another can be taken out all the same."""
    members = [{"provider": name} for name in ("good", "again", "third")]
    with DemoProvider.double(models=("chat",)) as third:
        urls = {"good": good.url, "again": second.url, "third": third.url}
        write(
            fresh,
            {name: {"base_url": url, "models": ["chat"]} for name, url in urls.items()},
            {"load_balancing": {"chat": {"providers": members}}},
        )
        fresh.up()
    done = fresh.must("disable", "again")
    assert not [check["id"] for check in done["checks"] if "third" in check["id"]]


def test_strictly_everything_has_to_answer(fresh: Gateway, good: DemoProvider) -> None:
    write(fresh, {"good": {"base_url": good.url, "models": ["chat"]}, "gpu-box": {"base_url": off(), "models": ["x"]}})
    refused = fresh.cli("up", "--strict")
    assert (refused.code, refused.data["outcome"]) == (7, "refused")
    assert [line.split(": ")[0] for line in refused.failed] == ["provider:gpu-box"]
    assert nobody_listens(fresh)


# --- a server that is wrong -----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Situation:
    """What the provider `bad` is like; ``fails``: the checks that say so, and ``option``: how `up` is called."""

    bad: Mapping[str, Any]
    fails: tuple[str, ...]
    option: tuple[str, ...] = ()
    env: Mapping[str, str] = field(default_factory=dict)


SITUATIONS = {
    "no key": Situation({"base_url": "{locked}", "models": ["paid"]}, ("provider:bad",)),
    "a wrong key": Situation(
        {"base_url": "{locked}", "models": ["paid"], "api_key_env": "BAD_KEY"},
        ("provider:bad",),
        env={"BAD_KEY": "sk-it-is-not-this-one"},
    ),
    "a wrong model": Situation({"base_url": "{second}", "models": ["chut"]}, ("provider:bad",)),
    "off, strictly": Situation({"base_url": "{off}", "models": ["x"]}, ("provider:bad",), ("--strict",)),
}


@pytest.mark.parametrize("name", SITUATIONS)
def test_each_command_of_a_refusal_works_where_it_was_refused(
    fresh: Gateway, good: DemoProvider, second: DemoProvider, locked: DemoProvider, name: str
) -> None:
    case = SITUATIONS[name]
    places = {"{locked}": locked.url, "{second}": second.url, "{off}": off()}
    bad = {**case.bad, "base_url": places[case.bad["base_url"]]}
    fine = {"base_url": good.url, "models": ["chat"]}

    def refuse() -> Answer:
        forget(fresh)
        write(fresh, {"good": fine, "bad": bad})
        refused = fresh.cli("up", *case.option, env=case.env)
        assert (refused.code, refused.data["outcome"]) == (7, "refused"), refused.out
        assert tuple(line.split(": ")[0] for line in refused.failed) == case.fails
        assert nobody_listens(fresh), "nothing takes connections that nothing answers"
        return refused

    commands = re.findall(r"`(aiops [^`]*)`", refuse().hint)
    assert len(commands) == 2
    assert shlex.split(commands[0])[3:] == ["disable", "bad"]
    for place, command in enumerate(commands):
        if place:
            refuse()
        done = fresh.cli(*shlex.split(command)[3:], env=case.env)
        assert done.code == 0, f"{command}: {done.out}"
        assert fresh.cli("up", env=case.env).code == 0
        assert fresh.ask("chat").status_code == 200
        assert ("bad" in {each["provider"] for each in unproved(fresh)}) == bool(place)


def test_a_provider_whose_models_have_no_other_way_is_taken_out_as_the_hint_says(
    fresh: Gateway, good: DemoProvider
) -> None:
    write(fresh, {"good": {"base_url": good.url, "models": ["chat"]}, "gpu-box": {"base_url": off(), "models": ["x"]}})
    fresh.up()
    refused = fresh.cli("disable", "gpu-box")
    assert refused.code == 4
    (command,) = re.findall(r"`(aiops [^`]*)`", refused.hint)
    assert fresh.cli(*shlex.split(command)[3:]).code == 0
    assert fresh.models() == ["chat"]
    assert unproved(fresh) == []


# --- what is known at once ------------------------------------------------------------------------------------------


def test_a_key_that_is_missing_is_said_before_anything_is_started(fresh: Gateway) -> None:
    log = fresh.home / "logs" / "gateway.log"
    before = log.stat().st_size if log.exists() else 0
    keys = {"one": {"api_key_env": "NO_SUCH_KEY"}, "two": {"api_key_file": "no-such-file"}}
    write(fresh, {name: {"base_url": off(), "models": [name], **key} for name, key in keys.items()})
    refused = fresh.cli("up")
    assert refused.code == 4
    assert "providers.yaml:2: the environment variable NO_SUCH_KEY is not set" in refused.message
    assert "there is no key file" in refused.message, "both are said at once"
    assert nobody_listens(fresh)
    assert (log.stat().st_size if log.exists() else 0) == before, "no gateway has said anything"


# --- Ctrl-C -----------------------------------------------------------------------------------------------------------


@pytest.mark.real_start
def test_ctrl_c_leaves_nothing_running(fresh: Gateway) -> None:
    up = starts.popen(fresh.argv("up"), env=fresh.env, stderr=subprocess.PIPE, text=True)
    until(lambda: fresh.pids(), 20, "a master")
    up.send_signal(signal.SIGINT)
    _, said = up.communicate(timeout=60)
    assert (up.returncode, fresh.pids()) == (130, []), said
    assert "interrupted; nothing runs" in said
    assert fresh.say("up").code == 0
