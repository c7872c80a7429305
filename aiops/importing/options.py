"""Options of models, under the names that the backend and LiteLLM have for them."""

from __future__ import annotations

from collections.abc import Mapping

from aiops.spec.shapes.option_tables import LAUNCH, OPTIONS, SAME_AS


def options_of(kind: str) -> Mapping[str, str]:
    """LiteLLM's parameter -> the option of that type of provider which means it."""
    table = OPTIONS.get(kind, {})
    return {
        **{name: name for name in table},
        **{option.litellm: name for name, option in table.items() if option.litellm},
    }


def called(kind: str, name: str) -> str | None:
    """What an option is called for that type; None when its backend has nothing like it."""
    table = OPTIONS.get(kind, {})
    if name in table:
        return name
    return next((other for other in SAME_AS.get(name.lower().replace("-", "_"), ()) if other in table), None)


def at_start(name: str) -> bool:
    """Whether it is a setting of the server's own start."""
    return name.lower().replace("-", "_") in LAUNCH
