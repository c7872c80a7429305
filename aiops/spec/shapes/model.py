"""The desired state as frozen, typed values. Shapes only: what must hold between them is in ``check``."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from types import MappingProxyType
from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, Tag

from aiops.spec.choosing import sizes
from aiops.spec.shapes.mappings import Chain, ExactMatch, Mappings
from aiops.spec.shapes.options import Value
from aiops.spec.shapes.options import params as litellm_params
from aiops.spec.shapes.provider_types import MODELS, TYPES, Mode, ProviderType
from aiops.spec.shapes.settings import Gateway, Settings, Verify
from aiops.spec.shapes.shape import Shape
from aiops.spec.shapes.tenancy import Tenancy
from aiops.spec.shapes.urls import api_base, connects_to, is_local, normalise
from aiops.spec.yaml.yaml12 import Document, Path

Cost = Annotated[float, Field(ge=0, le=1000)]
"""US dollars."""
Prices = Annotated[
    Annotated[Cost, Tag("one")] | Annotated[dict[str, Cost], Tag("each")],
    Discriminator(lambda written: "each" if isinstance(written, Mapping) else "one"),
]
"""One price for all, or one for each name. What is wrong is said of the one that was meant."""

_CLOUD_OF_OLLAMA = ("-cloud", ":cloud")


class TokenPrices(Shape):
    """US dollars per 1,000 tokens, by what they are. ``cached`` were read from the provider's own cache."""

    input: Cost
    output: Cost
    cached: Cost | None = None

    @property
    def mean(self) -> float:
        """What routing compares: a price for all tokens counts the same."""
        return (self.input + self.output) / 2


ModelPrice = Annotated[
    Annotated[Cost, Tag("one")] | Annotated[TokenPrices, Tag("each")],
    Discriminator(lambda written: "each" if isinstance(written, Mapping | TokenPrices) else "one"),
]


class Supports(Shape):
    """What a model can do, where LiteLLM's own list does not know it: it then treats a request accordingly."""

    reasoning: bool | None = None
    vision: bool | None = None
    function_calling: bool | None = None

    def info(self) -> dict[str, bool]:
        """Under LiteLLM's names."""
        return {f"supports_{name}": value for name, value in self if value is not None}


class ModelSpec(Shape):
    """One model of a provider. ``options`` go to the backend; ``size``, ``context_length`` (tokens) and
    ``cost_per_1k_tokens`` are what routing compares; ``public: false``: it has no name of its own for callers;
    ``base_model``: the model whose prices and limits LiteLLM knows, where its own name is a deployment's; the rest but
    ``name``, ``mode``, ``supports`` and ``max_output_tokens`` is documentation, carried into ``model_info``."""

    name: str
    mode: Mode = "chat"
    public: bool = True
    size: str | None = None
    quantization: str | None = None
    specialty: str | None = None
    description: str | None = None
    context_length: Annotated[int, Field(ge=1)] | None = None
    max_output_tokens: Annotated[int, Field(ge=1)] | None = None
    base_model: str | None = None
    supports: Supports = Field(default_factory=Supports.model_construct)
    tags: tuple[str, ...] = ()
    notes: str | None = None
    pulled_at: str | None = None
    cost_per_1k_tokens: ModelPrice | None = None
    options: dict[str, Any] = Field(default_factory=dict)  # checked by ``options.check_options``

    @property
    def billions(self) -> float | None:
        """Parameters in billions: what is written, else what stands in its name. None when neither says."""
        return sizes.parse(self.size) if self.size is not None else sizes.in_name(self.name)


class Service(Shape):
    """The systemd unit that runs a provider. Of one ``exclusive_group`` (a graphics card, …) one runs at a time."""

    unit: str
    scope: Literal["user", "system"] = "user"
    exclusive_group: str | None = None


class Queue(Shape):
    """What comes while ``max_parallel`` requests are being answered waits: ``most`` of them in each worker, ``seconds``
    at most."""

    most: Annotated[int, Field(ge=1, le=100_000)] = 100
    seconds: Annotated[float, Field(gt=0, le=3600)] = 60


class Provider(Shape):
    """A server that answers model requests. ``base_url`` is expanded and normalised to the server's root.

    ``max_parallel``: requests it answers at the same time. ``options``: for each of its models that takes them.
    ``exact_url``: LiteLLM is given ``base_url`` as it is written, without ``/v1`` being added, and with its query.
    ``same_server_as``: the provider of the same address that this one is another way to ask.
    ``lane``: whether it is asked directly or by way of LiteLLM; None: as its type is, see ``spec/lanes``.
    """

    name: str
    type: str
    base_url: str | None = None
    status: Literal["active", "disabled", "template"] = "active"
    models: tuple[ModelSpec, ...] = ()
    health_endpoint: str | None = None
    api_key_env: str | None = None
    api_key_file: str | None = None
    billable: bool | None = None
    max_parallel: Annotated[int, Field(ge=1, le=100_000)] | None = None
    queue: Queue | None = None
    cost_per_1k_tokens: Prices | None = None
    options: dict[str, Any] = Field(default_factory=dict)  # checked by ``options.check_options``
    allow_link_local: bool = False
    exact_url: bool = False
    same_server_as: str | None = None
    lane: Literal["direct", "litellm"] | None = None
    service: Service | None = None
    description: str | None = None
    features: tuple[str, ...] = ()
    docs: str | None = None
    notes: str | None = None
    location: str | None = None
    tags: tuple[str, ...] = ()

    @property
    def kind(self) -> ProviderType:
        """The row of the table of types."""
        return TYPES[self.type]

    @property
    def root(self) -> str | None:
        """The server's address without ``/v1`` and query; None when LiteLLM knows it by itself."""
        return normalise(self.base_url) if self.base_url and self.exact_url else self.base_url or self.kind.default_url

    @property
    def addresses(self) -> tuple[tuple[str, int], ...]:
        """Host and port of every place that requests to it may go to."""
        hosts = [host if "://" in host else f"https://{host}" for host in self.kind.hosts]
        # The account of the machine is asked for somewhere else, whatever the service's own address is.
        roots = [self.root, *(hosts if self.kind.ambient else ())] if self.root else hosts
        return tuple(connects_to(root) for root in roots)

    @property
    def api_base(self) -> str | None:
        """What LiteLLM is given as ``api_base``; None when it knows the address by itself."""
        if self.exact_url and self.base_url:
            return self.base_url
        return api_base(self.root, self.kind) if self.root else None

    @property
    def is_billable(self) -> bool:
        """Whether a request may cost money: what the operator says, else whether it leaves the private network.

        A service costs money also when it is reached through a proxy that stands here.
        """
        if self.billable is not None:
            return self.billable
        return self.kind.cloud or not (self.root and is_local(self.root))

    def bills(self, model: str) -> bool:
        """The same for one model: what a local Ollama passes on to Ollama's cloud counts on an account there."""
        passed_on = self.type == "ollama" and self.billable is None and model.endswith(_CLOUD_OF_OLLAMA)
        return self.is_billable or passed_on

    @property
    def parallel(self) -> int:
        """Requests it answers at the same time: what the operator says, else what its type usually does."""
        return self.max_parallel if self.max_parallel is not None else self.kind.parallel

    def written_price(self, name: str, spec: ModelSpec | None) -> float | None:
        """US dollars per 1,000 tokens of its model ``name``, as the operator wrote it; None when nothing is written."""
        if spec is not None and spec.cost_per_1k_tokens is not None:
            own = spec.cost_per_1k_tokens
            return own.mean if isinstance(own, TokenPrices) else own
        general = self.cost_per_1k_tokens
        return general.get(name) if isinstance(general, dict) else general

    def facts(self, name: str, spec: ModelSpec | None) -> dict[str, Value]:
        """What LiteLLM is told about its model ``name`` (``model_info``): prices per token, limits, abilities."""
        price = spec.cost_per_1k_tokens if spec is not None else None
        general = self.written_price(name, spec)
        if isinstance(price, TokenPrices):
            each = {"input": price.input, "output": price.output, "cache_read_input": price.cached}
        else:
            each = {"input": general, "output": general}
        names = {"cache_read_input": "cache_read_input_token_cost"}
        found: dict[str, Value] = {
            names.get(kind, f"{kind}_cost_per_token"): round(cost / 1000, 15)
            for kind, cost in each.items()
            if cost is not None
        }
        if spec is not None:
            limits = {"max_input_tokens": spec.context_length, "max_output_tokens": spec.max_output_tokens}
            found |= {key: value for key, value in limits.items() if value is not None}
            if spec.base_model is not None:
                found["base_model"] = spec.base_model
            found |= spec.supports.info()
        if self.type == "openai_compatible":
            # Else LiteLLM sends /v1/messages with `thinking` to /v1/responses, which few servers have.
            found.setdefault("supports_reasoning", False)
        return found

    def price(self, name: str, spec: ModelSpec | None) -> float | None:
        """The same, and 0.0 when nobody sends a bill. None: it costs money and nobody said how much."""
        written = self.written_price(name, spec)
        return 0.0 if written is None and not self.bills(name) else written

    def context(self, spec: ModelSpec | None) -> int | None:
        """Tokens that a model really gets: for Ollama ``num_ctx`` where it is written. None when nobody said."""
        if spec is None:
            return None
        served = spec.options.get("num_ctx", self.options.get("num_ctx")) if self.type == "ollama" else None
        known = [limit for limit in (spec.context_length, served) if isinstance(limit, int)]
        return min(known, default=None)

    def params(self, spec: ModelSpec | None, named: Mapping[str, Any] = MappingProxyType({})) -> dict[str, Value]:
        """The options of a model under LiteLLM's names; of one that is not listed, those of any chat model.

        ``named``: the options of the name it is served by.
        """
        own, mode = (spec.options, spec.mode) if spec is not None else ({}, "chat")
        return litellm_params(self.type, mode, self.options, own, named) if own or named or self.options else {}

    @property
    def discovery_url(self) -> str | None:
        """Where the models are listed, in full; None when the type has no such place."""
        return self._at(self.kind.discovery) if self.root and self.kind.discovery else None

    @property
    def health_url(self) -> str | None:
        """What to probe without cost, in full: ``health_endpoint`` or the type's own."""
        endpoint = self.health_endpoint or self.kind.health
        return self._at(endpoint) if self.root and endpoint else None

    def _at(self, endpoint: str) -> str:
        """An endpoint of the server; where the address is exact, models are listed below it and not below ``/v1``."""
        if self.exact_url and self.base_url and endpoint == MODELS:
            path, question, query = self.base_url.partition("?")
            return f"{path.rstrip('/')}/models{question}{query}"
        return f"{self.root}{endpoint}"

    def model(self, name: str) -> ModelSpec | None:
        """The model of that name, or None."""
        return self.by_name.get(name)

    @cached_property
    def by_name(self) -> Mapping[str, ModelSpec]:
        return {model.name: model for model in reversed(self.models)}  # the first, where a name is written twice


class Port(Shape):
    """One entry of ``ports.yaml``. ``service``: the systemd unit that listens there. ``health_check`` is shown to
    people and never run; ``line`` is where the entry stands."""

    port: Annotated[int, Field(ge=1, le=65535)]
    protocol: Literal["http", "https", "tcp"] = "http"
    required: bool = False
    service: str | None = None
    description: str | None = None
    health_check: str | None = None
    notes: str | None = None
    status: Literal["used", "reserved"] = "used"
    line: int = 0


@dataclass(frozen=True)
class DesiredState:
    """Everything the operator wrote, checked. Mappings keep the order of the files."""

    settings: Settings
    providers: Mapping[str, Provider]
    exact_matches: Mapping[str, ExactMatch]
    fallback_chains: Mapping[str, Chain]
    fingerprint: str
    mappings: Mappings = field(default_factory=Mappings)
    ports: Mapping[str, Port] = field(default_factory=dict)
    documents: Mapping[str, Document] = field(default_factory=dict, compare=False, repr=False)
    tenancy: Tenancy | None = None

    @property
    def gateway(self) -> Gateway:
        """``aiops.yaml``: gateway."""
        return self.settings.gateway

    @property
    def verify(self) -> Verify:
        """``aiops.yaml``: verify."""
        return self.settings.verify

    @property
    def mode(self) -> str:
        """``standalone`` or ``distributed``."""
        return self.settings.deployment.mode or self.settings.mode

    @property
    def profile(self) -> str:
        """``cost``, ``dev`` or ``prod``."""
        return self.settings.profile

    def written(self, file: str, path: Path) -> object:
        """The text that stands at ``path`` in ``file``, before anything was made of it; None when nothing does."""
        found = self.documents[file].node(path) if file in self.documents else None
        return found[1].value if found is not None else None

    def line(self, file: str, path: Path) -> int:
        """1-based line where ``path`` is written in ``file``; 0 when the file is not there."""
        return self.documents[file].line(path) if file in self.documents else 0
