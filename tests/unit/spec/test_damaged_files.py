"""Whatever stands in the files, the answer is a desired state or a list of problems: never a crash."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from aiops.errors import AiopsError, InvalidState
from aiops.render.release import render
from aiops.spec.edit import add_model, add_provider, remove_model, remove_provider, set_status, set_value
from aiops.spec.load import load
from aiops.spec.resolve import resolve
from aiops.spec.sources import FILES

CASES = sorted((Path(__file__).resolve().parents[2] / "cases").glob("*/*"))
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


def damaged(choose: random.Random) -> dict[str, bytes]:
    case = choose.choice(CASES)
    sources = {file: (case / file).read_bytes() for file in FILES if (case / file).exists()}
    for _ in range(choose.randrange(4) if sources else 0):
        file = choose.choice(sorted(sources))
        content = sources[file]
        start = choose.randrange(len(content) + 1)
        end = min(len(content), start + choose.choice([0, 0, 1, 3, 10]))
        piece = choose.choice([*PIECES, content[start : start + 20]])
        sources[file] = content[:start] + piece + content[end:]
    return sources


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
