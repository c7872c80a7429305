"""Ask both gateways the same, and say what differs."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from aiops.actions.importing import compare
from aiops.actions.importing.compare import Answered, Difference
from aiops.actions.importing.double import Doubles, doubles
from aiops.actions.importing.questions import Question, questions
from aiops.actions.importing.redirect import Asked, redirect
from aiops.actions.importing.sides import candidate, stock
from aiops.errors import UsageError, VerificationFailed
from aiops.importing.importer import Found
from aiops.output import Output
from aiops.spec.yaml.yaml12 import parse

_KEY = "sk-proof-of-an-import-0815-4711-loopback"
_PARALLEL = 6
_TIMEOUT = 60.0


@dataclass(frozen=True)
class Proof:
    """``asked``: how many questions. ``left_out``: names that could not be asked, with their lines."""

    differences: tuple[Difference, ...]
    asked: int
    left_out: tuple[tuple[str, int], ...]

    @property
    def bugs(self) -> tuple[Difference, ...]:
        """What is different and was not meant to be."""
        return tuple(each for each in self.differences if not each.why)

    def to_json(self) -> dict[str, Any]:
        """Plain data."""
        left_out = [{"name": name, "line": line} for name, line in self.left_out]
        told = [each.to_json() for each in self.differences]
        return {"asked": self.asked, "differences": told, "left_out": left_out}


def proved(found: Found, out: Output) -> Proof:
    """Prove what was found and tell each difference. Raises VerificationFailed for those that were not meant to be,
    UsageError for what is no LiteLLM configuration."""
    if found.config is None:
        raise UsageError("only a LiteLLM configuration can be proved", "name the file itself")
    proof = prove(*found.config, found.env, out.say)
    for difference in proof.differences:
        out.say(f"  {difference}")
    for name, line in proof.left_out:
        out.say(f"  line {line}: `{name}` was not asked: nobody else can stand where its provider is")
    if proof.bugs:
        count = len(proof.bugs)
        raise VerificationFailed(
            f"{count} difference{'s' * (count != 1)} that nothing explains: nothing was imported",
            "without `--prove` it is imported all the same",
        )
    out.say(f"proved by {proof.asked} questions: nothing is different that was not meant to be")
    return proof


def prove(name: str, content: bytes, env: Mapping[str, str], say: Callable[[str], None]) -> Proof:
    """Given a LiteLLM configuration, run it and what is imported from it side by side and compare what they do.

    ``env``: what the file may refer to. Every provider is a double on loopback: nobody else is asked. Raises
    Precondition when one of the two does not start.
    """
    document = parse(name, content)
    with doubles() as servers, tempfile.TemporaryDirectory(prefix="aiops-prove-") as where, ExitStack() as stack:
        made = redirect(document, env, servers.address, _KEY)
        config = Path(where) / "config.yaml"
        config.write_bytes(made.content)
        config.chmod(0o600)
        say(f"starting LiteLLM with {name}, and aiops with what is imported from it")
        with ThreadPoolExecutor(2) as pool:
            starting = [
                pool.submit(stack.enter_context, stock(config, made.environment)),
                pool.submit(stack.enter_context, candidate(config, Path(where) / "home", made.environment)),
            ]
            before, after = (each.result() for each in starting)
        asked = list(questions(made.names))
        lines = {each.name.replace("*", "proof"): each for each in made.names}
        sides = [_Side(url, servers) for url in (before, after)]
        say(f"asking both {len(asked)} times")
        found: list[Difference] = []
        with ThreadPoolExecutor(_PARALLEL) as pool:
            for breaks in (False, True):
                now_asked = [each for each in asked if each.breaks == breaks]
                for question, was, now in pool.map(lambda each: (each, *[side.ask(each) for side in sides]), now_asked):
                    of = lines[question.name]
                    found += compare.differences(question, of.lines[0], was, now, several=len(of.lines) > 1)
        found += _names(made.names, *[side.names() for side in sides])
        told = [side.info() for side in sides]
        for each in made.names:
            found += compare.facts(each.name, each.lines[0], told[0].get(each.name, {}), told[1].get(each.name, {}))
    return Proof(tuple(found), len(asked), tuple(made.left_out))


class _Side:
    """One of the two gateways."""

    def __init__(self, url: str, servers: Doubles) -> None:
        self._http = httpx.Client(
            base_url=url, timeout=_TIMEOUT, trust_env=False, headers={"authorization": f"Bearer {_KEY}"}
        )
        self._servers = servers

    def ask(self, question: Question) -> Answered:
        with ThreadPoolExecutor(question.times) as pool:
            answers = list(pool.map(lambda _: self._post(question), range(question.times)))
        arrived = tuple(self._servers.journal.take(str(question.number)))
        cost = answers[0].headers.get("x-litellm-response-cost") if question.times == 1 else None
        return Answered(arrived, tuple(answer.status_code for answer in answers), cost)

    def _post(self, question: Question) -> httpx.Response:
        if question.files:
            form = {key: str(value) for key, value in question.body.items()}
            return self._http.post(question.path, data=form, files=question.files)
        return self._http.post(question.path, json=question.body)

    def names(self) -> set[str]:
        return {item["id"] for item in self._http.get("/v1/models").json()["data"]}

    def info(self) -> dict[str, dict[str, Any]]:
        """By name; of several deployments the first."""
        found: dict[str, dict[str, Any]] = {}
        answer = self._http.get("/model/info")
        for item in answer.json().get("data", ()) if answer.status_code == 200 else ():
            found.setdefault(item["model_name"], item.get("model_info") or {})
        return found


def _names(asked: list[Asked], was: set[str], now: set[str]) -> list[Difference]:
    """Names that are listed on one side only; LiteLLM lists a name with `*` as what it knows of the provider."""
    lines = {each.name: each.lines[0] for each in asked}
    plain = {name for name in lines if "*" not in name}
    found = [Difference(name, "/v1/models", "listed", "yes", "no", lines[name]) for name in sorted((was & plain) - now)]
    stars = any("*" in name for name in lines)
    gone = [] if stars else sorted(now - was)
    return found + [Difference(name, "/v1/models", "listed", "no", "yes", lines.get(name, 0)) for name in gone]
