"""Who serves a generation: light workers at once, or full ones when LiteLLM is there."""

from __future__ import annotations

from pathlib import Path

import pytest

from aiops.gateway.master import kind
from aiops.gateway.master.group import Group
from aiops.gateway.worker import settings
from aiops.gateway.worker.listed import Listed
from aiops.gateway.worker.settings import Settings
from aiops.spec.lanes.table import Direct, Lanes

DIRECT = {"a": Direct(deployment="a", provider="one", url="http://127.0.0.1:1/v1")}
WHY_NOT = {"b": "Ollama is asked by LiteLLM"}
NO_LANES, BY_LITELLM = None, Lanes(mode="litellm", why_not={"a": "the operator says so"})
ALL, SOME, NONE, EMPTY = Lanes(direct=DIRECT), Lanes(direct=DIRECT, why_not=WHY_NOT), Lanes(why_not=WHY_NOT), Lanes()


def loaded(lanes: Lanes | None) -> Settings:
    return Settings(
        generation=1,
        directory=Path("000001"),
        host="127.0.0.1",
        port=1,
        workers=1,
        drain_seconds=1.0,
        models=1,
        lanes=lanes,
    )


@pytest.mark.parametrize(
    ("lanes", "light", "needs"),
    [
        (ALL, True, False),
        (SOME, True, True),
        (EMPTY, True, False),
        (NONE, False, True),
        (BY_LITELLM, False, True),
        (NO_LANES, False, True),
    ],
    ids=["all direct", "some", "no model at all", "none", "switched off", "of an older aiops"],
)
def test_what_light_workers_can_serve_and_what_needs_litellm(lanes: Lanes | None, light: bool, needs: bool) -> None:
    assert kind.can_be_light(loaded(lanes)) is light
    assert kind.needs_litellm(loaded(lanes)) is needs


@pytest.mark.parametrize(
    ("lanes", "others", "first"),
    [(ALL, (), False), (SOME, (), False), (NONE, (), True), (ALL, (11,), False), (SOME, (11,), True)],
    ids=["direct", "some", "none direct", "beside workers without a master", "where these may have LiteLLM"],
)
def test_litellm_is_imported_first_where_nobody_loses_by_it(
    lanes: Lanes, others: tuple[int, ...], first: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kind.runtime, "is_loaded", lambda: False)
    monkeypatch.setattr(settings, "load", lambda directory: loaded(lanes))
    assert kind.is_loaded_first(Path("000001"), (), others) is first


def test_a_master_that_has_nothing_to_serve_or_cannot_read_it_imports_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kind.runtime, "is_loaded", lambda: False)
    assert not kind.is_loaded_first(None, (), ())
    assert not kind.is_loaded_first(tmp_path / "000001", (), ())


@pytest.mark.parametrize("light", [True, False])
def test_a_program_that_was_given_workers_needs_litellm_if_they_have_it(
    light: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kind.runtime, "is_loaded", lambda: False)
    given = Group(loaded(ALL), {}, None, models=Listed((), ()) if light else None)  # type: ignore[arg-type]
    assert kind.is_loaded_first(Path("000001"), (given,), ()) is not light
