"""``aiops.yaml`` as typed values."""

from typing import Annotated, Literal

from pydantic import Field

from aiops.spec.shapes.exposed import Group
from aiops.spec.shapes.shape import Shape
from aiops.spec.shapes.supervisors import Supervisor

Seconds = Annotated[float, Field(gt=0, le=86400)]


class Gateway(Shape):
    """The listening process. Times are seconds. ``expose``: what of LiteLLM's own is opened on the port.

    ``admin_port``: where the management API answers; None is on ``port``, with all the rest.

    ``retries``: None is one more try where nobody else can answer, and only after what passes by itself.

    ``lanes``: ``litellm`` asks everybody by way of LiteLLM, ``auto`` only who has to be.
    """

    host: str = "127.0.0.1"
    port: Annotated[int, Field(ge=1, le=65535)]
    admin_host: str = "127.0.0.1"
    admin_port: Annotated[int, Field(ge=1024, le=65535)] | None = None  # the gateway itself has no right to lower ones
    workers: Annotated[int, Field(ge=1, le=64)] = 1
    drain_seconds: Annotated[float, Field(ge=0, le=604800)] = 3600
    request_timeout: Seconds = 600
    stream_timeout: Seconds | None = None
    retries: Annotated[int, Field(ge=0, le=10)] | None = None
    expose: tuple[Group, ...] = ()
    lanes: Literal["auto", "litellm"] = "auto"


class Verify(Shape):
    """How changes are proved. ``timeout`` is for each model, ``confirm_seconds`` for the dead man's switch.

    ``every_model``: also of a server that takes long to load one.
    """

    billable: bool = False
    every_model: bool = False
    timeout: Seconds = 60
    confirm_seconds: Seconds = 30


class History(Shape):
    """How many generations are kept."""

    keep: Annotated[int, Field(ge=2, le=10000)] = 20


class Container(Shape):
    """What the supervisor ``container`` runs, and with which engine."""

    image: Annotated[str, Field(pattern=r"^[a-z0-9][A-Za-z0-9._/:@-]*$")] = "aiops-gateway:latest"
    engine: Literal["auto", "docker", "podman"] = "auto"


class Deployment(Shape):
    """Where keys, usage and counters are kept. The URLs hold passwords and stand in files, which are named as those of
    keys are. ``replica``: how this gateway is called among several; None is the machine's name.
    """

    mode: Literal["standalone", "distributed"] | None = None
    database_url_file: Annotated[str, Field(min_length=1)] | None = None
    redis_url_file: Annotated[str, Field(min_length=1)] | None = None
    replica: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$")] | None = None


class Keys(Shape):
    """What holds for all keys. ``over_budget_status``: HTTP, of a key that has spent its budget."""

    over_budget_status: Literal[429, 422, 400] = 429


class Usage(Shape):
    """The ledger. ``keep_days``: of each single request; the sums of its day stay."""

    keep_days: Annotated[int, Field(ge=1, le=36500)] = 400


class Cache(Shape):
    """Answers are given again to whoever asks the same with the same key, for ``ttl`` seconds. ``most_bytes``: of all
    that are kept, by all gateways that share them."""

    ttl: Seconds
    most_bytes: Annotated[int, Field(ge=1 << 20, le=1 << 40)] = 256 << 20


class Settings(Shape):
    """``aiops.yaml``. ``mode`` is short for ``deployment.mode``."""

    gateway: Gateway
    deployment: Deployment = Field(default_factory=Deployment.model_construct)
    mode: Literal["standalone", "distributed"] = "standalone"
    cache: Cache | None = None
    profile: Literal["cost", "dev", "prod"] = "dev"
    supervisor: Supervisor = "auto"
    container: Container = Field(default_factory=Container.model_construct)
    verify: Verify = Field(default_factory=Verify.model_construct)
    history: History = Field(default_factory=History.model_construct)
    keys: Keys = Field(default_factory=Keys.model_construct)
    usage: Usage = Field(default_factory=Usage.model_construct)
    master_key_file: str | None = None
