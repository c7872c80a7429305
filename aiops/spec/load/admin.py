"""``gateway.admin_port``: the management API on a port of its own."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from aiops.errors import Problem
from aiops.spec.sources import SETTINGS
from aiops.spec.yaml.yaml12 import Document


def check_admin(doc: Document, gateway: Mapping[str, Any]) -> Iterator[Problem]:
    """``gateway``: the section as it is written. What its shape says is reported with that."""
    port, admin = gateway.get("port"), gateway.get("admin_port")
    if admin is not None and admin == port:
        line, other = (doc.line(("gateway", key)) for key in ("admin_port", "port"))
        message = f"`gateway.admin_port` is {admin}, and so is `gateway.port` (line {other})"
        yield Problem(SETTINGS, line, message, "the management API needs a port of its own, or no `admin_port`")
    if admin is None and gateway.get("admin_host") is not None:
        message = "`gateway.admin_host` would have no effect without `gateway.admin_port`"
        hint = "add `admin_port`, or remove it"
        yield Problem(SETTINGS, doc.line(("gateway", "admin_host")), message, hint)
