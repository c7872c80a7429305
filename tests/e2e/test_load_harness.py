"""The load generator sees what goes wrong: a harness that cannot fail proves nothing about a change."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from aiops.demo.child import DemoProvider
from tests.load import BackgroundLoad, LoadReport, Mix, Target

MIX = Mix(pause=0.02, idle_seconds=0.3)
PLAIN = ("new_connection", "keep_alive", "openai", "idle")
STREAMS = ("stream", "openai_stream")


@pytest.fixture
def double() -> Iterator[DemoProvider]:
    with DemoProvider.double() as provider:
        provider.control(tokens=4, chunk_delay=0.005)
        yield provider


def load(double: DemoProvider, seconds: float = 0.7, chunks: int | None = 4) -> LoadReport:
    with BackgroundLoad(Target(double.url, "key", "double", chunks), MIX) as background:
        time.sleep(seconds)
    return background.report


def test_a_healthy_server_makes_a_clean_report(double: DemoProvider) -> None:
    report = load(double)
    assert report.clean
    assert all(kind.requests == len(kind.latencies) > 0 for kind in report.kinds.values())
    assert report.generations == {"none": report.requests}
    assert report.streams == sum(report.kinds[name].requests for name in STREAMS)


@pytest.mark.parametrize("mode", ["500", "429", "401", "drop_before", "wrong_json", "html", "redirect"])
def test_every_kind_of_client_sees_every_bad_answer(double: DemoProvider, mode: str) -> None:
    double.control(mode=mode)
    report = load(double, 0.4)
    assert set(report.kinds) == {*PLAIN, *STREAMS}
    for name, kind in report.kinds.items():
        assert kind.requests == kind.failures.total() + kind.truncated > 0, name
        assert not kind.latencies
        assert kind.examples


def test_a_stream_that_is_cut_is_truncated_and_not_an_answer(double: DemoProvider) -> None:
    double.control(mode="drop_mid_stream")
    report = load(double, 0.4)
    for name in STREAMS:
        assert report.kinds[name].truncated == report.kinds[name].requests > 0
    for name in PLAIN:
        assert report.kinds[name].failures.total() == report.kinds[name].requests > 0


def test_a_stream_that_ends_properly_with_too_few_chunks_is_truncated(double: DemoProvider) -> None:
    report = load(double, 0.3, chunks=5)
    assert report.truncated == report.streams > 0
    assert "4 content chunks, expected 5" in report.kinds["stream"].examples[0]


def test_nothing_is_asked_twice(double: DemoProvider) -> None:
    double.control(mode="500", paths=["/v1/chat/completions"])
    report = load(double, 0.4)
    assert len(double.requests()) == report.requests


def test_a_server_that_is_killed_and_restarted_shows_as_failures_in_between(double: DemoProvider) -> None:
    with BackgroundLoad(Target(double.url, "key", "double", 4), MIX) as background:
        time.sleep(0.4)
        double.kill()
        time.sleep(0.2)
        again = double.restarted()
        time.sleep(0.4)
    again.stop()
    report = background.report
    assert report.failed > 0
    assert not report.clean
    for name in ("new_connection", "keep_alive", "openai"):
        assert report.kinds[name].failures.total() > 0, name
        assert "ConnectError" in report.kinds[name].failures, f"{name}: refused is told from broken"
        assert report.kinds[name].latencies, f"{name} answered before and after"


def test_the_command_line_writes_the_report_and_says_with_its_exit_code_whether_it_is_clean(
    double: DemoProvider, tmp_path: Path
) -> None:
    out = tmp_path / "report.json"

    def command() -> int:
        options = ("--url", double.url, "--key-env", "LOAD_KEY", "--model", "double", "--seconds", "0.4")
        argv = (sys.executable, "-m", "tests.load", *options, "--out", str(out), "--idle-seconds", "0.2")
        root = Path(__file__).resolve().parents[2]
        return subprocess.run(argv, cwd=root, env={**os.environ, "LOAD_KEY": "secret"}, timeout=30).returncode

    assert command() == 0
    assert json.loads(out.read_text())["failed"] == 0
    double.control(mode="500")
    assert command() == 1
    report = json.loads(out.read_text())
    assert report["failed"] == report["requests"] > 0
    assert "secret" not in out.read_text()
