"""A desired state while it is checked: what is well-formed so far, and what is known of the rest."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field

from aiops.errors import Problem
from aiops.spec.shapes.mappings import Chain, ExactMatch, Mappings
from aiops.spec.shapes.model import Port, Provider
from aiops.spec.shapes.options import check_options
from aiops.spec.shapes.provider_types import Mode
from aiops.spec.shapes.settings import Settings
from aiops.spec.shapes.tenancy import Tenancy
from aiops.spec.sources import MAPPINGS
from aiops.spec.suggest import did_you_mean, unknown_provider_hint
from aiops.spec.yaml.yaml12 import Document, Path

_SUGGESTIONS = 20
"""Finding the nearest of 10,000 names takes tens of milliseconds: after this many the reader has got the idea."""


@dataclass
class Draft:
    """A desired state on its way: the well-formed parts, and the names of the rest, which are not unknown."""

    documents: Mapping[str, Document]
    settings: Settings | None = None
    gateway_port: int | None = None
    admin_port: int | None = None
    providers: dict[str, Provider] = field(default_factory=dict)
    exact_matches: dict[str, ExactMatch] = field(default_factory=dict)
    fallback_chains: dict[str, Chain] = field(default_factory=dict)
    mappings: Mappings = field(default_factory=Mappings)
    ports: dict[str, Port] = field(default_factory=dict)
    tenancy: Tenancy | None = None
    broken: set[str] = field(default_factory=set)
    broken_matches: set[str] = field(default_factory=set)
    names: set[str] = field(default_factory=set)
    templates: dict[str, str] = field(default_factory=dict)
    complete: bool = True
    rules_complete: bool = True

    def declare(self, provider: str, models: list[str], status: object) -> None:
        """Remember what a provider lists, well-formed or not."""
        if status == "template":
            self.templates.update(dict.fromkeys(models, provider))
        else:
            self.names.update(models)

    @property
    def all_providers(self) -> set[str]:
        """Every provider that is written down, broken ones included."""
        return set(self.providers) | self.broken

    def problem(self, file: str, path: Path, message: str, hint: str = "") -> Problem:
        """A problem at the line of ``path``."""
        return Problem(file, self.documents[file].line(path) if file in self.documents else 0, message, hint)

    def provider_problem(self, path: Path, what: str, name: str) -> Iterator[Problem]:
        """When the provider that the mappings name at ``path`` cannot be used by ``what``."""
        provider = self.providers.get(name)
        if name not in self.all_providers:
            hint = unknown_provider_hint(name, self.all_providers, self.names)
            yield self.problem(MAPPINGS, path, f"{what}: unknown provider `{name}`", hint)
        elif provider is not None and provider.status == "template":
            message = f"{what}: the provider `{name}` is a template"
            yield self.problem(MAPPINGS, path, message, "fill it in and set `status: active`")

    def option_problems(
        self, path: Path, provider: str, model: str, options: Mapping[str, object]
    ) -> Iterator[Problem]:
        """What is wrong with the options of a name that one model answers."""
        found = self.providers.get(provider)
        if found is not None and options:
            spec = found.model(model)
            modes: list[Mode] = [spec.mode if spec is not None else "chat"]
            yield from check_options(self.documents[MAPPINGS], path, found.type, options, modes, of_model=True)

    def listed_problem(
        self, path: Path, what: str, provider: str, model: str, hint: str = "name one that it lists"
    ) -> Iterator[Problem]:
        """When a provider that lists its models does not list this one."""
        found = self.providers.get(provider)
        if found is not None and found.status != "template" and found.models and found.model(model) is None:
            message = f"{what}: `{provider}` does not list `{model}`"
            yield self.problem(MAPPINGS, path, message, did_you_mean(model, [one.name for one in found.models], hint))


class Suggester:
    """The nearest served name, for the first few problems only."""

    def __init__(self, draft: Draft) -> None:
        self.draft, self.left = draft, _SUGGESTIONS

    def __call__(self, name: str, also: Collection[str] = ()) -> str:
        if name in self.draft.templates:
            return f"the provider `{self.draft.templates[name]}` that lists it is a template"
        if self.left == 0:
            return ""
        self.left -= 1
        return did_you_mean(name, {*self.draft.names, *also})
