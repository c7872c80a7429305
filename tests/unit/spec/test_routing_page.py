"""docs/routing.md shows what works, and says something about every key, strategy and fact."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from aiops.spec.choosing.conditions import NAMES
from aiops.spec.choosing.rules import ALIASES, Strategy
from aiops.spec.load.load import load
from aiops.spec.routes.notes import notes
from aiops.spec.routes.resolve import resolve
from aiops.spec.shapes.mappings import DEFAULT_ABOVE
from tests.unit.spec.test_config_examples import MAPPING_SHAPES

PAGE = (Path(__file__).resolve().parents[3] / "docs" / "routing.md").read_text()
PROVIDERS = re.findall(r"```yaml providers\n(.*?)```", PAGE, re.DOTALL)[0]
EXAMPLES = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)


@pytest.mark.parametrize("example", EXAMPLES, ids=[text.split(":")[0] for text in EXAMPLES])
def test_every_example_is_valid_by_itself_and_does_something(example: str) -> None:
    def rules(mappings: str) -> tuple[str, bytes]:
        files = {"aiops.yaml": "gateway: {port: 4000}", "providers.yaml": PROVIDERS, "model-mappings.yaml": mappings}
        state = load({file: text.encode() for file, text in files.items() if text}, {})
        table = resolve(state)
        notes(state, table)
        return table.to_json(), table.rules.to_json()

    assert rules(example) != rules("")


def test_every_key_strategy_and_fact_is_explained() -> None:
    keys = {key for kind in MAPPING_SHAPES for key in kind.model_fields}  # type: ignore[attr-defined]
    words = keys | {*Strategy, *ALIASES, *NAMES}
    assert [word for word in sorted(words) if not re.search(rf"\b{re.escape(word)}\b", PAGE)] == []


def test_the_limits_of_the_levels_are_the_ones_in_the_code() -> None:
    for level, tokens in DEFAULT_ABOVE.items():
        assert not tokens or re.search(rf"`{level}` above {tokens}\b", PAGE), level
