"""What is open on the port, held to the routes that the installed LiteLLM has."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from aiops.gateway.worker.front.doors import ALWAYS, OPENED, WITHOUT_A_KEY, Doors, opens
from aiops.spec.shapes.exposed import GROUPS, OPENS
from tests.e2e.litellm_routes import an_example, every_route

ROOT = Path(__file__).resolve().parents[3]
DECIDED = ROOT / "tests" / "cases" / "litellm-routes.txt"
"""``open|health|closed|GROUP METHOD PATH``: what was decided about each route of LiteLLM."""


def decided() -> list[str]:
    closed, doors = "closed", Doors()
    lines = []
    for method, path in every_route():
        example = an_example(path)
        state = "open" if doors.usual(method, example) else "health" if doors.public(method, example) else None
        lines.append(f"{state or opens(method, example) or closed} {method} {path}")
    return sorted(lines)


def test_what_is_open_of_each_route_of_litellm_was_decided() -> None:
    """A release with another route makes this red: decide in ``front/doors.py`` whether it is open, then write it down
    with ``AIOPS_UPDATE_CASES=1`` and read the difference."""
    if os.environ.get("AIOPS_UPDATE_CASES"):
        DECIDED.write_text("\n".join(decided()) + "\n")
    assert decided() == DECIDED.read_text().splitlines()


def test_litellm_has_every_door() -> None:
    there = set(every_route())
    assert not [door for door in (*ALWAYS, *WITHOUT_A_KEY) if tuple(door) not in there]


def test_every_group_says_what_it_opens_and_the_page_lists_it() -> None:
    page, example = (ROOT / "docs" / "http.md").read_text(), (ROOT / "config" / "aiops.yaml").read_text()
    assert set(OPENED) == set(GROUPS) == set(OPENS)
    assert not [name for name in GROUPS if f"| `{name}` |" not in page or f"{name}:" not in example]


@pytest.mark.parametrize("group", GROUPS)
def test_a_group_opens_its_own_and_nothing_that_another_is_for(group: str) -> None:
    doors = Doors([group])
    theirs = list(OPENED[group])  # type: ignore[index]
    assert all(doors.opened(door.method, an_example(door.path)) for door in theirs)
    assert not Doors().opened(theirs[0].method, an_example(theirs[0].path))
    assert not any(doors.opened("POST", path) for path in ("/key/generate", "/config/update", "/team/new", "/v1/evals"))


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/v1/chat/completions"),
        ("POST", "/v1/chat/completions/x"),
        ("POST", "/V1/chat/completions"),
        ("POST", "/v1//chat/completions"),
        ("GET", "/v1/models/a/b"),
        ("GET", "/v1/models/a\n/key/info"),
        ("POST", "/v1/responses/x/y/cancel"),
        ("WEBSOCKET", "/v1/chat/completions"),
        ("GET", "/engines/x/chat/completions"),
    ],
)
def test_only_the_very_path_is_open(method: str, path: str) -> None:
    assert not Doors().usual(method, path)
