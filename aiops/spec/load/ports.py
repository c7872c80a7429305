"""``ports.yaml``: which port of this machine belongs to which service. Optional; providers may not contradict it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Literal
from urllib.parse import urlsplit

from aiops.errors import Problem
from aiops.spec.shapes.model import Port, Provider
from aiops.spec.shapes.urls import is_loopback, place
from aiops.spec.shapes.wording import shaped, unknown_key, wrong_type
from aiops.spec.sources import PORTS, PROVIDERS
from aiops.spec.yaml.yaml12 import Document, dotted

RESERVED = "reserved"
# What the gateway may be called; under the first three it must also be where the gateway is.
_OURS = ("gateway", "aiops", "aiops_gateway")
_GATEWAY = frozenset((*_OURS, "litellm", "litellm_gateway", "llm_gateway"))
_ADMIN = frozenset(("gateway_admin", "aiops_admin", "litellm_admin"))  # what its management API may be called
_COMMENTS = ("ranges", "metadata", "notes", "version")


def folded(name: str) -> str:
    """``vllm-qwen`` and ``vllm_qwen`` are the same service."""
    return name.lower().replace("-", "_").replace(".", "_")


def is_gateway(name: str) -> bool:
    """Whether a name in the registry means the gateway itself."""
    return folded(name) in _GATEWAY


def local_port(provider: Provider) -> int | None:
    """The port of this machine that a provider answers on; None when it is elsewhere."""
    if provider.status != "active" or not provider.base_url:
        return None
    return place(provider.base_url)[1] if is_loopback(urlsplit(provider.base_url).hostname or "") else None


def belongs(name: str, port: Port, provider: Provider) -> bool:
    """Whether an entry is the provider's: by its name, or by the unit that both name."""
    same_unit = provider.service is not None and provider.service.unit == port.service
    return folded(name) == folded(provider.name) or same_unit


def read_ports(doc: Document, data: Mapping[str, Any], problems: list[Problem]) -> dict[str, Port]:
    """The well-formed entries; problems are added."""
    ports: dict[str, Port] = {}
    for name, raw in data.items():
        if name in _COMMENTS and not (isinstance(raw, dict) and "port" in raw):
            problems.append(Problem(doc.file, doc.line((name,)), f"`{name}` would have no effect", "make it a comment"))
        elif name == RESERVED and not (isinstance(raw, dict) and "port" in raw):
            if isinstance(raw, dict):
                for inner, entry in raw.items():
                    _entry(doc, (RESERVED, inner), entry, ports, problems, status="reserved")
            else:
                problems.append(wrong_type(doc, (RESERVED,), "a mapping", raw))
        else:
            _entry(doc, (name,), raw, ports, problems, status="used")
    return ports


def _entry(
    doc: Document,
    path: tuple[str, ...],
    raw: Any,
    ports: dict[str, Port],
    problems: list[Problem],
    status: Literal["used", "reserved"],
) -> None:
    name = path[-1]
    ours = [key for key in ("status", "line") if isinstance(raw, dict) and key in raw]
    keys = Port.model_fields.keys() - {"status", "line"}
    problems.extend(unknown_key(doc, (*path, key), keys) for key in ours)
    entry = shaped(Port, raw, doc, path, problems, status=status, line=doc.line(path))
    if entry is None:
        return
    if status == "reserved" and (entry.required or entry.service or entry.health_check):
        message = f"`{name}` is reserved: nothing listens there yet, so it cannot be required, run or checked"
        problems.append(Problem(doc.file, doc.line(path), message, "keep `port` and `description`"))
    if entry.service is not None and not entry.service.endswith((".service", ".socket")):
        message = f"`{dotted((*path, 'service'))}` is not the name of a unit"
        problems.append(Problem(doc.file, doc.line((*path, "service")), message, f"for example {name}.service"))
    if name in ports:
        message = f"`{name}` is in use and reserved"
        problems.append(Problem(doc.file, doc.line(path), message, f"the other is on line {ports[name].line}"))
    ports[name] = entry


def check_ports(
    documents: Mapping[str, Document],
    ports: Mapping[str, Port],
    providers: Mapping[str, Provider],
    gateway_port: int | None,
    admin_port: int | None = None,
) -> Iterator[Problem]:
    """Every contradiction in the registry, and between it, the gateway and the active providers of this machine."""
    by_port: dict[int, str] = {}
    for name, port in ports.items():
        other = by_port.setdefault(port.port, name)
        if other != name and not _take_turns(name, other, ports, providers):
            message = f"port {port.port} is given to `{name}` and to `{other}` (line {ports[other].line})"
            yield Problem(PORTS, port.line, message, "each service has a port of its own")
        if gateway_port is not None and port.port == gateway_port and not is_gateway(name):
            message = f"port {port.port} is given to `{name}`, and is the gateway's own (`gateway.port` in aiops.yaml)"
            yield Problem(PORTS, port.line, message, "one of them must move, or the entry is called `gateway`")
        elif gateway_port is not None and port.port != gateway_port and folded(name) in _OURS:
            message = f"`{name}` is given port {port.port}, but `gateway.port` in aiops.yaml is {gateway_port}"
            yield Problem(PORTS, port.line, message, "let them agree")
        if admin_port is not None:
            yield from _admin(name, port, admin_port)
    for provider in providers.values():
        at = local_port(provider)
        # Another way to a server has the port of that one.
        if at is not None and provider.same_server_as is None:
            yield from _provider(documents[PROVIDERS], ports, provider, at)


def _admin(name: str, port: Port, admin_port: int) -> Iterator[Problem]:
    ours = folded(name) in _ADMIN
    if port.port == admin_port and not ours:
        message = f"port {port.port} is given to `{name}`, and is `gateway.admin_port` in aiops.yaml"
        yield Problem(PORTS, port.line, message, "one of them must move, or the entry is called `gateway_admin`")
    elif port.port != admin_port and ours:
        message = f"`{name}` is given port {port.port}, but `gateway.admin_port` in aiops.yaml is {admin_port}"
        yield Problem(PORTS, port.line, message, "let them agree")


def _provider(doc: Document, ports: Mapping[str, Port], provider: Provider, at: int) -> Iterator[Problem]:
    where = doc.line(("providers", provider.name, "base_url"))
    own = next((name for name in ports if folded(name) == folded(provider.name)), None)
    holders = [name for name, port in ports.items() if port.port == at and not is_gateway(name)]
    if own is not None and ports[own].port != at:
        message = f"`{provider.name}` is on port {at}, but {PORTS} (line {ports[own].line}) gives it {ports[own].port}"
        yield Problem(PROVIDERS, where, message, "let them agree")
    elif holders and not any(belongs(name, ports[name], provider) for name in holders):
        holder = ports[holders[0]]
        how = "reserves it for" if holder.status == "reserved" else "gives it to"
        message = f"`{provider.name}` is on port {at}, but {PORTS} (line {holder.line}) {how} `{holders[0]}`"
        yield Problem(PROVIDERS, where, message, f"correct the port, or call the entry `{provider.name}`")
    for name in holders:
        if belongs(name, ports[name], provider):
            yield from _details(doc, name, ports[name], provider)


def _details(doc: Document, name: str, port: Port, provider: Provider) -> Iterator[Problem]:
    scheme = urlsplit(provider.base_url or "").scheme
    if port.protocol != scheme:
        message = f"`{name}` speaks {port.protocol}, but the provider `{provider.name}` is asked by {scheme}"
        yield Problem(PORTS, port.line, message, f"`protocol: {scheme}`, or correct its base_url")
    if provider.service is not None and port.service not in (None, provider.service.unit):
        line = doc.line(("providers", provider.name, "service"))
        message = f"`{name}` is run by {port.service}, but {PROVIDERS} (line {line}) says {provider.service.unit}"
        yield Problem(PORTS, port.line, message, "let them agree")


def _take_turns(one: str, other: str, ports: Mapping[str, Port], providers: Mapping[str, Provider]) -> bool:
    """Whether two entries are providers of one exclusive group, of which one runs at a time."""
    groups = [
        provider.service.exclusive_group
        for name in (one, other)
        for provider in providers.values()
        if provider.service is not None and belongs(name, ports[name], provider)
    ]
    return len(groups) == 2 and groups[0] is not None and groups[0] == groups[1]
