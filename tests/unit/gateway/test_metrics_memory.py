"""What processes count is added up once each, whoever ends when, and what the dead have counted stays."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from aiops.gateway.shared.metrics import series, text, totals
from aiops.gateway.shared.metrics.memory import DIRECTORY, SUFFIX, Memory
from aiops.gateway.shared.metrics.series import Family, Key
from aiops.gateway.worker.figures import Figures
from aiops.state.rules import Refusal

ANSWERED: Key = (series.REQUESTS.name, "answered", "2xx")
IN_FLIGHT: Key = (series.IN_FLIGHT.name,)
ALIVE = {11, 12, 13}


def alive(path: Path, process: str) -> bool:
    return process in {f"{pid}.5" for pid in ALIVE}


def nobody_hears(line: str) -> None:
    raise AssertionError(line)


def counted(state: Path, pid: int, answered: int, in_flight: int = 0) -> Memory:
    memory = Memory(state, f"{pid}.5", nobody_hears)
    memory.add(memory.places[ANSWERED], answered)
    memory.put(memory.places[IN_FLIGHT], in_flight)
    return memory


def test_counters_of_the_dead_count_and_gauges_of_theirs_do_not(tmp_path: Path) -> None:
    memories = [counted(tmp_path, 11, 3, 1), counted(tmp_path, 12, 4, 2), counted(tmp_path, 99, 5, 7)]
    found = totals.read(tmp_path, alive)
    assert (found.counters[ANSWERED], found.gauges[IN_FLIGHT]) == (12, 3)
    memories[0].add(memories[0].places[ANSWERED])
    assert totals.read(tmp_path, alive).counters[ANSWERED] == 13


def test_what_the_dead_have_counted_is_taken_over_once_whenever_that_breaks_off(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    counted(tmp_path, 11, 3)
    counted(tmp_path, 98, 4)
    counted(tmp_path, 99, 5)

    def killed(*_: object, **__: object) -> None:
        raise OSError("killed here")

    for broken in ("replace", "unlink"):
        with monkeypatch.context() as patched:
            patched.setattr(Path, broken, killed)
            with pytest.raises(OSError, match="killed here"):
                totals.fold(tmp_path, alive)
        assert totals.read(tmp_path, alive).counters[ANSWERED] == 12, broken
    for _ in range(2):
        totals.fold(tmp_path, alive)
        assert totals.read(tmp_path, alive).counters[ANSWERED] == 12
    assert len(list((tmp_path / DIRECTORY).glob(f"*{SUFFIX}"))) == 1
    counted(tmp_path, 97, 1)
    totals.fold(tmp_path, alive)
    assert totals.read(tmp_path, alive).counters[ANSWERED] == 13


def test_who_reads_while_another_one_takes_over_misses_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    counted(tmp_path, 99, 5)
    listed, times = totals._files, 0

    def files(directory: Path) -> list[Path]:
        nonlocal times
        times += 1
        found = listed(directory)
        if times == 1:  # listed, and gone before it is read
            monkeypatch.setattr(totals, "_files", listed)
            totals.fold(tmp_path, alive)
        return found

    monkeypatch.setattr(totals, "_files", files)
    assert totals.read(tmp_path, alive).counters[ANSWERED] == 5


def test_a_process_that_is_killed_leaves_what_it_has_counted(tmp_path: Path) -> None:
    program = (
        "import os, signal; from pathlib import Path; from aiops.gateway.shared.metrics.memory import Memory\n"
        f"memory = Memory(Path({str(tmp_path)!r}), '99.5', print); memory.add(memory.places[{ANSWERED!r}], 7)\n"
        "os.kill(os.getpid(), signal.SIGKILL)"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == -9
    assert totals.read(tmp_path, alive).counters[ANSWERED] == 7


def test_a_file_that_is_not_whole_yet_and_one_of_another_version_are_no_trouble(tmp_path: Path) -> None:
    counted(tmp_path, 11, 3)
    directory = tmp_path / DIRECTORY
    (directory / f"12.5.aaaa{SUFFIX}").write_bytes(bytes(64))
    (directory / f"12.5.bbbb{SUFFIX}").write_bytes(b"")
    (directory / "notes.txt").write_text("mine")
    later = Memory(tmp_path, "99.5", nobody_hears, (Family("aiops_later_total", "counter", "Later."), series.REQUESTS))
    later.add(later.places["aiops_later_total",], 2)
    later.add(later.places[ANSWERED], 1)
    totals.fold(tmp_path, alive)
    found = totals.read(tmp_path, alive)
    assert found.counters[ANSWERED] == 4
    assert found.counters["aiops_later_total",] == 2, "an aiops that knows it goes on from there"
    assert "later" not in text.text(text.numbers(found, {}))


def test_without_a_disk_it_counts_on_and_says_that_nobody_can_read_it(tmp_path: Path) -> None:
    (tmp_path / DIRECTORY).write_text("no directory")
    said: list[str] = []
    memory = Memory(tmp_path, "11.5", said.append)
    memory.add(memory.places[ANSWERED])
    assert memory.get(memory.places[ANSWERED]) == 1
    assert len(said) == 1
    assert totals.read(tmp_path, alive).counters[ANSWERED] == 0


def test_only_the_owner_may_read_the_files(tmp_path: Path) -> None:
    counted(tmp_path, 99, 1)
    counted(tmp_path, 11, 1)
    totals.fold(tmp_path, alive)
    directory = tmp_path / DIRECTORY
    assert [path.stat().st_mode & 0o077 for path in (directory, *directory.iterdir())] == [0, 0, 0]


def test_the_text_has_every_series_from_the_start_and_conventional_names(tmp_path: Path) -> None:
    found = text.text(text.numbers(totals.read(tmp_path, alive), {(series.ACCOUNTANT.name,): 1.0}))
    families = {family.name: family for family in text_string_to_metric_families(found)}
    samples = [sample for family in families.values() for sample in family.samples]
    assert len(samples) == 1 + sum(len(list(family.every())) for family in series.OF_PROCESSES)
    assert all(sample.value == 0 for sample in samples if sample.name != series.ACCOUNTANT.name)
    for family in series.ALL:
        assert family.name.startswith("aiops_")
        assert family.name.endswith("_total") == (family.kind == "counter")
        assert len(family.labels) == len(family.values) or family is series.BUILD
        assert not family.name.endswith(("_ms", "_days", "_milliseconds", "_kb"))


@pytest.mark.parametrize(
    ("kind", "status", "counted_as"),
    [
        ("rate_limit_error", 429, "rate_limit_error"),
        ("team_model_access_denied", 403, "model_access_denied"),
        ("key_model_access_denied", 403, "model_access_denied"),
        ("invalid_request_error", 404, "not_found"),
        ("chosen-by-somebody", 400, "other"),
    ],
)
def test_what_a_refusal_is_called_is_of_a_closed_set(tmp_path: Path, kind: str, status: int, counted_as: str) -> None:
    figures = Figures(tmp_path, f"{os.getpid()}.5", nobody_hears)
    figures.refused(Refusal(status=status, kind=kind, code=None, message=""))
    found = totals.read(tmp_path, lambda *_: True).counters
    assert {key: number for key, number in found.items() if number} == {(series.REFUSED.name, counted_as): 1}


def test_a_request_is_in_flight_until_it_has_ended_and_no_status_is_a_series_of_its_own(tmp_path: Path) -> None:
    figures = Figures(tmp_path, "11.5", nobody_hears)
    for outcome, status in (("answered", 200), ("failed", 503), ("left", 0), ("failed", 999)):
        figures.let_in()
        figures.ended(outcome, status)  # type: ignore[arg-type]
    figures.let_in()
    found = totals.read(tmp_path, alive)
    assert found.gauges[IN_FLIGHT] == 1
    assert {key[1:]: number for key, number in found.counters.items() if number} == {
        ("answered", "2xx"): 1,
        ("failed", "5xx"): 1,
        ("left", "none"): 1,
        ("failed", "none"): 1,
    }
    assert json.loads(json.dumps(sorted(found.counters)))  # names and values are plain text
