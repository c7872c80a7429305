"""A module that is put off comes when it is asked for; one that is used otherwise than expected is not put off."""

from __future__ import annotations

import asyncio
import itertools
import sys
from collections.abc import Callable, Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("fastapi", reason="needs FastAPI")

import httpx

from aiops.gateway.worker import put_off

NUMBERS = itertools.count()
KEYS = """
from fastapi import APIRouter
router = APIRouter(prefix="/key")
@router.get("/info")
def info(): return {"from": "keys"}
@router.get("/{name}")
def named(name: str): return {"from": "keys", "name": name}
def in_seconds(text): return int(text) * 60
LIMIT = 7
"""
PROXY = """
from fastapi import FastAPI, APIRouter
from {package}.keys import router as keys, in_seconds
{more}
chat = APIRouter()
@chat.get("/chat")
def ask(): return {{"from": "chat", "seconds": in_seconds("2")}}
late = APIRouter()
@late.get("/key/last")
def last(): return {{"from": "late"}}
@late.get("/late")
def only(): return {{"from": "late"}}
app = FastAPI()
app.include_router(chat)
{mount}
app.include_router(late)
"""

Load = Callable[..., Any]


@pytest.fixture
def load(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Load]:
    """Import a small proxy; `more` is a line of its imports, `mount` the one that mounts the router that is put off."""
    package = f"proxy_{next(NUMBERS)}"
    finders = list(sys.meta_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    for name, fresh in (("_finder", None), ("notes", []), ("_harmless", set())):
        monkeypatch.setattr(put_off, name, fresh)
    monkeypatch.delenv(put_off.WHOLE_IMPORT, raising=False)

    def made(
        more: str = "", mount: str = "app.include_router(keys)", modules: Mapping[str, Collection[str]] | None = None
    ) -> Any:
        directory = tmp_path / package
        directory.mkdir()
        (directory / "__init__.py").touch()
        (directory / "keys.py").write_text(KEYS)
        (directory / "proxy.py").write_text(
            PROXY.format(package=package, more=more.format(package=package), mount=mount)
        )
        listed = {"keys": ("in_seconds",)} if modules is None else modules
        put_off.import_proxy({f"{package}.{name}": names for name, names in listed.items()}, f"{package}.proxy")
        return sys.modules[f"{package}.proxy"].app

    yield made
    sys.meta_path[:] = finders
    for name in [name for name in sys.modules if name.split(".")[0] == package]:
        del sys.modules[name]


def get(app: Any, path: str) -> tuple[int, Any]:
    async def ask() -> tuple[int, Any]:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://self") as client:
            answer = await client.get(path)
            return answer.status_code, answer.json()

    return asyncio.run(ask())


def waiting() -> list[str]:
    return [name.rpartition(".")[2] for name in put_off.waiting()]


def test_what_is_put_off_comes_when_a_request_gets_as_far(load: Load) -> None:
    app = load()
    assert waiting() == ["keys"]
    assert get(app, "/key/info") == (200, {"from": "keys"})
    assert (waiting(), put_off.notes) == ([], [])


def test_its_routes_are_asked_in_their_place(load: Load) -> None:
    assert get(load(), "/key/last") == (200, {"from": "keys", "name": "last"})


def test_a_path_behind_it_and_one_that_is_nowhere_are_answered_as_ever(load: Load) -> None:
    app = load()
    assert get(app, "/late") == (200, {"from": "late"})
    assert get(app, "/nowhere") == (404, {"detail": "Not Found"})


def test_the_list_of_paths_is_whole_before_anything_was_asked(load: Load) -> None:
    assert {"/chat", "/key/info", "/key/{name}", "/key/last", "/late"} == set(get(load(), "/openapi.json")[1]["paths"])


def test_a_function_that_was_taken_out_of_it_is_called_in_the_real_one(load: Load) -> None:
    assert get(load(), "/chat") == (200, {"from": "chat", "seconds": 120})


def test_a_module_is_the_real_one_to_whoever_imports_it_later(load: Load) -> None:
    load()
    package = put_off.waiting()[0].rpartition(".")[0]
    scope: dict[str, Any] = {}
    exec(f"from {package}.keys import LIMIT, router", scope)
    assert (scope["LIMIT"], len(scope["router"].routes), waiting()) == (7, 2, [])


def test_a_module_that_is_looked_into_at_the_import_is_not_put_off_and_that_is_said(load: Load) -> None:
    app = load(more="from {package}.keys import LIMIT")
    assert waiting() == []
    [note] = put_off.notes
    assert note.endswith("keys was not put off: LiteLLM takes LIMIT out of it")
    assert get(app, "/key/info") == (200, {"from": "keys"})


def test_a_module_that_is_not_there_is_said_and_nothing_else(load: Load) -> None:
    app = load(modules={"keys": ("in_seconds",), "gone": ()})
    [note] = put_off.notes
    assert note.startswith("not in this LiteLLM, or not imported at its start: ")
    assert note.endswith(".gone")
    assert waiting() == ["keys"]
    assert get(app, "/key/info") == (200, {"from": "keys"})


@pytest.mark.parametrize(
    ("mount", "why"),
    [
        ("app.router.routes.extend(keys.routes)", "is not mounted as it used to be"),
        ("assert keys.routes; app.include_router(keys)", "AssertionError"),
    ],
)
def test_a_router_that_is_used_otherwise_makes_the_import_whole(load: Load, mount: str, why: str) -> None:
    app = load(mount=mount)
    [note] = put_off.notes
    assert note.startswith("nothing of LiteLLM is put off: ")
    assert why in note
    assert waiting() == []
    assert "Finder" not in {type(finder).__name__ for finder in sys.meta_path}
    assert get(app, "/key/info") == (200, {"from": "keys"})


def test_the_operator_can_have_everything_imported(load: Load, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(put_off.WHOLE_IMPORT, "1")
    app = load()
    assert (waiting(), len(put_off.notes)) == ([], 1)
    assert get(app, "/key/info") == (200, {"from": "keys"})


def test_a_fastapi_that_copies_routes_has_nothing_put_off(load: Load, monkeypatch: pytest.MonkeyPatch) -> None:
    from fastapi import APIRouter

    def copies(self: APIRouter, router: APIRouter, **_: object) -> None:
        self.routes.extend(router.routes)

    monkeypatch.setattr(APIRouter, "include_router", copies)
    app = load()
    assert waiting() == []
    assert "copies the routes" in put_off.notes[0]
    assert get(app, "/key/info") == (200, {"from": "keys"})


def test_a_request_that_does_not_get_as_far_loads_nothing_and_another_loads_in_a_thread(load: Load) -> None:
    app = load()

    def ready_for(path: str) -> list[str]:
        scope = {"type": "http", "path": path, "method": "GET", "headers": [], "root_path": "", "query_string": b""}
        asyncio.run(put_off.make_ready_for(app, scope))
        return waiting()

    assert ready_for("/chat") == ["keys"]
    assert ready_for("/chat") == ["keys"]
    assert put_off._harmless == {("GET", "/chat")}
    assert ready_for("/late") == []


def test_what_a_scout_needed_is_imported_by_name(load: Load) -> None:
    load()
    put_off.load("not.one.of.them")
    assert waiting() == ["keys"]
    put_off.load(put_off.waiting()[0])
    assert waiting() == []


def test_one_whose_import_fails_is_tried_again(load: Load, tmp_path: Path) -> None:
    app = load()
    [file] = tmp_path.glob("*/keys.py")
    file.write_text("raise OSError(24, 'Too many open files')")
    with pytest.raises(OSError, match="Too many"):
        get(app, "/key/info")
    file.write_text(KEYS + "# another length, so that no bytecode of the same second is taken for it")
    assert get(app, "/key/info") == (200, {"from": "keys"})
