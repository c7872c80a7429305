"""Names that fall back to each other: where the circle closes it is cut, so that a request tries each of them once."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import islice

Ways = Mapping[str, Iterable[str]]
"""Name -> the names that are tried after it, in order."""

LITELLM_FALLBACKS = 5  # its ROUTER_MAX_FALLBACKS: it gives up after as many, or after the longest written chain


def around(written: Ways, ways: Ways) -> dict[str, tuple[str, ...]]:
    """Each name from which a request could come into a circle -> what it may try, in order, each once, and no more
    than LiteLLM would.

    ``written``: where circles are looked for; ``ways``: what is tried. Names that such a request may come to are among
    them, so that none of them goes its own way again.
    """
    circling = {name for circle in circles(written) for name in circle if name in ways}
    if not circling:
        return {}
    before: dict[str, list[str]] = {}
    for name, after in ways.items():
        for each in after:
            before.setdefault(each, []).append(name)
    named = _spread(_spread(circling, before), ways)
    most = max(LITELLM_FALLBACKS, *(len(tuple(after)) for after in ways.values()))
    return {name: tuple(islice(_reached(name, ways), most)) for name in ways if name in named}


def _spread(names: Iterable[str], ways: Ways) -> set[str]:
    """These and all that can be come to from them."""
    seen = set(names)
    waiting = list(seen)
    while waiting:
        new = set(ways.get(waiting.pop(), ())) - seen
        seen |= new
        waiting += new
    return seen


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
