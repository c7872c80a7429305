"""The desired state as frozen, typed values. Shapes only: what must hold between them is in ``check``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Literal

from pydantic import Field

from aiops.spec.mappings import Chain, ExactMatch, Mappings
from aiops.spec.provider_types import TYPES, Mode, ProviderType
from aiops.spec.shape import Shape
from aiops.spec.urls import api_base, is_local
from aiops.spec.yaml12 import Document, Path

Seconds = Annotated[float, Field(gt=0, le=86400)]


class ModelSpec(Shape):
    """One model of a provider. All but ``name`` and ``mode`` is documentation, carried into ``model_info``."""

    name: str
    mode: Mode = "chat"
    size: str | None = None
    quantization: str | None = None
    specialty: str | None = None
    description: str | None = None
    context_length: Annotated[int, Field(ge=1)] | None = None
    tags: tuple[str, ...] = ()
    notes: str | None = None
    pulled_at: str | None = None


class Service(Shape):
    """The systemd unit that runs a provider. Of one ``exclusive_group`` (a graphics card, …) one runs at a time."""

    unit: str
    scope: Literal["user", "system"] = "user"
    exclusive_group: str | None = None


class Provider(Shape):
    """A server that answers model requests. ``base_url`` is expanded and normalised to the server's root."""

    name: str
    type: str
    base_url: str | None = None
    status: Literal["active", "disabled", "template"] = "active"
    models: tuple[ModelSpec, ...] = ()
    health_endpoint: str | None = None
    api_key_env: str | None = None
    api_key_file: str | None = None
    billable: bool | None = None
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
        """The server's address without ``/v1``; None when LiteLLM knows it by itself."""
        return self.base_url or self.kind.default_url

    @property
    def api_base(self) -> str | None:
        """What LiteLLM is given as ``api_base``; None when it knows the address by itself."""
        return api_base(self.root, self.kind) if self.root else None

    @property
    def is_billable(self) -> bool:
        """Whether a request may cost money: what the operator says, else whether it leaves the private network."""
        if self.billable is not None:
            return self.billable
        return not (self.root and is_local(self.root))

    @property
    def discovery_url(self) -> str | None:
        """Where the models are listed, in full; None when the type has no such place."""
        return f"{self.root}{self.kind.discovery}" if self.root and self.kind.discovery else None

    @property
    def health_url(self) -> str | None:
        """What to probe without cost, in full: ``health_endpoint`` or the type's own."""
        endpoint = self.health_endpoint or self.kind.health
        return f"{self.root}{endpoint}" if self.root and endpoint else None

    def model(self, name: str) -> ModelSpec | None:
        """The model of that name, or None."""
        return next((model for model in self.models if model.name == name), None)


class Gateway(Shape):
    """The listening process. Times are seconds."""

    host: str = "127.0.0.1"
    port: Annotated[int, Field(ge=1, le=65535)]
    workers: Annotated[int, Field(ge=1, le=64)] = 1
    drain_seconds: Annotated[float, Field(ge=0, le=604800)] = 3600
    request_timeout: Seconds = 600
    stream_timeout: Seconds | None = None
    retries: Annotated[int, Field(ge=0, le=10)] = 0


class Verify(Shape):
    """How changes are proved. ``timeout`` is for one whole suite, ``confirm_seconds`` for the dead man's switch."""

    billable: bool = False
    timeout: Seconds = 60
    confirm_seconds: Seconds = 30


class History(Shape):
    """How many generations are kept."""

    keep: Annotated[int, Field(ge=2, le=10000)] = 20


class Container(Shape):
    """What the supervisor ``container`` runs, and with which engine."""

    image: Annotated[str, Field(pattern=r"^[a-z0-9][A-Za-z0-9._/:@-]*$")] = "aiops-gateway:latest"
    engine: Literal["auto", "docker", "podman"] = "auto"


class Settings(Shape):
    """``aiops.yaml``."""

    gateway: Gateway
    mode: Literal["standalone", "distributed"] = "standalone"
    profile: Literal["cost", "dev", "prod"] = "dev"
    supervisor: Literal["auto", "systemd", "process", "container"] = "auto"
    container: Container = Container()
    verify: Verify = Verify()
    history: History = History()
    master_key_file: str | None = None


@dataclass(frozen=True)
class DesiredState:
    """Everything the operator wrote, checked. Mappings keep the order of the files."""

    settings: Settings
    providers: Mapping[str, Provider]
    exact_matches: Mapping[str, ExactMatch]
    fallback_chains: Mapping[str, Chain]
    fingerprint: str
    mappings: Mappings = field(default_factory=Mappings)
    documents: Mapping[str, Document] = field(default_factory=dict, compare=False, repr=False)

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
        """``standalone``: distributed is refused when loading."""
        return self.settings.mode

    @property
    def profile(self) -> str:
        """``cost``, ``dev`` or ``prod``."""
        return self.settings.profile

    def line(self, file: str, path: Path) -> int:
        """1-based line where ``path`` is written in ``file``; 0 when the file is not there."""
        return self.documents[file].line(path) if file in self.documents else 0
