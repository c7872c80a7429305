"""What a request will probably use, before anybody has answered it."""

from __future__ import annotations

from collections.abc import Sequence

from aiops.gateway.worker.front.asked import Asked
from aiops.gateway.worker.front.how_much import MOST
from aiops.gateway.worker.prices import Deployment, Tokens
from aiops.spec.choosing.request_facts import CHARACTERS_PER_TOKEN

LEAST = 256  # tokens of an answer whose length the client leaves open
UNHEARD_OF = 1024  # the same, of a model that has not answered yet
OPEN_ENDED = 4096  # tokens of an answer, where neither the client nor the model has a limit
_WEIGHT = 0.1  # of the latest answer in the mean
_MOST_MODELS = 4096


class AnswerLengths:
    """Tokens that the answers of each model had lately, and the seconds they took: running means, of this worker."""

    def __init__(self) -> None:
        self._mean: dict[str, float] = {}
        self._seconds: dict[str, float] = {}

    def note(self, model: str, completion: int, seconds: float = 0.0) -> None:
        if completion <= 0:
            return
        before = self._mean.get(model)
        if before is None and len(self._mean) >= _MOST_MODELS:
            self._mean.clear()
            self._seconds.clear()
        if before is None:
            self._mean[model], self._seconds[model] = completion, seconds
            return
        self._mean[model] = before + _WEIGHT * (completion - before)
        self._seconds[model] += _WEIGHT * (seconds - self._seconds[model])

    def written(self, model: str, seconds: float) -> int:
        """Tokens that it usually has written after so many; 0 when nobody knows."""
        each = self._seconds.get(model, 0.0)
        return round(self._mean[model] * seconds / each) if each > 0 else 0

    def usual(self, model: str) -> int:
        """Twice the mean, so that few answers are longer."""
        mean = self._mean.get(model)
        return UNHEARD_OF if mean is None else max(LEAST, round(2 * mean))


def at_most(asked: Asked, deployments: Sequence[Deployment], estimated: Tokens) -> Tokens:
    """What money is reserved for: answers grow longer from one day to the next, and a budget must hold all the same.
    Of a prompt each character may be a token."""
    if asked.counts_only:
        return estimated
    prompt = min(MOST, estimated.prompt * CHARACTERS_PER_TOKEN)
    said = [deployment.max_output_tokens for deployment in deployments]
    longest = max((each or OPEN_ENDED for each in said), default=OPEN_ENDED)
    if asked.max_tokens is None or asked.is_endless:
        most = max(longest, estimated.completion)
    elif said and all(said):
        most = min(asked.max_tokens, longest)
    else:
        most = asked.max_tokens
    return Tokens(prompt, min(MOST, most * asked.answers))


def estimate(asked: Asked, deployments: Sequence[Deployment], lengths: AnswerLengths) -> Tokens:
    """The prompt by its characters, and each answer as long as the client allows, or as answers usually are."""
    if asked.counts_only:
        return Tokens()
    most = asked.max_tokens
    if most is None or asked.is_endless:
        known = [deployment.max_output_tokens for deployment in deployments if deployment.max_output_tokens is not None]
        most = max(most or 0, min([lengths.usual(asked.model), *known[:1]]))
    return Tokens(min(MOST, asked.prompt), min(MOST, most * asked.answers))
