"""What a served name leads to: one provider's model, or several of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from aiops.spec.choosing import sizes
from aiops.spec.choosing.rules import Member
from aiops.spec.shapes.mappings import Balanced, Capability, ExactMatch
from aiops.spec.shapes.model import ModelSpec, Provider
from aiops.spec.shapes.provider_types import TEXT, Mode
from aiops.spec.sources import PROVIDERS


@dataclass(frozen=True)
class Place:
    """One provider's model among several that answer for a name. ``above``: as of ``Member``. ``options``: of the name
    it is asked by, before those of the model."""

    provider: Provider
    backend: str
    spec: ModelSpec | None
    weight: float = 1.0
    condition: str | None = None
    above: int = 0
    options: Mapping[str, Any] = field(default_factory=dict, hash=False)

    @property
    def live(self) -> bool:
        """Whether its provider is active."""
        return self.provider.status == "active"

    @property
    def mode(self) -> Mode:
        """What kind of requests it answers."""
        return self.spec.mode if self.spec else "chat"

    @property
    def size(self) -> float | None:
        """Billions of parameters: what is written, else what stands in the name."""
        return self.spec.billions if self.spec is not None else sizes.in_name(self.backend)

    @property
    def context(self) -> int | None:
        """Tokens it can read; None when nobody said."""
        return self.provider.context(self.spec)

    @property
    def price(self) -> float | None:
        """US dollars per 1,000 tokens: 0 for what costs nothing; None when it costs money and nobody said how much."""
        return self.provider.price(self.backend, self.spec)

    @property
    def cost(self) -> float:
        """The same, and 0 where nobody said."""
        return self.price or 0.0

    @property
    def bills(self) -> bool:
        """Whether a request may cost money."""
        return self.provider.bills(self.backend)

    @property
    def words(self) -> str:
        """For a message."""
        return f"`{self.backend}` of `{self.provider.name}`"

    def missing(self, key: str, example: str) -> str:
        """A hint: where to write what nobody said of it."""
        return f"write it in {PROVIDERS}: {{name: {self.backend}, {key}: {example}}}"

    def as_member(self, deployment: str) -> Member:
        """The deployment of that id."""
        return Member(
            deployment,
            self.provider.name,
            self.backend,
            self.weight,
            self.condition,
            self.above,
            self.size,
            self.context,
            self.cost,
        )


@dataclass(frozen=True)
class Target:
    """One served name: the provider and the name that provider knows the model by.

    ``rule``: what makes it a group; then ``places`` are its members and the first of them stands for it.
    """

    name: str
    provider: Provider
    backend: str
    spec: ModelSpec | None
    match: ExactMatch | None = None
    rule: Balanced | Capability | None = None
    places: tuple[Place, ...] = ()

    @property
    def live(self) -> bool:
        """Whether somebody of its own can answer."""
        if self.rule is not None:
            return any(place.live for place in self.places)
        return self.provider.status == "active"

    @property
    def mode(self) -> Mode:
        """What kind of requests it answers."""
        return self.spec.mode if self.spec else "chat"

    @property
    def options(self) -> Mapping[str, Any]:
        """Of requests by this name."""
        return self.match.options if self.match else {}

    @property
    def wanted_fallback(self) -> str | None:
        """A model or a provider, as it is written."""
        if isinstance(self.rule, Capability):
            return self.rule.fallback
        return self.match.fallback if self.match else None


def suits(target: Target, other: Target) -> bool:
    """Whether ``other`` can answer for ``target``: an embedding is no answer to a chat, nor the other way round."""
    return other.name != target.name and kind_of(target.mode) == kind_of(other.mode)


def kind_of(mode: Mode) -> str:
    """What is answered: models of one kind can stand in for each other. Every model that writes text is of one."""
    return "text" if mode in TEXT else mode
