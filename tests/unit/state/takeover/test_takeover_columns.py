"""Every table and column that LiteLLM has is decided about by somebody, in ``takeover/litellm.py``."""

from __future__ import annotations

import ast
from dataclasses import fields
from importlib.util import find_spec
from pathlib import Path
from typing import Any, cast

import pytest

from aiops.state.takeover import litellm, words
from tests.kit.prisma import litellm_schema, models

MODELS = models(litellm_schema())
READ = (*litellm.NEEDED, *litellm.LATER)


def read_columns(kind: type) -> set[str]:
    return {each.name for each in fields(cast(Any, kind))}


@pytest.mark.parametrize("kind", READ, ids=lambda kind: kind.TABLE)
def test_a_column_nobody_decided_about_is_found(kind: type) -> None:
    table = cast(Any, kind).TABLE
    there = {each.name for each in MODELS[table].columns}
    undecided = there - read_columns(kind) - litellm.LEFT[table].keys()
    assert not undecided, f"{table}: columns that are neither read nor left with a reason"


@pytest.mark.parametrize("kind", READ, ids=lambda kind: kind.TABLE)
def test_no_column_is_both_read_and_left_or_not_there_at_all(kind: type) -> None:
    table = cast(Any, kind).TABLE
    left = litellm.LEFT[table].keys()
    assert not left & read_columns(kind)
    assert left | read_columns(kind) <= {each.name for each in MODELS[table].columns}


def test_a_table_nobody_decided_about_is_found() -> None:
    unread = {table for tables in litellm.UNREAD.values() for table in tables}
    decided = {kind.TABLE for kind in READ} | set(litellm.COUNTED) | unread
    assert MODELS.keys() - decided == set(), "tables that are neither read nor left with a reason"
    assert decided - MODELS.keys() == set(), "tables that this LiteLLM does not have"


def test_metadata_that_litellm_acts_on_is_decided_about() -> None:
    found = find_spec("litellm")
    assert found is not None and found.origin is not None
    source = ast.parse((Path(found.origin).parent / "proxy" / "_types.py").read_text())
    lists = {
        target.id: ast.literal_eval(cast(ast.expr, node.value))
        for node in source.body
        if isinstance(node, ast.AnnAssign)
        and isinstance(target := node.target, ast.Name)
        and target.id.startswith("LiteLLM_ManagementEndpoint_MetadataFields")
    }
    assert len(lists) == 2
    assert {name for names in lists.values() for name in names} - words.METADATA.keys() == set()


def test_older_columns_alone_are_required() -> None:
    """What some version brought has a default: `total_spend`, `tpd_limit`, `key_type`, `budget_limits`, …"""
    recent = {"tpd_limit", "key_type", "budget_limits", "router_settings", "policies", "access_group_ids", "agent_id"}
    needed = {each.name for each in fields(litellm.Key) if each.default is each.default_factory}
    assert needed and not needed & recent
