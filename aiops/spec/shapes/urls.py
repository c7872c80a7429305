"""Base URLs: `${VAR}` references, checks, and the root that everything else is derived from."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from urllib.parse import SplitResult, urlsplit

from aiops.spec.shapes.provider_types import ProviderType

REFERENCE = re.compile(r"\$\{([^}]*)\}")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_VERSIONED = re.compile(r"/v\d+[a-z0-9]*(/|$)")
# One word alone is an endpoint only below a version, or Ollama's /api: `…/models` is the address of some services.
_ENDPOINT = re.compile(
    r"(?P<endpoint>/chat/completions/?$"
    r"|(?<=/v\d)/(completions|embeddings|models|responses|messages|rerank|moderations)/?$"
    r"|(?<=/v\d)/(audio/(transcriptions|speech)|images/generations)/?$"
    r"|/api/(chat|generate|embed|embeddings|tags|show|ps|version)/?$)"
)
_LOCAL_SUFFIXES = (".local", ".lan", ".internal", ".home", ".home.arpa", ".localdomain", ".svc", ".test", ".localhost")
_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True)
class BadUrl:
    """What is wrong with a URL, and what to do about it. Never repeats credentials."""

    message: str
    hint: str = ""


def expand(text: str, env: Mapping[str, str]) -> tuple[str, list[BadUrl]]:
    """Replace ``${VAR}`` and ``${VAR:-default}``; a missing variable without default is reported by name."""
    problems: list[BadUrl] = []

    def value(match: re.Match[str]) -> str:
        name, has_default, default = match[1].partition(":-")
        if not _NAME.fullmatch(name):
            problems.append(BadUrl(f"`{match[0]}` is not a reference", "write `${NAME}` or `${NAME:-default}`"))
            return ""
        # As in a shell, `:-` also replaces a variable that is set but empty.
        if has_default:
            return env.get(name) or default
        if name not in env:
            problems.append(
                BadUrl(f"the environment variable `{name}` is not set", f"or give a default: `${{{name}:-…}}`")
            )
            return ""
        return env[name]

    return REFERENCE.sub(value, text), problems


def check(url: str, *, may_have_query: bool = False) -> Iterator[BadUrl]:
    """Every problem of an expanded URL."""
    if not url or url != url.strip() or any(ord(c) < 33 or ord(c) == 127 for c in url):
        yield BadUrl("the URL is empty or holds blanks or control characters")
        return
    parts = _split(url)
    if parts is None:
        yield BadUrl("the URL cannot be read", "expected something like `http://127.0.0.1:8000`")
        return
    if "://" not in url:
        yield BadUrl(f"the URL `{_safe(url)}` has no scheme", f"write `http://{_safe(url)}`")
        return
    if parts.scheme not in _PORTS:
        yield BadUrl(f"the scheme `{parts.scheme}` is not supported", "use http or https")
    if "@" in parts.netloc:
        yield BadUrl("the URL contains credentials", "remove them and use `api_key_env` or `api_key_file`")
    host_port = parts.netloc.rpartition("@")[2]
    if not parts.hostname:
        yield BadUrl("the URL has no host")
        return
    port = host_port.rpartition("]")[2].partition(":")[2]
    if port.isascii() and port.isdigit():
        if not 1 <= int(port[:9]) <= 65535:
            yield BadUrl(f"port {port} does not exist", "ports are 1 to 65535")
    elif port:
        hint = "replace the placeholder with the port" if port.isupper() else "ports are 1 to 65535"
        yield BadUrl(f"the port `{port}` is not a number", hint)
    elif host_port.endswith(":"):
        yield BadUrl("the URL has a `:` without a port")
    if parts.fragment or url.endswith(("?", "#")) or (parts.query and not may_have_query):
        hint = "keep scheme, host, port and path only"
        if parts.query and not parts.fragment:
            hint += ", or say `exact_url: true` when it has to be sent as it stands"
        yield BadUrl("the URL has a query or a fragment", hint)


def without_endpoint(url: str) -> tuple[str, str]:
    """The address of a server, and the endpoint behind it that was written too, as documentation shows it; ``""``."""
    found = _ENDPOINT.search(url)
    return (url[: found.start("endpoint")], found["endpoint"].rstrip("/")) if found else (url, "")


def normalise(url: str) -> str:
    """The server's root: lower-case scheme and host, no trailing slash, no ``/v1`` that the type adds by itself."""
    parts = urlsplit(url)
    path = parts.path.rstrip("/")
    if path.endswith("/v1"):
        path = path[: -len("/v1")]
    return f"{parts.scheme}://{parts.netloc.lower()}{path}"


def api_base(root: str, kind: ProviderType) -> str:
    """What LiteLLM is given as ``api_base`` for a normalised root."""
    if kind.suffix and not _VERSIONED.search(urlsplit(root).path):
        return root + kind.suffix
    return root


def place(root: str) -> tuple[str, int, str]:
    """(host, port, path) with every spelling of this machine as ``localhost``: equal means the same server."""
    parts = urlsplit(root)
    host = parts.hostname or ""
    port = parts.port or _PORTS.get(parts.scheme, 0)
    return ("localhost" if is_loopback(host) else host, port, parts.path)


def connects_to(root: str) -> tuple[str, int]:
    """Host, in lower case and without brackets, and port."""
    parts = urlsplit(root)
    return parts.hostname or "", parts.port or _PORTS.get(parts.scheme, 0)


def is_loopback(host: str) -> bool:
    """Whether the host is this machine. 0.0.0.0 and :: connect to it too."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")
    return address.is_loopback or address.is_unspecified


def is_local(root: str) -> bool:
    """Whether the host is this machine or a private network, where nobody sends a bill per request."""
    host = urlsplit(root).hostname or ""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return "." not in host or host.endswith(_LOCAL_SUFFIXES)
    # Not the same as `is_private`: 100.64.0.0/10, where VPNs put their machines, is neither private nor global.
    return not address.is_global


def _split(url: str) -> SplitResult | None:
    try:
        parts = urlsplit(url)
        _ = parts.hostname
    except ValueError:
        return None
    return parts


def _safe(url: str) -> str:
    return url.rpartition("@")[2]
