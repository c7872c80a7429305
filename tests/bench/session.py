"""What sections share: the temporary directory, providers and gateways that are stopped whatever happens."""

from __future__ import annotations

import contextlib
import itertools
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

from aiops.demo.child import DemoProvider
from tests.bench.gateways import Instance, Stock


@dataclass
class Session:
    quick: bool
    stack: contextlib.ExitStack
    against: Path | None = None  # another checkout of aiops, to be measured in turns with this one
    directory: Path = field(init=False)
    _numbers: itertools.count[int] = field(default_factory=itertools.count)

    def __post_init__(self) -> None:
        self.directory = Path(self.stack.enter_context(tempfile.TemporaryDirectory(prefix="aiops-bench-")))

    @property
    def checkouts(self) -> tuple[Path | None, ...]:
        """Whose command line is measured: None is this one's."""
        return (None, self.against) if self.against else (None,)

    def rounds(self, full: int, quick: int) -> int:
        return quick if self.quick else full

    def say(self, text: str) -> None:
        """Narration: on stderr, the result alone is on stdout."""
        print(text, file=sys.stderr, flush=True)

    def number(self) -> int:
        """A number not handed out before: names of providers, models and directories."""
        return next(self._numbers)

    def provider(self, stack: contextlib.ExitStack, models: tuple[str, ...], **control: object) -> DemoProvider:
        """A double serving ``models``: bench figures must not contain the thinking of a model."""
        provider = stack.enter_context(DemoProvider.double(models=models))
        if control:
            provider.control(**control)
        return provider

    def instance(self, stack: contextlib.ExitStack, workers: int = 1) -> Instance:
        """A started instance without providers."""
        instance = Instance(self.directory / f"home-{self.number()}")
        stack.callback(instance.stop)
        instance.create(workers)
        instance.start()
        return instance

    def stock(self, stack: contextlib.ExitStack, upstream: str) -> Stock:
        stock = Stock(self.directory / f"stock-{self.number()}", upstream)
        stack.callback(stock.stop)
        return stock
