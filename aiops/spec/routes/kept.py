"""The settings that a generation was made with, as its record keeps them.

The record names them with dots, ``gateway.port``. Comparing two generations needs every name that either has, also
those this version does not know; whatever else asks for one asks for an attribute.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Self, cast

Engine = Literal["auto", "docker", "podman"]
Address = tuple[str, int]


@dataclass(frozen=True)
class Gateway:
    """Where it listens. ``admin_port`` None: the management API is on ``port``."""

    host: str
    port: int
    admin_host: str = "127.0.0.1"
    admin_port: int | None = None

    @property
    def public(self) -> Address:
        return self.host, self.port

    @property
    def admin(self) -> Address | None:
        """Of the management API, when it has one of its own."""
        return (self.admin_host, self.admin_port) if self.admin_port is not None else None


@dataclass(frozen=True)
class Verify:
    """``timeout``: seconds for a whole suite; ``billable``: whether providers that send bills are asked."""

    timeout: float = 60.0
    billable: bool = False


@dataclass(frozen=True)
class Container:
    """What runs it in one."""

    image: str
    engine: Engine = "auto"


@dataclass(frozen=True)
class Kept:
    """``container`` is None unless the gateway runs in one. ``recorded``: dotted name -> value, as it is stored."""

    gateway: Gateway
    supervisor: str = "auto"
    verify: Verify = Verify()
    container: Container | None = None
    master_key_file: str | None = None
    recorded: Mapping[str, Any] = field(default_factory=dict, repr=False)

    @classmethod
    def of(cls, recorded: Mapping[str, Any]) -> Self:
        """What an older version did not record has a default. Raises KeyError without an address."""
        image, key = recorded.get("container.image"), recorded.get("master_key_file")
        engine = cast(Engine, recorded.get("container.engine", Container.engine))  # checked when it was written
        return cls(
            gateway=_gateway(recorded),
            supervisor=str(recorded.get("supervisor", cls.supervisor)),
            verify=Verify(
                timeout=float(recorded.get("verify.timeout", Verify.timeout)),
                billable=bool(recorded.get("verify.billable", Verify.billable)),
            ),
            container=Container(str(image), engine) if image else None,
            master_key_file=str(key) if key is not None else None,
            recorded=recorded,
        )


def _gateway(recorded: Mapping[str, Any]) -> Gateway:
    admin = recorded.get("gateway.admin_port")
    return Gateway(
        str(recorded["gateway.host"]),
        int(recorded["gateway.port"]),
        str(recorded.get("gateway.admin_host", Gateway.admin_host)),
        int(admin) if admin is not None else None,
    )
