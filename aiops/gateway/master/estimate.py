"""How long a worker needs to load a generation, so that a deadline can follow the size of the configuration.

LiteLLM's own load grows with the square of the number of models. The shape below was measured (2 cores,
LiteLLM 1.109: 100 models 0.38 s, 1,000 2.2 s, 10,000 47 s); the speed of *this* machine scales it, taken from
the import at first and then from every worker that became ready.
"""

from __future__ import annotations

IMPORT_SECONDS = 5.0  # of LiteLLM on the machine the shape was measured on
LEAST_DEADLINE, MARGIN = 20.0, 5.0


def base_seconds(models: int) -> float:
    return 0.2 + 0.0017 * models + 3e-7 * models**2


class Estimator:
    """Expected seconds until a group of workers is ready."""

    def __init__(self, import_seconds: float, cores: int) -> None:
        self._scale = import_seconds / IMPORT_SECONDS
        self._cores = cores

    def learn(self, models: int, seconds: float) -> None:
        """One worker with ``models`` took ``seconds``. Half-weights the past, so one slow start does not stick."""
        self._scale = (self._scale + seconds / base_seconds(models)) / 2

    def seconds(self, models: int, workers: int) -> float:
        rounds = -(-workers // self._cores)
        return base_seconds(models) * self._scale * rounds

    def deadline(self, models: int, workers: int) -> float:
        return max(LEAST_DEADLINE, MARGIN * self.seconds(models, workers))
