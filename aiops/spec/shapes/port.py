"""A port of this machine, as ``ports.yaml`` says whose it is."""

from typing import Annotated, Literal

from pydantic import Field

from aiops.spec.shapes.shape import Shape


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
