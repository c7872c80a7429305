"""Looking at providers directly, before a candidate is proved: do they answer, and do they have the models?"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast
from urllib.parse import urlsplit

from aiops.host import http
from aiops.host.http import Answer, NoAnswer
from aiops.spec.shapes.model import Provider
from aiops.spec.shapes.provider_types import same_model
from aiops.verify.check import About, Absent, Check, Failed, Skipped, timed
from aiops.verify.client import reason
from aiops.verify.side_by_side import side_by_side

# A listing costs a provider nothing; one that needs longer than this hangs.
LISTING_SECONDS = 5.0


# Of a proxy whose server is off, a server that loads a model, and one that has too much to do.
_NOT_NOW = frozenset({429, 502, 503, 504})
# What llama.cpp says of itself in its list of models: one model, which answers to any name.
_ANY_NAME = "llamacpp"


@dataclass(frozen=True)
class Looked:
    """What one provider said. ``unlisted``: declared models that are not ``listed``, and may answer all the same."""

    check: Check
    unlisted: tuple[str, ...] = ()
    listed: tuple[str, ...] = ()


class WrongModels(Failed):
    """It lists models, but not these ``names``."""

    def __init__(self, names: Sequence[str], listed: Sequence[str]) -> None:
        super().__init__("; ".join(missing(name, listed) for name in names))
        self.names, self.listed = tuple(names), tuple(listed)


def look(providers: Iterable[Provider], keys: Mapping[str, str]) -> list[Check]:
    """One check per active provider: it lists at least what is declared. ``keys``: provider name -> API key."""
    return [looked.check for looked in look_closely(providers, keys)]


def look_closely(providers: Iterable[Provider], keys: Mapping[str, str]) -> list[Looked]:
    """The same, with what is missing in each list."""
    active = [provider for provider in providers if provider.status == "active"]
    return list(side_by_side(lambda each: _looked(each, keys), active, 8))


def _looked(provider: Provider, keys: Mapping[str, str]) -> Looked:
    wrong: list[WrongModels] = []

    def act() -> str:
        try:
            return _lists(provider, keys)
        except WrongModels as error:
            wrong.append(error)
            raise

    check = timed(f"provider:{provider.name}", act, About(provider.name))
    return Looked(check, wrong[0].names, wrong[0].listed) if wrong else Looked(check)


def serves(provider: Provider, key: str | None) -> str:
    """Healthy, and with the models that are declared; what it said. Raises Failed, or WrongModels."""
    _healthy(provider, key)
    try:
        found = listing(provider, key)
    except Skipped as skip:
        return f"healthy; {skip}"
    if _any_name(provider, found):
        return "healthy (llama.cpp serves its one model under any name)"
    listed = _names(found)
    if unknown := _unknown(provider, listed):
        raise WrongModels(unknown, listed)
    return f"healthy, with {', '.join(model.name for model in provider.models[:5]) or 'no model asked for'}"


def _healthy(provider: Provider, key: str | None) -> None:
    url = provider.health_url
    if url is None:
        return
    headers = {"authorization": f"Bearer {key}"} if key else {}
    try:
        answer = http.send("GET", url, headers=headers, timeout=LISTING_SECONDS, proxies=True)
    except http.TookTooLong as error:
        raise Absent(f"{url} did not answer within {LISTING_SECONDS:g} s") from error
    except http.NoAnswer as error:
        raise Absent(f"{url}: {error}") from error
    if answer.status_code != 200:
        raise Failed(f"{url} answered HTTP {answer.status_code}")


def discover(provider: Provider, key: str | None) -> list[str]:
    """The models a provider lists. Raises Failed with the reason, Skipped when its type lists none."""
    return _names(listing(provider, key))


def _names(found: Mapping[str, Any]) -> list[str]:
    return [str(item.get("id") or item.get("name")) for item in _items(found)]


def _items(found: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return list(found.get("data") or found.get("models") or [])


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
        raise Absent(f"{url} did not answer within {LISTING_SECONDS:g} s") from error
    except http.NoAnswer as error:
        raise Absent(f"{url}: {_why_not(error, url)}") from error
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
        kind = Absent if answer.status_code in _NOT_NOW else Failed
        raise kind(f"{url} answered HTTP {answer.status_code}: {reason(answer.text)}")
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
    found = listing(provider, keys.get(provider.name))
    if _any_name(provider, found):
        return "answers (llama.cpp serves its one model under any name)"
    listed = _names(found)
    if not listed:
        raise Skipped("it lists no models")
    if unknown := _unknown(provider, listed):
        raise WrongModels(unknown, listed)
    return f"lists {len(listed)} model{'s' if len(listed) != 1 else ''}"


def _any_name(provider: Provider, found: Mapping[str, Any]) -> bool:
    """Whether it has one model and answers to any name: llama.cpp, whatever it was declared as."""
    items = _items(found)
    return provider.type == "llama_cpp" or (len(items) == 1 and items[0].get("owned_by") == _ANY_NAME)


def _unknown(provider: Provider, listed: Sequence[str]) -> list[str]:
    has = set(listed)
    if provider.type == "ollama":  # the tag that is meant when none is written
        has |= {same for name in listed if (same := same_model(name)) is not None}
    return [model.name for model in provider.models if model.name not in has]


def missing(name: str, listed: Sequence[str]) -> str:
    """That a provider does not have ``name``, and what may be meant."""
    near = difflib.get_close_matches(name, listed, 1)
    rest = f"did you mean `{near[0]}`?" if near else f"it lists {', '.join(listed[:8]) or 'no models'}"
    return f"it does not have `{name}`; {rest}"
