"""`status` says in one word how things are and why, goes on looking, and remembers over changes."""

from __future__ import annotations

import json
import os
import pty
import select
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from aiops.demo.child import DemoProvider
from tests.kit.gateway import Gateway
from tests.kit.waiting import until


@pytest.fixture
def gateway(running: Gateway, two: DemoProvider) -> Iterator[Gateway]:
    """`one` serves alpha and beta, `two` gamma, which answers for alpha."""
    before = running.status["generation"]
    running.add("two", two.url, "gamma", "delta")
    alpha = "exact_matches: {alpha: {provider: one, fallback: gamma}}"
    running.edit("model-mappings.yaml", "\nexact_matches: {}", f"\n{alpha}")
    running.must("apply")
    yield running
    running.must("rollback", before, "--reason", "the test is over", "--force")


@contextmanager
def watching(gateway: Gateway, *arguments: str) -> Iterator[tuple[subprocess.Popen[str], list[str]]]:
    """`status -w` in a pipe, and the lines it says."""
    argv = gateway.argv(*arguments, "status", "-w", "--interval", "0.2")
    process = subprocess.Popen(argv, env=gateway.env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout is not None
    lines: list[str] = []
    reader = threading.Thread(target=lambda: lines.extend(iter(process.stdout.readline, "")), daemon=True)  # type: ignore[union-attr]
    reader.start()
    try:
        yield process, lines
    finally:
        process.kill()
        process.wait()


def test_a_gateway_that_answers_everything_is_ok(gateway: Gateway) -> None:
    told = gateway.status
    assert (told["health"], told["why"], told["unproved"]) == ("ok", [], [])
    assert gateway.say("status").out.splitlines()[0] == "status:     ok"


def test_a_provider_that_is_gone_makes_it_degraded_and_is_named_with_its_address() -> None:
    instance = Gateway()
    try:
        instance.init()
        instance.up()
        with DemoProvider.double(models=("alpha",)) as kept:
            with DemoProvider.double(models=("gamma",)) as gone:
                instance.add("kept", kept.url, "alpha")
                instance.add("gone", gone.url, "gamma", fallback="alpha")
                assert instance.status["health"] == "ok"
                address = gone.url.removeprefix("http://")
            told = instance.status
            why = f"provider gone does not answer ({address}: connection refused): others answer gamma"
            assert (told["health"], told["why"]) == ("degraded", [why])
            assert instance.say("status").out.splitlines()[:2] == ["status:     degraded", f"why:        {why}"]
        told = instance.status
        assert (told["health"], told["why"][0]) == ("down", "nobody answers any model")
        instance.must("down")
        assert instance.status["health"] == "down"
    finally:
        instance.destroy()


def test_a_provider_that_answers_nothing_but_errors_is_said_too(gateway: Gateway, two: DemoProvider) -> None:
    two.control(mode="500", paths=["/v1/chat"])
    try:
        for _ in range(3):
            assert gateway.ask("delta").status_code >= 500
        told = gateway.status
        assert told["health"] == "degraded"
        assert told["why"][0].startswith("provider two does not answer (its latest requests all failed)")
    finally:
        two.control(mode="ok", paths=[])
    assert gateway.ask("delta").status_code == 200
    assert gateway.status["health"] == "ok"


def test_a_disabled_provider_is_said_with_the_names_that_others_answer(gateway: Gateway) -> None:
    gateway.must("disable", "one", "--force")
    told = gateway.status
    assert (told["health"], told["why"]) == (
        "degraded",
        ["provider one is disabled: others answer alpha, nobody answers beta"],
    )


def test_watching_in_a_pipe_says_a_line_per_change_and_ends_with_ctrl_c(gateway: Gateway) -> None:
    with watching(gateway) as (process, lines):
        until(lambda: lines, 20, "a first line")
        gateway.must("disable", "one", "--force")
        until(lambda: any("degraded" in line for line in lines), 20, "the change")
        gateway.must("enable", "one")
        until(lambda: " ok: " in lines[-1], 20, "the way back")
        process.send_signal(signal.SIGINT)
        assert process.wait(10) == 130
        assert process.stderr is not None
        assert process.stderr.read() == ""
    assert " ok: gateway running, generation " in lines[0]
    assert len(lines) == len({line.partition(" ")[2] for line in lines}), "a line that says nothing new"
    assert not any("\033" in line for line in lines)


def test_watching_for_a_program_is_an_object_per_line(gateway: Gateway) -> None:
    with watching(gateway, "--json") as (process, lines):
        until(lambda: lines, 20, "a first line")
        process.send_signal(signal.SIGINT)
        assert process.wait(10) == 130
    assert json.loads(lines[0])["health"] == "ok"


def test_watching_on_a_terminal_draws_anew_and_ends_with_ctrl_c(gateway: Gateway) -> None:
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        gateway.argv("status", "-w", "--interval", "0.2"),
        env={**gateway.env, "TERM": "xterm"},
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
    )
    os.close(theirs)
    shown, deadline = "", time.monotonic() + 20
    try:
        while shown.count("\033[H") < 4:
            assert time.monotonic() < deadline, shown
            if select.select([ours], [], [], 0.1)[0]:
                shown += os.read(ours, 65536).decode()
        process.send_signal(signal.SIGINT)
        assert process.wait(10) == 130
    finally:
        process.kill()
        process.wait()
        os.close(ours)
    assert "\033[32mok\033[0m" in shown
    assert "Traceback" not in shown


def test_what_was_answered_is_still_told_after_changes_under_load(gateway: Gateway) -> None:
    before = _answered(gateway)
    asked = [0, 0]
    stop = threading.Event()

    def ask(place: int) -> None:
        while not stop.is_set():
            answer = gateway.ask("gamma", stream=place == 1)
            assert answer.status_code == 200
            asked[place] += 1

    threads = [threading.Thread(target=ask, args=(place,)) for place in range(2)]
    for thread in threads:
        thread.start()
    try:
        for verb in ("disable", "enable", "disable"):
            gateway.must(verb, "one", "--force") if verb == "disable" else gateway.must(verb, "one")
            assert _answered(gateway) - before <= sum(asked) + len(asked), "counted twice"
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    assert min(asked) > 10
    until(lambda: _answered(gateway) - before == sum(asked), 20, f"all {sum(asked)} are told")
    gateway.must("restart")
    assert _answered(gateway) - before == sum(asked)


def _answered(gateway: Gateway) -> int:
    rows = gateway.must("status", "--routes")["routes"]["models"]
    return sum(row["answered"] for row in rows if row["model"] == "gamma")
