"""After an import: whoever sits there is asked whether it is to be proved, and others are told how."""

from __future__ import annotations

import shlex
from pathlib import Path

from aiops.actions.instance.asking import asks
from aiops.host.instance import Instance
from aiops.importing.importer import Found
from aiops.output import Output


def offer(instance: Instance, path: Path, found: Found, out: Output, *, assume_yes: bool) -> None:
    """Offer to prove what was imported from ``path``. Nothing is said of what cannot be proved.

    Raises VerificationFailed when it is proved and something differs: what was imported stays, and nothing runs.
    """
    if found.config is None:
        return
    if not asks(out, assume_yes):
        out.say(f"`{instance.command} import {shlex.quote(str(path))} --prove --dry-run` proves that it does the same")
    elif out.ask(
        "Prove that it does the same? LiteLLM and aiops are run side by side for a minute; nobody else is asked."
    ):
        from aiops.actions.importing.prove import proved

        proved(found, out, made=True)
