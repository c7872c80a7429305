"""In which order proofs are made: side by side, but one model at a time of a server that may hold only one.

llama-swap, and an Ollama with little memory, put one model away to load the next, which takes from seconds to minutes.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from threading import Lock
from typing import Any

from aiops.verify.check import About, Check, NotAsked, timed
from aiops.verify.side_by_side import side_by_side

PARALLEL = 4  # proofs at a time: providers are not ours to load
LOADS_SECONDS = 5.0
"""Who takes longer to say one word loads a model for it, and is not made to load all that it has."""
MAY_SWAP = frozenset({"ollama", "llama_cpp", "openai_compatible"})
"""The types of provider behind which there may be a server of one's own that holds one model at a time."""

Act = Callable[[], str]
Step = Callable[[Check], None]


@dataclass(frozen=True)
class Job:
    """One check to make. ``lane``: the server that it asks, where that may hold one model at a time."""

    id: str
    act: Act
    about: About | None = None
    lane: str | None = None


def lanes(providers: Mapping[str, Mapping[str, Any]]) -> dict[str, str]:
    """Of each provider that may hold one model at a time the address of its server. ``providers``: as of a summary."""
    return {name: str(facts["url"]) for name, facts in providers.items() if facts["type"] in MAY_SWAP and facts["url"]}


def run(jobs: Iterable[Job], step: Step, *, every_model: bool = False) -> list[Check]:
    """Make the checks and report each as it is made; in the order of ``jobs``. Each has the time that its client has.

    Of a server that takes long to load a model the other models are not asked, unless ``every_model``.
    """
    listed = list(jobs)
    tracks: dict[str | int, list[int]] = {}
    for place, job in enumerate(listed):
        tracks.setdefault(place if job.lane is None else job.lane, []).append(place)
    made: dict[int, Check] = {}
    telling = Lock()

    def follow(track: Sequence[int]) -> None:
        slow: About | None = None
        seconds = 0.0
        for place in _by_model(listed, track):
            job = listed[place]
            act = job.act
            if slow is not None and job.about is not None and job.about.backend != slow.backend and not every_model:
                act = _not_asked(slow, seconds)
            began = time.monotonic()
            check = timed(job.id, act, job.about)
            if slow is None and job.lane is not None and time.monotonic() - began > LOADS_SECONDS:
                slow, seconds = job.about, time.monotonic() - began
            with telling:
                made[place] = check
                step(check)

    list(side_by_side(follow, tracks.values(), PARALLEL))
    return [made[place] for place in range(len(listed))]


def _by_model(jobs: Sequence[Job], track: Iterable[int]) -> list[int]:
    """What is asked of one model is asked while it is loaded; the models in the order in which they come."""
    models: dict[str, list[int]] = {}
    for place in track:
        about = jobs[place].about
        models.setdefault("" if about is None else about.backend, []).append(place)
    return [place for places in models.values() for place in places]


def _not_asked(slow: About, seconds: float) -> Act:
    def act() -> str:
        raise NotAsked(
            f"not asked: `{slow.name}` of the same server took {seconds:.0f} s, and another may take as long; "
            "`verify: {every_model: true}` in aiops.yaml asks each"
        )

    return act
