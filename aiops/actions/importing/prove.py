"""Ask both gateways the same, and say what differs."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from threading import Event, Semaphore
from typing import Any

from aiops.actions.importing import compare
from aiops.actions.importing.answers import KEY, Answered, Side
from aiops.actions.importing.compare import Difference
from aiops.actions.importing.double import doubles
from aiops.actions.importing.questions import Question, questions
from aiops.actions.importing.redirect import Asked, redirect
from aiops.actions.importing.sides import candidate, stock
from aiops.errors import UsageError, VerificationFailed
from aiops.host.setup import defaults
from aiops.host.signals import brought_to_an_end, undisturbed
from aiops.importing.importer import Found, import_all
from aiops.output import Output
from aiops.spec.yaml.yaml12 import parse

PARALLEL = {False: 8, True: 32}
"""Questions at a time, by whether they make providers fail: most of the time of those is waiting."""
_ROUNDS = 4
"""How often many are asked at once before a deployment that got none is called left out."""


@dataclass(frozen=True)
class Proof:
    """``asked``: how many questions. ``left_out``: names that could not be asked, with their lines."""

    differences: tuple[Difference, ...]
    asked: int
    left_out: tuple[tuple[str, int, str], ...]

    @property
    def bugs(self) -> tuple[Difference, ...]:
        """What is different and was not meant to be."""
        return tuple(each for each in self.differences if not each.why)

    def to_json(self) -> dict[str, Any]:
        """Plain data."""
        left_out = [{"name": name, "line": line, "why": why} for name, line, why in self.left_out]
        told = [each.to_json() for each in self.differences]
        return {"asked": self.asked, "differences": told, "left_out": left_out}


def proved(found: Found, out: Output, *, made: bool = False) -> Proof:
    """Prove what was found and tell each difference. ``made``: it was imported already.

    Raises VerificationFailed for those that were not meant to be, UsageError for what is no LiteLLM configuration.
    """
    if found.config is None:
        raise UsageError("only a LiteLLM configuration can be proved", "name the file itself")
    with brought_to_an_end():
        proof = prove(*found.config, found.env, out.say)
    for difference in proof.differences:
        out.say(f"  {difference}")
    for name, line, why in proof.left_out:
        out.say(f"  line {line}: `{name}` was not asked: {why}")
    if proof.bugs:
        count = len(proof.bugs)
        raise VerificationFailed(
            f"{count} difference{'s' * (count != 1)} that nothing explains: "
            + ("it was imported, and nothing runs yet" if made else "nothing was imported"),
            "the old gateway serves on; mend the files" if made else "without `--prove` it is imported all the same",
        )
    out.say(f"proved by {proof.asked} questions: nothing is different that was not meant to be")
    return proof


def prove(name: str, content: bytes, env: Mapping[str, str], say: Callable[[str], None]) -> Proof:
    """Given a LiteLLM configuration, run it and what is imported from it side by side and compare what they do.

    ``env``: what the file may refer to. Every provider is a double on loopback: nobody else is asked. Raises
    Precondition when one of the two does not start.
    """
    document = parse(name, content)
    report = import_all(Found({}, env, defaults(), config=(name, content))).report
    stop = Event()
    with doubles() as servers, tempfile.TemporaryDirectory(prefix="aiops-prove-") as where, ExitStack() as running:
        made = redirect(document, env, servers.address, KEY, report.entries)
        config = Path(where) / "config.yaml"
        config.write_bytes(made.content)
        config.chmod(0o600)
        say(f"starting LiteLLM with {name}, and aiops with what is imported from it")
        both = (
            stock(config, made.environment, stop),
            candidate(config, Path(where) / "home", made.environment, stop),
        )
        pool = ThreadPoolExecutor(max(PARALLEL.values()))
        starting = [pool.submit(running.enter_context, each) for each in both]
        try:
            sides = [Side(each.result(), servers) for each in starting]
            asked = list(questions(made.names))
            say(f"asking both {len(asked)} times")
            found = [*_answers(pool, sides, made.names, asked), *_told(made.names, sides)]
        except BaseException:
            # Whoever is still starting, or waits for an answer, is not waited for.
            stop.set()
            with undisturbed():
                wait(starting)
                running.close()
                pool.shutdown(cancel_futures=True)
            raise
        pool.shutdown()
    return Proof(tuple(found), len(asked), tuple(made.left_out))


def _answers(
    pool: ThreadPoolExecutor, sides: list[Side], names: list[Asked], asked: list[Question]
) -> Iterator[Difference]:
    """Ask all that is asked, what makes providers fail at the end: LiteLLM remembers who failed."""
    of = {each.name.replace("*", "proof"): each for each in names}
    for breaks, parallel in PARALLEL.items():
        some = Semaphore(parallel)

        def ask(question: Question, some: Semaphore = some) -> list[Difference]:
            with some:
                found = list(compare.differences(question, of[question.name], *_both(sides, question)))
                if any(not each.why for each in found):  # what is different is so again; what was slow once is not
                    found = list(compare.differences(question, of[question.name], *_both(sides, question)))
                return found

        for found in pool.map(ask, [each for each in asked if each.breaks == breaks]):
            yield from found


def _both(sides: list[Side], question: Question) -> tuple[Answered, Answered]:
    """Ask both; the many of a group once more, as long as who shares them could be chance."""
    was, now = (side.ask(question) for side in sides)
    for _ in range(_ROUNDS - 1):
        if question.times == 1 or not compare.shared_unlike(was.arrived, now.arrived):
            break
        again = [side.ask(question) for side in sides]
        was, now = was + again[0], now + again[1]
    return was, now


def _told(asked: list[Asked], sides: list[Side]) -> Iterator[Difference]:
    """What both say of the names that they serve."""
    listed, info = ([each.names() for each in sides], [each.info() for each in sides])
    yield from compare.names(asked, *listed)
    for each in asked:
        yield from compare.facts(each, info[0].get(each.name, {}), info[1].get(each.name, {}))
