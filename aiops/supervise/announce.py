"""A verb's outcome in the journal, beside what the gateway says: ``journalctl --user -u litellm`` shows both."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from aiops.gateway.shared import journald
from aiops.host.systemd import Systemd, scope
from aiops.supervise.owner import SERVICE, owner


def announce(logs: Path, facts: Mapping[str, Any]) -> None:
    """Log one audit record with fields, where systemd runs the instance with these ``logs``. Never fails."""
    where = scope()
    # Logs are beside the state, or in it: see host.instance.
    if owner(Systemd(where)) not in (str(logs.parent), str(logs.parent / "state")):
        return
    told = {"generation", "verb", "provider", "outcome", "reason", "error"}
    fields = {f"aiops_{name}": value for name, value in facts.items() if name in told}
    bad = facts.get("outcome") not in ("applied", "unchanged")
    text = f"aiops {facts.get('verb')}: {facts.get('outcome')}"
    text += f", generation {facts['generation']}" if facts.get("generation") else ""
    text += f": {facts['error']}" if facts.get("error") else ""
    # USER_UNIT is how journalctl finds what others say about a unit; for the machine's own manager only it may.
    fields["user_unit" if where == "user" else "aiops_unit"] = SERVICE
    journald.send(text, journald.WARNING if bad else journald.INFO, **fields, syslog_identifier="aiops")
