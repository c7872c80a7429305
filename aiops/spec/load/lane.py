"""``lane: direct`` of a provider that cannot be asked without LiteLLM, or not with the options it has."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from aiops.errors import Problem
from aiops.spec.lanes.options import hindrance
from aiops.spec.lanes.speech import SPEECH
from aiops.spec.shapes.option_tables import OPTIONS
from aiops.spec.yaml.yaml12 import Document, Path, dotted


def check_lane(doc: Document, path: tuple[str | int, ...], raw: Mapping[str, Any]) -> Iterator[Problem]:
    """Every problem of a provider that says it."""
    kind, where = raw.get("type"), (*path, "lane")
    if raw.get("lane") != "direct" or not isinstance(kind, str) or kind not in OPTIONS:
        return
    speech = SPEECH.get(kind)
    if speech is None:
        message = f"`{dotted(where)}: direct`: {kind} speaks a language of its own, which only LiteLLM translates"
        hint = "remove it; for an address of it that speaks OpenAI's, write `type: openai_compatible` and `base_url`"
        yield Problem(doc.file, doc.line(where), message, hint)
        return
    for place, name, value in _options(path, raw):
        option = OPTIONS[kind].get(name)
        if option is None:
            continue  # said where options are checked
        if why := hindrance(kind, speech.takes, option.litellm or name, value):
            message = f"`{dotted(place)}` does not go with `lane: direct`: {why}"
            yield Problem(doc.file, doc.line(place), message, f"remove it, or `lane: direct` of `{path[-1]}`")


def _options(path: tuple[str | int, ...], raw: Mapping[str, Any]) -> Iterator[tuple[Path, str, object]]:
    """Where each stands, its name and value: of the provider and of its models."""
    models = raw.get("models")
    owners = [(path, raw)]
    for index, model in enumerate(models if isinstance(models, tuple) else ()):
        if isinstance(model, dict):
            owners.append(((*path, "models", index), model))
    for owner, given in owners:
        options = given.get("options")
        for name, value in options.items() if isinstance(options, dict) else ():
            yield (*owner, "options", name), name, value
