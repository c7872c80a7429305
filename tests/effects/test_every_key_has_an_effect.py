"""No inert configuration: every key an operator can write has a case that changes it and sees something else.

A new key without a case fails here. What a case may say is in ``case``; the keys come from the shapes themselves.
"""

from __future__ import annotations

import functools
import subprocess
import sys
from pathlib import Path

import pytest

from aiops.errors import InvalidState
from aiops.spec.sources import FILES, KEYS, MAPPINGS, PORTS, PROVIDERS, SETTINGS, Sources
from tests.effects import mappings, marks, ports, providers, settings, tenancy
from tests.effects.case import (
    Case,
    Documents,
    Expects,
    Explains,
    Flips,
    Off,
    Refuses,
    Release,
    ShownBy,
    Stores,
    as_text,
    documentation,
    expected,
    explained,
    planned,
    released,
    without_documentation,
)
from tests.effects.shapes import every_key, unreachable_shapes

ROOT = Path(__file__).resolve().parents[2]
BASE: Sources = {
    path.name: path.read_bytes() for path in sorted((ROOT / "tests/effects/base").iterdir()) if path.name in FILES
}
CASES: dict[str, Case] = {
    **{f"{SETTINGS}: {key}": case for key, case in settings.CASES.items()},
    **{f"{PROVIDERS}: providers.*.{key}": case for key, case in providers.CASES.items()},
    **{f"{PORTS}: *.{key}": case for key, case in ports.CASES.items()},
    **{f"{KEYS}: {key}": case for key, case in tenancy.CASES.items()},
    **{f"{MAPPINGS}: {key}": case for key, case in mappings.CASES.items()},
}


@functools.cache
def base() -> Release:
    return released(BASE)


@functools.cache
def base_explained(name: str, tokens: int) -> str:
    return explained(BASE, name, tokens)


def changed(key: str, old: str, new: str) -> Sources:
    """The base with that one change in the file of the key."""
    file = key.partition(":")[0]
    text = BASE[file].decode()
    assert text.count(old) == 1, f"{old!r} is {text.count(old)} times in {file}"
    return {**BASE, file: text.replace(old, new).encode()}


def test_the_walk_leads_everywhere() -> None:
    assert not unreachable_shapes()


def test_no_case_is_for_a_key_that_does_not_exist() -> None:
    surplus = set(CASES) - set(every_key())
    assert not surplus


@pytest.mark.parametrize("key", every_key())
def test_every_key_has_an_effect(key: str) -> None:
    assert key in CASES, f"`{key}` has no case: say in tests/effects what changes when it does"
    match CASES[key]:
        case Flips(old, new, shows, live):
            after = released(changed(key, old, new))
            assert without_documentation(after).count(shows) > without_documentation(base()).count(shows)
            assert not live or key in shown(), f"no test has the mark `shows({key!r})`"
        case Explains(name, old, new, shows, tokens):
            assert shows in explained(changed(key, old, new), name, tokens)
            assert shows not in base_explained(name, tokens)
        case Documents(old, new, shows):
            after = released(changed(key, old, new))
            assert shows in as_text(documentation(after))
            assert shows not in as_text(documentation(base()))
            assert without_documentation(after) == without_documentation(base()), "it does more than document"
        case Refuses(old, new, says):
            with pytest.raises(InvalidState) as refused:
                released(changed(key, old, new))
            assert says in str(refused.value)
        case Expects(old, new, shows):
            assert shows in expected(changed(key, old, new))
            assert shows not in expected(BASE)
        case Stores(old, new, column):
            assert tenancy.stored(BASE, changed(key, old, new)) == {column}
        case ShownBy():
            assert key in shown(), f"no test has the mark `shows({key!r})`"
        case Off():
            pass


IN_A_RELEASE = [key for key, case in CASES.items() if isinstance(case, Flips | Explains | Documents)]


@pytest.mark.parametrize("key", IN_A_RELEASE)
def test_the_plan_says_what_becomes_different(key: str) -> None:
    case = CASES[key]
    assert isinstance(case, Flips | Explains | Documents)
    changes = planned(BASE, changed(key, case.old, case.new))
    assert changes
    assert [change.name for change in changes if change.sign == "~" and not change.detail] == []


def test_what_can_only_be_off_is_refused_when_it_is_on() -> None:
    off = {key.rpartition(".")[0] for key, case in CASES.items() if isinstance(case, Off)}
    assert {key for key in off if not isinstance(CASES[f"{key}.enabled"], Refuses)} == set()


def test_what_only_the_gateway_can_show_is_shown_on_a_real_one() -> None:
    alone = [
        key for key, case in CASES.items() if key.startswith(SETTINGS) and isinstance(case, Flips) and not case.live
    ]
    assert not alone, "a number in a file is no effect: name the test that sees it"


def test_no_test_is_marked_for_a_key_without_such_a_case() -> None:
    bound = {key for key, case in CASES.items() if isinstance(case, ShownBy) or (isinstance(case, Flips) and case.live)}
    assert set(shown()) == bound


@functools.cache
def shown() -> frozenset[str]:
    """The keys that collected tests are marked for. Only files with such a mark are collected: all takes a minute."""
    files = [path for path in sorted((ROOT / "tests").rglob("test_*.py")) if "mark.shows(" in path.read_text()]
    files = [path for path in files if path != Path(__file__)]
    command = [sys.executable, "-m", "pytest", "--collect-only", "-qq", "-p", "tests.effects.marks", *map(str, files)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=200)
    assert done.returncode == 0, done.stdout + done.stderr
    lines = [line.removeprefix(marks.LINE) for line in done.stdout.splitlines() if line.startswith(marks.LINE)]
    return frozenset(lines)
