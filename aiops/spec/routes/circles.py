"""Names that fall back to each other: where the circle closes it is cut, so that a request tries each of them once."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

Ways = Mapping[str, Iterable[str]]
"""Name -> the names that are tried after it, in order."""


def around(written: Ways, ways: Ways) -> dict[str, tuple[str, ...]]:
    """Each name from which a request could come into a circle -> all that it may try, in order, each once.

    ``written``: where circles are looked for; ``ways``: what is tried. Names that such a request may come to are among
    them, so that none of them goes its own way again.
    """
    circling = {name for circle in circles(written) for name in circle if name in ways}
    found: dict[str, tuple[str, ...]] = {}
    if not circling:
        return found
    for name in ways:
        after = tuple(_reached(name, ways))
        if name in circling or not circling.isdisjoint(after):
            for each in (name, *after):
                found.setdefault(each, tuple(_reached(each, ways)))
    return found


def circles(ways: Ways) -> Iterator[tuple[str, ...]]:
    """Each place where a circle closes: its names, the first again at the end. Without recursion: chains of thousands
    of names are fine."""
    done: set[str] = set()
    for start in ways:
        if start in done:
            continue
        trail, place = [start], {start: 0}
        stack = [iter(ways[start])]
        while stack:
            to = next(stack[-1], None)
            if to is None:
                stack.pop()
                done.add(trail[-1])
                del place[trail.pop()]
            elif to in place:
                yield (*trail[place[to] :], to)
            elif to not in done:
                place[to] = len(trail)
                trail.append(to)
                stack.append(iter(ways.get(to, ())))


def _reached(name: str, ways: Ways) -> Iterator[str]:
    """All that is tried after ``name``, as LiteLLM goes: the first fallback, then that one's, then the second."""
    seen = {name}
    stack = [iter(ways.get(name, ()))]
    while stack:
        to = next(stack[-1], None)
        if to is None:
            stack.pop()
        elif to not in seen and to in ways:
            seen.add(to)
            yield to
            stack.append(iter(ways[to]))
