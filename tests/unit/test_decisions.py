"""docs/decisions/ has a list, which names all of them as they name themselves; and pages link to what is there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DECISIONS = ROOT / "docs" / "decisions"
PAGES = sorted([ROOT / "README.md", ROOT / "CHANGELOG.md", *ROOT.glob("docs/**/*.md"), *ROOT.glob("runbooks/*.md")])
_LINK = re.compile(r"\]\(([^()#\s]+)(?:#[^()\s]*)?\)")


def test_the_list_names_every_decision_by_its_title() -> None:
    listed = [line for line in (DECISIONS / "README.md").read_text().splitlines() if line.startswith("- ")]
    there = sorted(DECISIONS.glob("0*.md"))
    assert listed == [f"- [{page.read_text().splitlines()[0].removeprefix('# ')}]({page.name})" for page in there]


def test_a_title_begins_with_its_number() -> None:
    for page in DECISIONS.glob("0*.md"):
        assert page.read_text().startswith(f"# {int(page.name[:4])}. "), page.name


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_its_links_lead_to_files(page: Path) -> None:
    named = [link for link in _LINK.findall(page.read_text()) if "://" not in link]
    assert [link for link in named if not (page.parent / link).exists()] == []
