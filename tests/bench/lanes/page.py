"""The tables of docs/performance.md out of a run: ``python -m tests.bench.lanes.page .cache/bench.json``."""

from __future__ import annotations

import json
import sys
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

BEGIN = "lanes: "


def main(report: Path) -> None:
    read = json.loads(report.read_text())
    print("\n".join(tables(read["figures"])))


def tables(figures: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """One of the contenders, whose figures end in their names; one of what is promised; one of the rest."""
    ours = [figure for figure in figures if figure["name"].startswith(BEGIN)]
    contenders = [figure["name"].removeprefix(f"{BEGIN}requests, ") for figure in ours if figure["unit"] == "req/s"]
    measured: dict[str, dict[str, str]] = defaultdict(dict)
    rest: list[Mapping[str, Any]] = []
    for figure in ours:
        what = figure["name"].removeprefix(BEGIN)
        whose = next((name for name in contenders if what.endswith(f", {name}")), None)
        if whose is None:
            rest.append(figure)
        else:
            measured[f"{what.removesuffix(f', {whose}')}, {figure['unit']}"][whose] = shown(figure)
    yield row("", *contenders)
    yield row(*["---"] * (len(contenders) + 1))
    for what, values in measured.items():
        yield row(what, *(values.get(name, "") for name in contenders))
    yield ""
    yield row("figure", "value", "promised", "")
    yield row(*["---"] * 4)
    for figure in rest:
        limit, sign = figure["limit"], "≥" if figure["at_least"] else "≤"
        promised = "" if limit is None else f"{sign} {limit:g} {figure['unit']}".rstrip()
        kept = "" if limit is None else "kept" if figure["ok"] else "**missed**"
        yield row(figure["name"].removeprefix(BEGIN), f"{shown(figure)} {figure['unit']}", promised, kept)


def shown(figure: Mapping[str, Any]) -> str:
    value = float(figure["value"])
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def row(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"


if __name__ == "__main__":
    main(Path(sys.argv[1]))
