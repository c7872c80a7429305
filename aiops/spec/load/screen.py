"""What is refused wherever it stands: secrets in clear, stray `${…}`, and sections this version does not act on."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from aiops.errors import Problem
from aiops.spec.shapes.model import ModelSpec
from aiops.spec.shapes.option_tables import LAUNCH
from aiops.spec.shapes.reference import REFERENCE
from aiops.spec.sources import KEYS, MAPPINGS, PORTS, PROVIDERS, SETTINGS
from aiops.spec.yaml.yaml12 import Document, Path, dotted

SECRET_KEYS = frozenset(
    (
        *("api_key", "apikey", "api_token", "token", "access_token", "auth_token", "bearer_token", "bearer"),
        *("secret", "secret_key", "client_secret", "private_key", "master_key"),
        *("password", "passwd", "credential", "credentials"),
    )
)
_SECRET_VALUE = re.compile(
    r"(?<![A-Za-z0-9])("
    r"sk-[A-Za-z0-9_-]{16,}|gsk_[A-Za-z0-9]{20,}|xai-[A-Za-z0-9]{20,}|hf_[A-Za-z0-9]{20,}|gh[pousr]_[A-Za-z0-9]{20,}"
    r"|AIza[A-Za-z0-9_-]{30,}|AKIA[A-Z0-9]{16}|xox[abp]-[A-Za-z0-9-]{10,}"
    r"|Bearer +[A-Za-z0-9._-]{16,}|-----BEGIN [A-Z ]*PRIVATE KEY)"
)
_LATER = frozenset(
    (
        *("auth", "cors", "limits", "storage", "monitoring", "budgets"),
        *("fleet", "state", "redis", "postgres", "sync"),
    )
)
"""Sections of aiops.yaml that are known and not acted on."""
_OF_THE_SERVER = "what a server is started with belongs to its own command line; what a request carries, to `options`"
_NOT_HERE = {
    "configuration": _OF_THE_SERVER,
    **dict.fromkeys(LAUNCH.keys() - ModelSpec.model_fields.keys(), _OF_THE_SERVER),
    "rate_limit": f"limits belong to a served name: `exact_matches.NAME.rate_limit` in {MAPPINGS}",
    "rate_limits": f"limits belong to a served name: `exact_matches.NAME.rate_limit` in {MAPPINGS}",
}
"""Keys that operators write at a provider or a model, where nothing would read them."""
_NAMED_BY_THE_OPERATOR = {
    ("providers",),
    ("keys",),
    ("teams",),
    ("users",),
    ("budgets",),
    ("exact_matches",),
    ("capabilities",),
    ("load_balancing",),
    ("fallback_chains",),
    ("routing_rules", "request_metadata_routing"),
}
_OTHER_NAMES = {"env_var": "api_key_env", "url": "base_url", "endpoint": "base_url", "api_base": "base_url"}


def screen(doc: Document) -> tuple[list[Problem], Any]:
    """Every refusal in one file, and its data without what was refused (so that it is not reported twice)."""
    problems: list[Problem] = []
    return problems, _walk(doc, doc.data, (), problems)


def _walk(doc: Document, value: Any, path: Path, problems: list[Problem]) -> Any:
    if isinstance(value, str):
        problems.extend(_text(doc, value, path))
        return value
    if isinstance(value, tuple):
        return tuple([_walk(doc, item, (*path, i), problems) for i, item in enumerate(value)])
    if not isinstance(value, dict):
        return value
    kept = {}
    for key, item in value.items():
        where = (*path, key)
        refusal = _refused(doc, where, item) if _is_key_of_ours(doc.file, path) else None
        if refusal is None:
            kept[key] = _walk(doc, item, where, problems)
        else:
            problems.append(refusal)
    return kept


def _is_key_of_ours(file: str, path: Path) -> bool:
    """Keys below `providers:`, `exact_matches:` and the like are the operator's own names, as services are."""
    if file == PORTS:
        return path not in {(), ("reserved",)}
    return path not in _NAMED_BY_THE_OPERATOR


def _refused(doc: Document, path: Path, value: Any) -> Problem | None:
    key, line, name = str(path[-1]), doc.line, dotted(path)
    if holds_secret(key) and not (isinstance(value, str) and REFERENCE.fullmatch(value)):
        return Problem(doc.file, line(path), f"`{name}` would hold a secret in clear", _secret_hint(doc.file))
    if doc.file == SETTINGS and len(path) == 1 and key in _LATER:
        return Problem(
            doc.file, line(path), f"`{name}` is not supported by this version", "remove it: it would have no effect"
        )
    if doc.file == PROVIDERS and key in _NOT_HERE and (len(path) == 3 or (len(path) == 5 and path[2] == "models")):
        return Problem(doc.file, line(path), f"`{name}` would have no effect", _NOT_HERE[key])
    if doc.file == PROVIDERS and len(path) == 3 and key in _OTHER_NAMES:
        return Problem(doc.file, line(path), f"unknown key `{name}`", f"call it `{_OTHER_NAMES[key]}`")
    return None


def _text(doc: Document, value: str, path: Path) -> Iterator[Problem]:
    if is_secret(value):
        yield Problem(doc.file, doc.line(path), f"`{dotted(path)}` holds a secret in clear", _secret_hint(doc.file))
    if "${" in value and not (doc.file == PROVIDERS and len(path) == 3 and path[2] == "base_url"):
        yield Problem(
            doc.file,
            doc.line(path),
            f"`{dotted(path)}`: `${{…}}` is only resolved in `base_url`",
            "write the value itself",
        )


def is_secret(value: str) -> bool:
    """Whether a text contains what looks like a key."""
    return len(value) >= 14 and _SECRET_VALUE.search(value) is not None


def hide_secrets(text: str) -> str:
    """The text with ``***`` in place of everything that looks like a key."""
    return _SECRET_VALUE.sub("***", text)


def holds_secret(key: str) -> bool:
    """Whether the value of a key of that name is a secret, whatever it looks like."""
    return key.lower().replace("-", "_") in SECRET_KEYS


def _secret_hint(file: str) -> str:
    if file == SETTINGS:
        return "keep it in a file of its own and name that: `master_key_file: PATH`"
    if file == KEYS:
        return "remove it: `aiops apply` makes the keys that are new, and leaves each in secrets/keys"
    return "refer to it: `api_key_env: NAME` or `api_key_file: PATH`"
