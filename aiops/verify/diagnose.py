"""Why a provider did not answer through the gateway: which address cannot be reached, or what kind of server it is."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from aiops.host import http
from aiops.spec.routes.routes import RouteTable
from aiops.spec.shapes.model import Provider
from aiops.spec.shapes.urls import connects_to
from aiops.verify.check import Check

SECONDS = 2.0  # for each page: whoever answers at all answers these at once
PROBES = ("answer", "stream")
GENERAL = ("openai_compatible", "openai")  # types that every one of these servers may be asked as

# Servers by what they call the owner of their models (/v1/models): vLLM's and llama.cpp's own sources, Ollama's
# openai/openai.go, SGLang's http_server.py.
_OWNERS: Final = {"vllm": "vllm", "llamacpp": "llama_cpp", "library": "ollama", "sglang": "openai_compatible"}
_NAMES: Final = {"vllm": "a vLLM", "llama_cpp": "a llama.cpp server", "ollama": "an Ollama"}


@dataclass(frozen=True)
class Server:
    """A provider as far as its address is concerned. ``root``: without an endpoint; None when it has none written."""

    name: str
    type: str
    root: str | None
    key: str | None = None

    @classmethod
    def of(cls, provider: Provider, key: str | None) -> Server:
        return cls(provider.name, provider.type, provider.root, key)


def explained(checks: Sequence[Check], table: RouteTable, servers: Mapping[str, Server]) -> list[Check]:
    """The checks, with what is the matter at the provider said once, with the first that failed because of it."""
    said: set[str] = set()
    return [_explained(check, table, servers, said) if check.status == "fail" else check for check in checks]


def _explained(check: Check, table: RouteTable, servers: Mapping[str, Server], said: set[str]) -> Check:
    asked = [name for name in _asked(check.id, table) if name in servers and name not in said]
    said.update(asked)
    found = [text for name in asked if (text := matter(servers[name]))]
    return replace(check, detail="; ".join((check.detail, *found))) if found else check


def _asked(identity: str, table: RouteTable) -> Iterator[str]:
    """The providers that a probe asks: ``answer:MODEL``, ``answer:MODEL@PROVIDER/MODEL``, ``stream:MODEL``."""
    kind, _, rest = identity.removeprefix("public:").partition(":")
    if kind not in PROBES:
        return
    if (route := table.route(rest)) is not None:
        yield from route.providers
        return
    yield rest.rpartition("@")[2].partition("/")[0]


def matter(server: Server) -> str:
    """What is the matter, in words, with the address; empty when nothing is, or nothing can be seen."""
    if server.root is None:
        return ""
    host, port = connects_to(server.root)
    answers = list(_pages(server, ("/v1/models", "/version", "/api/version")))
    if all(isinstance(answer, http.NoAnswer) for answer in answers):
        return f"`{server.name}` at {host}:{port} cannot be reached: {answers[0]}"
    return mistaken(server, [answer for answer in answers if isinstance(answer, http.Answer)])


def mistaken(server: Server, answers: Iterable[http.Answer] | None = None) -> str:
    """`that looks like a vLLM` when it is of another type than was said; empty when it is not, or nobody knows.

    ``answers``: of its model list, of vLLM's and of Ollama's version, when they were asked for already.
    """
    if server.root is None:
        return ""
    if answers is None:
        pages = _pages(server, ("/v1/models", "/version", "/api/version"))
        answers = [page for page in pages if isinstance(page, http.Answer)]
    kind = _recognised(list(answers))
    if kind is None or kind == server.type or server.type in GENERAL:
        return ""
    if kind == "openai_compatible" and server.type in _NAMES and server.type != "ollama":
        return ""  # a proxy in front of one says less of itself
    what = _NAMES.get(kind, "an OpenAI-compatible server")
    return f"that looks like {what}, not {server.type}: its type is `{kind}`"


def _pages(server: Server, paths: Sequence[str]) -> Iterator[http.Answer | http.NoAnswer]:
    headers = {"authorization": f"Bearer {server.key}"} if server.key else {}
    for path in paths:
        try:
            yield http.send("GET", f"{server.root}{path}", headers=headers, timeout=SECONDS, proxies=True)
        except http.NoAnswer as error:
            yield error
            return  # who does not answer one page does not answer another


def _recognised(answers: Sequence[http.Answer]) -> str | None:
    """The type of a server, by its model list and the two pages of versions; None when it is none of those known."""
    data = [_json(answer) for answer in answers]
    listed = data[0].get("data") if data else None
    entries = [entry for entry in listed if isinstance(entry, dict)] if isinstance(listed, list) else []
    for entry in entries:
        if (kind := _OWNERS.get(str(entry.get("owned_by")))) is not None:
            return kind
    if len(data) > 2 and "version" in data[2]:
        return "ollama"
    if len(data) > 1 and "version" in data[1]:
        return "vllm"
    return "openai_compatible" if entries else None


def _json(answer: http.Answer) -> Mapping[str, Any]:
    if answer.status_code != 200:
        return {}
    try:
        data = answer.json()
    except ValueError:
        return {}
    return data if isinstance(data, dict) else {}
