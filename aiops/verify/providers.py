"""Looking at providers directly, before a candidate is proved: do they answer, and do they have the models?"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from typing import Any, cast
from urllib.parse import urlsplit

from aiops.host import http
from aiops.host.http import Answer, NoAnswer
from aiops.spec.shapes.model import Provider
from aiops.verify.check import Check, Failed, Skipped, timed
from aiops.verify.client import reason
from aiops.verify.side_by_side import side_by_side

# A listing costs a provider nothing; one that needs longer than this hangs.
LISTING_SECONDS = 5.0


def look(providers: Iterable[Provider], keys: Mapping[str, str]) -> list[Check]:
    """One check per active provider: it lists at least what is declared. ``keys``: provider name -> API key."""
    active = [provider for provider in providers if provider.status == "active"]
    return list(side_by_side(lambda each: timed(f"provider:{each.name}", lambda: _lists(each, keys)), active, 8))


class WrongModels(Failed):
    """It lists models, but not the ones it should."""


def serves(provider: Provider, key: str | None) -> str:
    """Healthy, and with the models that are declared; what it said. Raises Failed, or WrongModels."""
    _healthy(provider, key)
    try:
        listed = discover(provider, key)
    except Skipped as skip:
        return f"healthy; {skip}"
    if provider.type == "llama_cpp":
        return "healthy (llama.cpp serves its one model under any name)"
    unknown = [model.name for model in provider.models if not _has(provider, listed, model.name)]
    if unknown:
        raise WrongModels("; ".join(_missing(name, listed) for name in unknown))
    return f"healthy, with {', '.join(model.name for model in provider.models[:5]) or 'no model asked for'}"


def _healthy(provider: Provider, key: str | None) -> None:
    url = provider.health_url
    if url is None:
        return
    headers = {"authorization": f"Bearer {key}"} if key else {}
    try:
        answer = http.send("GET", url, headers=headers, timeout=LISTING_SECONDS, proxies=True)
    except http.TookTooLong as error:
        raise Failed(f"{url} did not answer within {LISTING_SECONDS:g} s") from error
    except http.NoAnswer as error:
        raise Failed(f"{url}: {error}") from error
    if answer.status_code != 200:
        raise Failed(f"{url} answered HTTP {answer.status_code}")


def discover(provider: Provider, key: str | None) -> list[str]:
    """The models a provider lists. Raises Failed with the reason, Skipped when its type lists none."""
    found = listing(provider, key)
    return [str(item.get("id") or item.get("name")) for item in found.get("data") or found.get("models") or []]


def listing(provider: Provider, key: str | None) -> Mapping[str, Any]:
    """A provider's list of models, as it answers it. Raises Failed with the reason, Skipped when its type has none."""
    url = provider.discovery_url
    if url is None:
        raise Skipped(f"a provider of type {provider.type} does not list its models")
    return ask(provider, url, key)


def ask(provider: Provider, url: str, key: str | None, body: Mapping[str, str] | None = None) -> Mapping[str, Any]:
    """What a page about models says: a GET, or a POST of ``body``. Raises Failed with the reason, or Skipped when the
    provider has no such page."""
    return _object(fetch(provider, url, key, body), url)


def fetch(provider: Provider, url: str, key: str | None, body: Mapping[str, str] | None = None) -> Answer:
    """A page of a provider, which answered 200. Raises Failed with the reason, or Skipped when there is none."""
    headers = {}
    if key:
        headers = {"x-api-key": key, "anthropic-version": "2023-06-01"} if provider.type == "anthropic" else {}
        headers = headers or {"authorization": f"Bearer {key}"}
    try:
        method = "GET" if body is None else "POST"
        answer = http.send(method, url, headers=headers, body=body, timeout=LISTING_SECONDS, proxies=True)
    except http.TookTooLong as error:
        raise Failed(f"{url} did not answer within {LISTING_SECONDS:g} s") from error
    except http.NoAnswer as error:
        raise Failed(f"{url}: {_why_not(error, url)}") from error
    if answer.is_redirect:
        raise Failed(f"{url} redirects to {answer.headers.get('location')}; use that address as base_url")
    if answer.status_code in (401, 403):
        if not key:
            how = "name it with --api-key-env or --api-key-file"
            raise Failed(f"{url} wants a key: HTTP {answer.status_code} without one; {how}")
        raise Failed(f"{url} refused the key with HTTP {answer.status_code}")
    if answer.status_code in (404, 405, 501):
        raise Skipped(f"{url} answered HTTP {answer.status_code}: there is no such page")
    if answer.status_code != 200:
        raise Failed(f"{url} answered HTTP {answer.status_code}: {reason(answer.text)}")
    return answer


def _why_not(error: NoAnswer, url: str) -> str:
    """Why there was no answer, in words for people; the library's own for what is rare."""
    text = str(error)
    if "refused" in text:
        return "nobody listens there (connection refused)"
    if "Name or service not known" in text or "name resolution" in text or "No address" in text:
        return f"the name {urlsplit(url).hostname} is not known here (DNS): {text}"
    if isinstance(error, http.ClosedEarly):
        return "the connection was closed without an answer: is this an HTTP server?"
    return text or type(error).__name__


def _object(answer: Answer, url: str) -> Mapping[str, Any]:
    kind = answer.headers.get("content-type", "nothing").split(";")[0]
    try:
        data = answer.json()
        items = data.get("data") or data.get("models") or []
        if not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
            raise TypeError
    except (ValueError, AttributeError, TypeError) as error:
        raise Failed(f"{url} answered {kind}, not a list of models: is this a model server?") from error
    return cast("Mapping[str, Any]", data)


def _lists(provider: Provider, keys: Mapping[str, str]) -> str:
    listed = discover(provider, keys.get(provider.name))
    if provider.type == "llama_cpp":
        return "answers (llama.cpp serves its one model under any name)"
    if not listed:
        raise Skipped("it lists no models")
    unknown = [model.name for model in provider.models if not _has(provider, listed, model.name)]
    if unknown:
        raise Failed("; ".join(_missing(name, listed) for name in unknown))
    return f"lists {len(listed)} model{'s' if len(listed) != 1 else ''}"


def _has(provider: Provider, listed: list[str], name: str) -> bool:
    return name in listed or (provider.type == "ollama" and f"{name}:latest" in listed)


def _missing(name: str, listed: list[str]) -> str:
    near = difflib.get_close_matches(name, listed, 1)
    rest = f"did you mean `{near[0]}`?" if near else f"it lists {', '.join(listed[:8]) or 'no models'}"
    return f"it does not have `{name}`; {rest}"
