"""Names an operator may choose, and how they are shown when they are wrong."""

from __future__ import annotations

from aiops.errors import Problem
from aiops.spec.yaml.yaml12 import Document, Path

HIDDEN = "aiops:"
"""What the names of deployments that are not served under a name of their own begin with."""

_MODEL_LIMIT = 256
# LiteLLM cuts the first off and sends the rest upstream, and looks the second up in the environment.
_MISREAD = ("responses/", "os.environ/")


def check_model_name(doc: Document, path: Path, name: str, problems: list[Problem]) -> None:
    """Control characters, blanks at the ends, over-long names; and what LiteLLM would take for something else."""
    message = hint = ""
    if not name:
        message = "a model name is empty"
    elif any(ord(c) < 32 or 127 <= ord(c) < 160 or c in "\u2028\u2029\ufeff" for c in name):
        message = f"the model name {quoted(name)} contains a control character"
    elif name != name.strip():
        message, hint = f"the model name {quoted(name)} begins or ends with a blank", "remove it"
    elif len(name) > _MODEL_LIMIT:
        message = f"the model name {quoted(name)} has {len(name)} characters, more than {_MODEL_LIMIT}"
    elif any(ord(c) > 255 for c in name):
        # LiteLLM copies it into response headers, which hold Latin-1: every answer would be an HTTP 500.
        message = f"LiteLLM cannot serve the model name {quoted(name)}: it has characters beyond Latin-1"
        hint = "have the provider serve it under another name"
    elif "*" in name:
        message, hint = (
            f"the model name {quoted(name)} contains `*`",
            "for many names write a pattern under `patterns:`",
        )
    elif name.startswith(_MISREAD):
        message, hint = (
            f"LiteLLM would misread the model name {quoted(name)}",
            f"it may not begin with `{name.split('/')[0]}/`",
        )
    elif name.startswith(HIDDEN):
        message, hint = f"the model name {quoted(name)} begins with `{HIDDEN}`", "aiops keeps such names for itself"
    if message:
        problems.append(Problem(doc.file, doc.line(path), message, hint))


def quoted(name: str) -> str:
    """For a message: cut, and without characters that do not print."""
    text = "".join(c if c.isprintable() else f"\\u{ord(c):04x}" for c in short(name))
    return f"`{text}`"


def short(text: str, limit: int = 60) -> str:
    """The beginning of a long text."""
    return text if len(text) <= limit else text[: limit - 1] + "…"
