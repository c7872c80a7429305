"""Keys as people write them: a reference, a value in clear, or a word that stands for none."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from aiops.spec.shapes.provider_types import PLACEHOLDER_KEY

_REFERENCE = re.compile(r"(?:os\.environ/|env/)([A-Za-z_][A-Za-z0-9_]*)|\$\{?([A-Za-z_][A-Za-z0-9_]*)(:-[^}]*)?\}?")
_NO_KEY = frozenset(
    (
        *("", "none", "null", "empty", "dummy", "fake", "fake-key", "no-key", "not-needed", "not-required"),
        *("sk-no-key-required", "sk-none", "sk-dummy", "anything", "ollama", "na", "n/a", "xxx"),
    )
)
_IN_A_URL = re.compile(r"(?:os\.environ/|env/)([A-Za-z_][A-Za-z0-9_]*)")


@dataclass(frozen=True)
class Reference:
    """The value is in the environment variable ``name``."""

    name: str


@dataclass(frozen=True)
class Clear:
    """The value itself stood in the file. It never prints."""

    value: str = field(repr=False)


def read_key(value: object) -> Reference | Clear | None:
    """What a key means; None when it stands for no key at all."""
    if not isinstance(value, str) or value.strip().lower() in _NO_KEY:
        return None
    found = _REFERENCE.fullmatch(value.strip())
    if found:
        return Reference(found[1] or found[2])
    # A key is one line: in secrets/env the rest would be lines of their own.
    return Clear("".join(line.strip() for line in value.splitlines()))


def sent_key(value: object) -> Reference | Clear | None:
    """What a key of LiteLLM's own configuration means. It sends every word there is, and a server may have been started
    with just that word: only ``none`` says the same as none, since that is sent where there is no key."""
    if not isinstance(value, str) or value.strip() in ("", PLACEHOLDER_KEY):
        return None
    return read_key(value) or Clear(value.strip())


def read_url(value: str) -> str:
    """A URL with its references the way ``base_url`` has them: ``${NAME}``."""
    found = _IN_A_URL.fullmatch(value.strip())
    return f"${{{found[1]}}}" if found else value.strip()


def variable(name: str) -> str:
    """The environment variable for the key of the provider ``name``: what cannot stand in one becomes ``_``."""
    text = re.sub(r"[^A-Z0-9]+", "_", name.upper()).strip("_")
    return f"{text}_API_KEY" if text[:1].isalpha() else f"KEY_{text}_API_KEY"


@dataclass
class Secrets:
    """What has to be kept in ``secrets/``: by environment variable, and the gateway's own key."""

    env: dict[str, str] = field(default_factory=dict, repr=False)
    master_key: str | None = field(default=None, repr=False)

    def keep(self, wanted: str, value: str) -> str:
        """Keep a value; returns the variable that holds it, another one when ``wanted`` holds something else."""
        name, count = wanted, 2
        while self.env.get(name, value) != value:
            name, count = f"{wanted}_{count}", count + 1
        self.env[name] = value
        return name
