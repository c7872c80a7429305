"""``providers.yaml`` of an older registry -> ours: edited in place, so that comments and order stay."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from aiops.importing import provider_keys as known
from aiops.importing.keys import Clear, Reference, Secrets, read_key, read_url, variable
from aiops.importing.options import at_start, called
from aiops.importing.report import Fate, Ledger
from aiops.importing.rewrite import Rewrite
from aiops.spec.load.screen import holds_secret
from aiops.spec.shapes.model import ModelSpec, Provider
from aiops.spec.shapes.provider_types import TYPES
from aiops.spec.suggest import nearest
from aiops.spec.yaml.yaml12 import Path

_PROVIDER_KEYS = frozenset(Provider.model_fields) - {"name"}
_MODEL_KEYS = frozenset(ModelSpec.model_fields)
_SLOTS = ("n_parallel", "parallel", "max_num_seqs", "num_parallel")
_UNIT = re.compile(r".*/systemd/(user|system)/([A-Za-z0-9_][A-Za-z0-9:_.\\@-]*\.service)")


def translate_providers(rewrite: Rewrite, ledger: Ledger, secrets: Secrets) -> None:
    """Judge every key of the file and edit it so that it means the same to aiops."""
    for section in rewrite.data:
        if section != "providers":
            _section(rewrite, ledger, section)
    for name, entry in rewrite.mapping("providers").items():
        if isinstance(entry, Mapping):
            _Provider(rewrite, ledger, secrets, name, entry).translate()


def _section(rewrite: Rewrite, ledger: Ledger, name: str) -> None:
    fate, why = known.SECTIONS.get(name, (Fate.DECISION, "aiops has no such section; it stays as a comment"))
    if name not in known.SECTIONS and (near := nearest(name, ["providers", *known.SECTIONS])):
        why = f"did you mean `{near}`? It stays as a comment"
    ledger.note((name,), fate, why)
    rewrite.set_aside((name,))


class _Provider:
    """One entry below ``providers:``."""

    def __init__(self, rewrite: Rewrite, ledger: Ledger, secrets: Secrets, name: str, entry: Mapping[str, Any]) -> None:
        self.rewrite, self.ledger, self.secrets = rewrite, ledger, secrets
        self.name, self.entry = name, entry
        self.path: Path = ("providers", name)

    def translate(self) -> None:
        """Every key, in the order of the file."""
        for key, value in self.entry.items():
            path = (*self.path, key)
            if key in known.RENAMED and known.RENAMED[key] not in self.entry:
                self._renamed(path, known.RENAMED[key], value)
            elif key == "type":
                self._word(path, value, known.TYPES, TYPES)
            elif key == "status":
                self._word(path, value, known.STATUSES, ("active", "disabled", "template"))
            elif key == "enabled" and isinstance(value, bool) and "status" not in self.entry:
                status = "active" if value else "disabled"
                self.rewrite.swap(path, "status", status)
                self.ledger.translated(path, "called `status` here", f"status: {status}")
            elif key == "base_url":
                self._url(path, key, value)
            elif holds_secret(key):
                self._secret(path, value)
            elif key == "service_file" and "service" not in self.entry and self._unit(path, value):
                continue
            elif key == "models":
                self._models(path, value)
            elif key == "options":
                self._options(path, value)
            elif key in _PROVIDER_KEYS:
                self.ledger.note(path, Fate.DOCUMENTATION if key in known.DOCUMENTED else Fate.KEPT)
            else:
                self._aside(path, known.PROVIDER, _PROVIDER_KEYS)
                if key == "configuration":
                    self._parallel(value)

    def _options(self, path: Path, options: Any) -> None:
        """Each under the name its backend has for it; what no request can change becomes a comment."""
        kind = known.TYPES.get(str(self.entry.get("type")), str(self.entry.get("type")))
        self.ledger.kept(path)
        for key in options if isinstance(options, Mapping) else ():
            where, name = (*path, key), called(kind, key)
            if name == key:
                continue
            if name is not None and name not in options:
                self.rewrite.rename(where, name)
                self.ledger.translated(where, f"{kind} calls it `{name}`; under the old name it had no effect", name)
                continue
            self.rewrite.set_aside(where)
            if at_start(key):
                self.ledger.dropped(where, "belongs to the start of the model server; no request can change it")
            else:
                self.ledger.dropped(where, f"{kind} would ignore it")

    def _parallel(self, configuration: Any) -> None:
        """How many requests the server was started for is what the gateway may send it at a time."""
        for key in _SLOTS if isinstance(configuration, Mapping) else ():
            slots = configuration.get(key)
            if isinstance(slots, int) and slots > 0 and "max_parallel" not in self.entry:
                self.rewrite.put((*self.path, "max_parallel"), slots)
                self.ledger.translated((*self.path, "configuration", key), "requests at a time", "max_parallel")
                return

    def _aside(self, path: Path, reasons: Mapping[str, tuple[Fate, str]], valid: frozenset[str]) -> None:
        key = str(path[-1])
        if self.ledger.judged(path) is not None:
            pass  # by another key of this provider
        elif key in reasons:
            self.ledger.note(path, *reasons[key])
        elif at_start(key):
            self.ledger.dropped(path, known.SERVER)
        elif near := nearest(key, valid):
            self.ledger.decide(path, f"nothing reads it; did you mean `{near}`? It stays as a comment")
        else:
            self.ledger.documentation(path, "nothing reads it; it stays as a comment")
        self.rewrite.set_aside(path)

    def _word(self, path: Path, value: Any, others: Mapping[str, str], valid: Any) -> None:
        new = others.get(value.lower()) if isinstance(value, str) and value not in valid else None
        if new is None:
            self.ledger.kept(path)  # a word that nobody knows is for `load` to report
        else:
            self.rewrite.put(path, new)
            self.ledger.translated(path, "called otherwise here", new)

    def _renamed(self, path: Path, new: str, value: Any) -> None:
        if new == "base_url":
            self._url(path, new, value)
            return
        reference = read_key(value)
        if isinstance(value, str) and re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", value):
            self.rewrite.rename(path, new)
            self.ledger.translated(path, f"called `{new}` here", new)
        elif isinstance(reference, Reference):
            self.rewrite.swap(path, new, reference.name)
            self.ledger.translated(path, f"called `{new}` here", new)
        else:
            self._secret(path, value)

    def _url(self, path: Path, key: str, value: Any) -> None:
        url = read_url(value) if isinstance(value, str) else value
        cleaned = _without_credentials(url) if isinstance(url, str) else url
        if cleaned != url:
            self.rewrite.swap(path, key, cleaned)
            self.ledger.decide(path, "the name and password in it were removed: give the provider a key instead")
        elif url != value or key != path[-1]:
            self.rewrite.swap(path, key, url)
            self.ledger.translated(path, f"written `{key}: …${{NAME}}…` here" if url != value else f"called `{key}`")
        else:
            self.ledger.kept(path)

    def _secret(self, path: Path, value: Any) -> None:
        """A key: a reference is renamed, a value moves to ``secrets/env``, a word for "none" goes."""
        key = read_key(value)
        taken = "api_key_env" in self.entry or ("env_var" in self.entry and path[-1] != "env_var")
        if key is None:
            self.ledger.dropped(path, "it stands for no key, and a provider without one needs no word for it")
            self.rewrite.set_aside(path)
            return
        if isinstance(key, Clear) and taken:
            self.ledger.dropped(path, "a key in clear beside `api_key_env`, which counts; its value was not copied")
            self.rewrite.set_aside(path)
            return
        if isinstance(key, Clear):
            name = self.secrets.keep(variable(self.name), key.value)
            self.ledger.translated(path, "a key in clear: moved out of the file", f"secrets/env: {name}")
        else:
            name = key.name
            self.ledger.translated(path, "a reference to the environment is `api_key_env` here", "api_key_env")
        if taken:
            self.rewrite.set_aside(path)
        else:
            self.rewrite.swap(path, "api_key_env", name)

    def _unit(self, path: Path, value: Any) -> bool:
        found = _UNIT.fullmatch(value) if isinstance(value, str) else None
        if found is None or found[2].endswith("@.service"):
            return False
        self.rewrite.swap(path, "service", {"unit": found[2], "scope": found[1]})
        self.ledger.translated(path, "the unit that runs it, for `aiops provider` and `aiops switch`", "service")
        return True

    def _models(self, path: Path, models: Any) -> None:
        length = self.entry.get("max_model_len")
        self.ledger.kept(path)
        for index, item in enumerate(models if isinstance(models, tuple) else ()):
            if not isinstance(item, Mapping):
                continue
            for key in item:
                where = (*path, index, key)
                if key == "options":
                    self._options(where, item[key])
                elif key in _MODEL_KEYS:
                    documented = key in known.DOCUMENTED_OF_MODELS
                    self.ledger.note(where, Fate.DOCUMENTATION if documented else Fate.KEPT)
                else:
                    self._aside(where, known.MODEL, _MODEL_KEYS)
            if isinstance(length, int) and "context_length" not in item:
                self.rewrite.put((*path, index, "context_length"), length)
                self.ledger.translated((*self.path, "max_model_len"), "the context of its models", "context_length")


def _without_credentials(url: str) -> str:
    try:
        parts = urlsplit(url)
    except ValueError:
        return url
    if "@" not in parts.netloc:
        return url
    return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()
