"""`aiops uninstall`: what aiops made goes, what people wrote stays and is named, and nobody is cut off."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from aiops.demo.child import DemoProvider
from tests.e2e.test_edit import Terminal
from tests.kit.gateway import Gateway
from tests.kit.waiting import until

WRITTEN = {"config/aiops.yaml", "config/providers.yaml", "config/model-mappings.yaml", "secrets/master_key"}


@pytest.fixture
def served(one: DemoProvider) -> Iterator[Gateway]:
    """A gateway that runs, with two generations."""
    instance = Gateway()
    try:
        instance.init()
        instance.up()
        instance.add("one", one.url, "alpha")
        yield instance
    finally:
        one.control(mode="ok", delay=0, tokens=8, chunk_delay=0, paths=[])
        instance.destroy()


def there(instance: Gateway) -> set[str]:
    return {str(path.relative_to(instance.home)) for path in instance.home.rglob("*") if not path.is_dir()}


def test_what_aiops_made_goes_and_what_was_written_stays(served: Gateway) -> None:
    before = {name: (served.home / name).read_bytes() for name in WRITTEN}
    done = served.say("uninstall")
    assert done.code == 0, done.err
    assert served.pids() == []
    assert there(served) == WRITTEN
    assert {path.name for path in served.home.iterdir()} == {"config", "secrets"}
    assert {name: (served.home / name).read_bytes() for name in WRITTEN} == before
    assert done.out.splitlines()[0] == "what aiops made is taken away"
    assert f"left: {served.home}/config: aiops.yaml, model-mappings.yaml, providers.yaml" in done.out
    assert f"left: {served.home}/secrets: master_key" in done.out
    assert "left: aiops itself: " in done.out
    assert "- the gateway that runs" in done.err


def test_a_second_time_there_is_nothing_and_nothing_is_made(served: Gateway) -> None:
    served.must("uninstall")
    again = served.must("uninstall")
    assert (again["outcome"], again["removed"]) == ("unchanged", [])
    assert there(served) == WRITTEN
    assert {path.name for path in served.home.iterdir()} == {"config", "secrets"}
    assert served.say("uninstall").out.startswith(
        f"nothing of aiops is in {served.home}/config and {served.home}/state\n"
    )


def test_and_what_stayed_serves_again(served: Gateway) -> None:
    served.must("uninstall")
    served.up()
    assert served.models() == ["alpha"]
    assert served.generation == 1


def test_requests_finish_before_anything_goes(served: Gateway, one: DemoProvider) -> None:
    one.control(tokens=20, chunk_delay=0.1)
    one.forget_requests()
    asking = subprocess.Popen(
        served.argv("ask", "alpha", "hello", "--json"), env=served.env, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    until(lambda: any("hello" in str(each["body"]) for each in one.requests()), 20, "the question to arrive")
    removed = served.must("uninstall")["removed"]
    out, err = asking.communicate(timeout=30)
    assert asking.returncode == 0, out + err
    assert removed[0].startswith("the gateway that runs")
    assert served.pids() == []


def test_purge_takes_all_of_it(served: Gateway) -> None:
    done = served.must("uninstall", "--purge", "--drain", 0)
    assert not served.home.exists()
    assert not any("config" in each for each in done["left"])
    again = served.must("uninstall", "--purge")
    assert again["outcome"] == "unchanged"
    assert not served.home.exists()


def test_purge_may_come_later(served: Gateway) -> None:
    served.must("uninstall")
    served.must("uninstall", "--purge")
    assert not served.home.exists()


def test_what_aiops_did_not_make_stays_and_is_named(served: Gateway) -> None:
    strange = [served.home / name for name in ("state/notes.txt", "logs/mine.log", "run/thing", "config/other.txt")]
    for path in strange:
        path.write_text("mine")
    left = served.must("uninstall", "--purge")["left"]
    assert there(served) == {str(path.relative_to(served.home)) for path in strange}
    for path in strange:
        assert f"{path}: not made by aiops" in left


def test_somebodys_work_in_the_rendered_file_stays(served: Gateway) -> None:
    generated = served.source("litellm-unified.yaml")
    generated.write_text(generated.read_text() + "# mine\n")
    left = served.must("uninstall")["left"]
    assert there(served) == WRITTEN | {"config/litellm-unified.yaml"}
    assert f"{served.home}/config: aiops.yaml, litellm-unified.yaml, model-mappings.yaml, providers.yaml" in left


def test_a_dry_run_takes_nothing(served: Gateway) -> None:
    before = served.snapshot()
    shown = served.say("uninstall", "--dry-run")
    assert "- generations and state in " in shown.err
    assert served.snapshot() == before
    assert served.models() == ["alpha"]


def test_at_a_terminal_it_asks_first(served: Gateway) -> None:
    before = served.snapshot()
    terminal = Terminal(served.argv("uninstall", "--purge"), served.env)
    terminal.answer("Do this? [y/N] ", "n")
    assert terminal.end() == 4
    assert "not agreed to; nothing was changed" in terminal.said
    assert served.snapshot() == before
    assert served.models() == ["alpha"]


def test_broken_files_are_no_reason_to_stay(served: Gateway) -> None:
    served.source("providers.yaml").write_text("providers: [")
    left = served.must("uninstall")["left"]
    assert served.pids() == []
    assert there(served) == WRITTEN
    assert any(each.startswith("units of providers, if there are any") for each in left)


def test_an_instance_that_was_never_there_has_nothing(tmp_path: Path) -> None:
    instance = Gateway(tmp_path / "nothing")
    done = instance.must("uninstall")
    assert (done["outcome"], done["removed"]) == ("unchanged", [])
    assert not instance.home.exists()
