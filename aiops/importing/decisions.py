"""What the new files cannot say yet: set aside as comments, so that the rest serves while the operator decides."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from aiops.errors import InvalidState, Problem
from aiops.importing.rewrite import Rewrite
from aiops.spec.load.load import load
from aiops.spec.sources import MAPPINGS, PORTS, PROVIDERS
from aiops.spec.yaml.yaml12 import Document, Path, parse

MARK = "decide:"
"""Begins the comment above everything that was set aside."""
_IN_PORTS = re.compile(r"ports\.yaml \(line (\d+)\)")
_ROUNDS = 20  # each set-aside may leave others without what they referred to
_KEYS_ALONE = frozenset(
    ("fallback", "rate_limit", "strategy", "routing_strategy", "options", "cost_per_1k_tokens", "max_parallel", "size")
)
"""Keys without which their entry still means something."""


@dataclass(frozen=True)
class Aside:
    """One entry that became a comment. ``value``: what stood there; ``path``: where, when it was set aside."""

    file: str
    path: Path
    value: Any
    problem: Problem

    @property
    def sentence(self) -> str:
        """Why, and what to do."""
        return self.problem.message + (f" ({self.problem.hint})" if self.problem.hint else "")


@dataclass
class Settled:
    """``problems``: what is left, when it could not be set aside."""

    sources: dict[str, bytes]
    asides: list[Aside] = field(default_factory=list)
    problems: tuple[Problem, ...] = ()


def settle(sources: Mapping[str, bytes], env: Mapping[str, str]) -> Settled:
    """Given new sources, set aside what is wrong with them until they load or nothing more can be set aside."""
    settled = Settled(dict(sources))
    for _ in range(_ROUNDS):
        try:
            load(settled.sources, env)
        except InvalidState as error:
            settled.problems = error.problems
            if not _round(settled, error.problems):
                break
        else:
            settled.problems = ()
            break
    return settled


def _round(settled: Settled, problems: tuple[Problem, ...]) -> bool:
    """Set aside once; False when nothing could be."""
    places: dict[str, dict[Path, Problem]] = {}
    files = (file for file in (MAPPINGS, PORTS, PROVIDERS) if file in settled.sources)
    documents = {file: parse(file, settled.sources[file]) for file in files}
    for file in documents:
        found = [problem for problem in map(_blamed, problems) if problem.file == file and problem.line]
        if found:
            by_line = _by_line(documents[file])
            for problem in found:
                unit = _unit(file, by_line.get(problem.line, ()), problem, documents[file].data)
                if unit:
                    places.setdefault(file, {}).setdefault(unit, problem)
    # Providers come last: without what was wrong elsewhere there may be nothing wrong with them.
    if len(places) > 1:
        places.pop(PROVIDERS, None)
    for file, units in places.items():
        rewrite = Rewrite(file, settled.sources[file])
        for path, problem in _outermost(units).items():
            aside = Aside(file, path, rewrite.get(path), problem)
            rewrite.set_aside(path, f"{MARK} {aside.sentence}")
            settled.asides.append(aside)
        settled.sources[file] = rewrite.finish()
    return bool(places)


def _blamed(problem: Problem) -> Problem:
    """A provider that the port registry contradicts serves; it is the registry that is set aside."""
    found = _IN_PORTS.search(problem.message) if problem.file == PROVIDERS else None
    return replace(problem, file=PORTS, line=int(found[1])) if found else problem


def _outermost(units: Mapping[Path, Problem]) -> dict[Path, Problem]:
    return {
        path: problem for path, problem in units.items() if not any(path[:end] in units for end in range(1, len(path)))
    }


def _by_line(document: Document) -> dict[int, Path]:
    """Line -> the outermost thing that begins there."""
    lines: dict[int, Path] = {}

    def walk(value: Any, path: Path) -> None:
        if path:
            lines.setdefault(document.line(path), path)
        items = value.items() if isinstance(value, Mapping) else enumerate(value) if isinstance(value, tuple) else ()
        for step, item in items:
            walk(item, (*path, step))

    walk(document.data, ())
    return lines


def _unit(file: str, path: Path, problem: Problem, data: Any) -> Path | None:
    """What has to go so that the problem does; None when that would be too much."""
    if not path:
        return None
    if "unknown key" in problem.message or path[-1] in _KEYS_ALONE:
        return path
    if file == PROVIDERS:
        if "environment variable" in problem.message or len(path) < 2:
            return None  # it is set on another day, or in another shell
        models = len(path) > 3 and path[2] == "models"
        return path[:4] if models else path[:2]
    if file == PORTS:
        return path[:2] if path[0] == "reserved" and len(path) > 1 else path[:1]
    section = path[0]
    if section == "fallback_chains" and len(path) > 1:
        return path if isinstance(path[-1], int) else _link(path, problem, data)
    if section == "capabilities" and len(path) == 4 and path[2] == "preferred_models":
        return path
    if section == "routing_rules" and len(path) > 2 and path[1] in ("request_metadata_routing", "model_size_routing"):
        return path[:3]
    return path[:2]


def _link(path: Path, problem: Problem, data: Any) -> Path:
    """The one link of a chain on one line that is meant; the chain when it is all of it."""
    chain = data["fallback_chains"].get(path[1])
    where: Path = (*path[:2], "chain") if isinstance(chain, Mapping) else path[:2]
    links = chain.get("chain") if isinstance(chain, Mapping) else chain
    for index, name in enumerate(links if isinstance(links, tuple) else ()):
        if any(f"{verb} `{name}`" in problem.message for verb in ("names", "back to", "contains")):
            return (*where, index)
    return path[:2]


def source_path(document: Document, aside: Aside) -> Path:
    """Where what was set aside stands in the file it came from, whose lists were whole."""
    path: Path = ()
    value = document.data
    for step in aside.path:
        if isinstance(step, int) and isinstance(value, tuple) and aside.path[-1] == step:
            same = [index for index, item in enumerate(value) if item == aside.value]
            step = same[0] if same else step
        path = (*path, step)
        try:
            value = value[step]
        except (KeyError, IndexError, TypeError):
            break
    return path


def comment_lines(sources: Mapping[str, bytes]) -> dict[tuple[str, str], int]:
    """(file, why) -> the line of the comment that says so."""
    return {
        (file, line.strip().removeprefix(f"# {MARK} ")): number
        for file, content in sources.items()
        for number, line in enumerate(content.decode().splitlines(), 1)
        if line.lstrip().startswith(f"# {MARK} ")
    }
