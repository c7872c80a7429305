"""Requests and answers of two versions understand each other: ``messages/`` holds what each version sent."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from aiops.gateway.shared import messages
from aiops.gateway.shared.messages import Message

RECORDED = Path(__file__).parent / "messages"


def recorded(*kinds: str) -> list[Any]:
    """Each recorded line of these kinds, of all when none is named."""
    return [
        pytest.param(entry["kind"], entry["message"], id=f"{path.stem}: {line[:70]}")
        for path in sorted(RECORDED.glob("*.jsonl"))
        for line in path.read_text().splitlines()
        if (entry := json.loads(line)) and (not kinds or entry["kind"] in kinds)
    ]


def read(kind: str, data: Mapping[str, Any]) -> Message:
    known: type[Message] = messages.Message
    return messages.request(data) if kind == "request" else getattr(messages, kind, known).of(data)


def within(old: Any, new: Any) -> bool:
    """Whether everything ``old`` says is said by ``new`` too, under the same name."""
    if isinstance(old, dict):
        return isinstance(new, dict) and all(key in new and within(value, new[key]) for key, value in old.items())
    if isinstance(old, list):
        return isinstance(new, list) and len(old) == len(new) and all(map(within, old, new))
    return bool(old == new)


@pytest.mark.parametrize(("kind", "message"), recorded())
def test_an_older_version_finds_what_it_looks_for_where_it_was(kind: str, message: dict[str, Any]) -> None:
    said = read(kind, message).plain()
    assert within(message, said)
    assert read(kind, json.loads(json.dumps(said))) == read(kind, message), "there and back"


@pytest.mark.parametrize(("kind", "message"), recorded())
def test_what_a_newer_version_says_beside_is_ignored(kind: str, message: dict[str, Any]) -> None:
    def with_more(value: Any) -> Any:
        if isinstance(value, dict):
            return {"from_the_future": [1], **{key: with_more(item) for key, item in value.items()}}
        return [with_more(item) for item in value] if isinstance(value, list) else value

    assert read(kind, with_more(message)) == read(kind, message)


@pytest.mark.parametrize(("kind", "message"), recorded("Answer", "Refusal", "Progress", "Staged", "Retried", "Status"))
def test_what_an_older_version_does_not_say_has_a_default(kind: str, message: dict[str, Any]) -> None:
    assert read(kind, {}) == getattr(messages, kind)()


def test_a_master_from_before_there_were_runtimes_is_told_from_one_that_runs_in_the_installation() -> None:
    assert not messages.Status.of({"ok": True, "state": "serving", "generation": 3}).tells_runtime
    assert messages.Status.of({"ok": True, "runtime": None, "python": "/usr/bin/python3"}).tells_runtime


@pytest.mark.parametrize(
    ("data", "why"),
    [
        ({}, "unknown command None"),
        ({"command": "explode"}, "unknown command 'explode'"),
        ({"command": "stage"}, "`directory` is missing"),
        ({"command": "promote", "confirm_within": "soon"}, "could not convert"),
        ({"command": "promote", "confirm_within": None}, "None is no float"),
    ],
)
def test_a_request_that_is_not_whole_is_refused_with_the_reason(data: dict[str, Any], why: str) -> None:
    with pytest.raises(ValueError, match=why):
        messages.request(data)


def test_a_limit_that_nobody_set_is_not_sent() -> None:
    """A master of an older version takes one that is there for a number."""
    assert messages.Stop().plain() == {"command": "stop"}


def test_every_request_is_recorded_and_every_answer() -> None:
    requests = {message["command"] for kind, message in (param.values for param in recorded("request"))}
    answers = {kind for kind, _ in (param.values for param in recorded())} - {"request"}
    assert requests == set(messages.COMMANDS)
    assert answers == {"Answer", "Refusal", "Progress", "Staged", "Phase", "Retried", "Status"}
