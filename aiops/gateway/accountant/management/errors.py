"""Refusals as LiteLLM's clients know them: ``{"error": {"message", "type", "param", "code"}}``, the code as text."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from aiops.errors import AiopsError
from aiops.state.administration.request import Invalid, Unknown
from aiops.state.store.open import Unavailable
from aiops.state.store.writing import Stale


@dataclass(frozen=True)
class Answer:
    """``body``: to be sent as JSON."""

    status: int
    body: Any


class Refused(Exception):
    """An endpoint says no."""

    def __init__(self, status: int, message: str, kind: str = "bad_request_error", param: str | None = None) -> None:
        super().__init__(message)
        self.answer = refusal(status, message, kind, param)

    @classmethod
    def by(cls, answer: Answer) -> Refused:
        made = cls(answer.status, str(answer.body["error"]["message"]))
        made.answer = answer
        return made


def refusal(status: int, message: str, kind: str = "bad_request_error", param: str | None = None) -> Answer:
    return Answer(status, {"error": {"message": message, "type": kind, "param": param, "code": str(status)}})


def missing(what: str, param: str) -> Refused:
    return Refused(404, what, "not_found_error", param)


def of(error: AiopsError) -> Answer:
    """What an error of ours is to a client. The hint is part of it: there is nobody else to tell."""
    said = error.message.replace("\n", "; ")
    words = f"{said}. {error.hint[:1].upper()}{error.hint[1:]}" if error.hint else said
    if isinstance(error, Invalid):
        params = {each.field for each in error.problems}
        return refusal(400, words, param=params.pop() if len(params) == 1 else None)
    if isinstance(error, Unknown):
        return refusal(404, words, "not_found_error", error.kind.partition(" ")[0])
    if isinstance(error, Unavailable):
        return refusal(503, words, "no_db_connection")
    if isinstance(error, Stale):
        return refusal(409, words, "internal_error")
    return refusal(400, words)
