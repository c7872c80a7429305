"""Whatever stands in the files, the answer is a desired state or a list of problems: never a crash."""

from __future__ import annotations

import contextlib
import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from aiops.errors import AiopsError, InvalidState
from aiops.render.release import render
from aiops.render.routes import read_routes
from aiops.spec.edit.edit import add_model, add_provider, remove_model, remove_provider, set_status, set_value
from aiops.spec.load.load import load
from aiops.spec.routes.resolve import resolve
from aiops.spec.routes.summary import summarise
from aiops.spec.sources import FILES
from aiops.spec.yaml.yaml12 import parse

TESTS = Path(__file__).resolve().parents[2]
CASES = sorted(path.parent for path in (TESTS / "cases").glob("*/*/providers.yaml"))
VALID = [*(case for case in CASES if case.parent.name == "render"), TESTS / "effects" / "base"]
PIECES = [
    *(
        b"{",
        b"}",
        b"[",
        b"]",
        b":",
        b": ",
        b"\n",
        b"  ",
        b"- ",
        b"#",
        b" # ",
        b"*a",
        b"&a ",
        b"<<: ",
        b"? ",
        b",",
        b"!!x ",
    ),
    *(
        b"null",
        b"~",
        b"1",
        b"true",
        b"'",
        b'"',
        b"|\n",
        b">\n",
        b"\t",
        b"\xff",
        b"\0",
        b"\xc3\xa9",
        b"\xe2\x80\xa8",
        b"\xc2\x85",
    ),
    *(b"providers", b"models", b"chain", b"1e999", b".nan", b"${A}", b"http://[", b"9" * 30),
]


def sources_of(case: Path) -> dict[str, bytes]:
    return {file: (case / file).read_bytes() for file in FILES if (case / file).exists()}


def damaged(choose: random.Random) -> dict[str, bytes]:
    sources = sources_of(choose.choice(CASES))
    for _ in range(choose.randrange(4)):
        file = choose.choice(sorted(sources))
        content = sources[file]
        start = choose.randrange(len(content) + 1)
        end = min(len(content), start + choose.choice([0, 0, 1, 3, 10]))
        piece = choose.choice([*PIECES, content[start : start + 20]])
        sources[file] = content[:start] + piece + content[end:]
    return sources


def mixed_up(choose: random.Random) -> dict[str, bytes]:
    """Well-formed files in which values stand where others belong, or are gone."""
    sources = sources_of(choose.choice(VALID))
    for _ in range(choose.randrange(1, 3)):
        file = choose.choice(sorted(sources))
        data = json.loads(json.dumps(parse(file, sources[file]).data))
        spots = list(places(data))
        if not spots:
            continue
        (into, at), (other, of) = choose.choice(spots), choose.choice(spots)
        if choose.randrange(3):
            into[at] = choose.choice([json.loads(json.dumps(other[of])), None, 0, -1, "", "local", "disabled", [], {}])
        else:
            del into[at]
        sources[file] = json.dumps(data).encode()
    return sources


def places(data: Any) -> Iterator[tuple[Any, Any]]:
    """Everything in it, as what holds it and where."""
    for at in data if isinstance(data, dict) else range(len(data)) if isinstance(data, list) else ():
        yield data, at
        yield from places(data[at])


@pytest.mark.parametrize("seed", range(10))
def test_values_in_the_wrong_place_are_refused_or_understood(seed: int) -> None:
    choose = random.Random(seed)
    for _ in range(60):
        sources = mixed_up(choose)
        written = (parse("providers.yaml", sources["providers.yaml"]).data or {}).get("providers")
        for name in written if isinstance(written, dict) else ():
            with contextlib.suppress(AiopsError):  # proved or refused
                remove_provider(sources, name)
        try:
            state = load(sources, {})
        except InvalidState as error:
            assert error.problems
            continue
        table = resolve(state)
        routes = render(state, table, aiops_version="1")["routes.json"]
        assert read_routes(routes) == (table, summarise(state))


@pytest.mark.parametrize("seed", range(10))
def test_damaged_files_are_refused_or_understood(seed: int) -> None:
    choose = random.Random(seed)
    for _ in range(100):
        sources = damaged(choose)
        try:
            state = load(sources, {})
            render(state, resolve(state), aiops_version="1")
        except InvalidState as error:
            assert error.problems


@pytest.mark.parametrize("seed", range(10))
def test_an_edit_of_a_damaged_file_is_proved_or_refused(seed: int) -> None:
    choose = random.Random(seed)
    for _ in range(30):
        sources = damaged(choose)
        for act in (
            lambda s: add_provider(s, "new", type="vllm", base_url="http://q:1", models=["a", "b:b"], fallback="a"),
            lambda s: remove_provider(s, "local"),
            lambda s: set_status(s, "local", "disabled"),
            lambda s: add_model(s, "local", "zz"),
            lambda s: remove_model(s, "local", "small"),
            lambda s: set_value(s, "aiops.yaml", ("gateway", "port"), 4500),
            lambda s: set_value(s, "aiops.yaml", ("verify", "billable"), True),
        ):
            try:
                act(sources)
            except AiopsError as error:
                assert error.message
