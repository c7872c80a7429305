"""systemd units from the templates in ``units/``: the same templates for a user's manager and for the machine's.

A line that begins with ``@user`` or ``@system`` belongs to that scope only; ``{{name}}`` is replaced.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

GATEWAY_UNITS = ("litellm.socket", "litellm.service", "aiops-verify.service", "aiops-verify.timer")
EXAMPLE = "litellm.service.d-example.conf"
STOP_MARGIN_SECONDS = 15  # between the gateway's own limit and systemd's

_SCOPED = re.compile(r"^@(user|system) ")
_NAME = re.compile(r"\{\{(\w+)\}\}")


@dataclass(frozen=True)
class UnitFacts:
    """What the units depend on. ``listen``: ``ADDRESS:PORT``, an address, not a name. Paths are absolute."""

    scope: Literal["user", "system"]
    python: str
    listen: str
    host: str
    port: int
    state: str
    run: str
    secrets: str
    config: str
    logs: str
    home: str | None = None
    user: str = ""
    group: str = ""
    stop_within: int = 90
    environment: Mapping[str, str] | None = None
    environment_directory: str = ""
    systemctl: str = "/usr/bin/systemctl"
    program: str = ""  # a provider's server


def render_units(
    facts: UnitFacts, templates: Mapping[str, str], names: Sequence[str] = GATEWAY_UNITS
) -> dict[str, bytes]:
    """Unit name -> bytes. Raises KeyError for a template that is missing or asks for what nobody knows."""
    values = _values(facts)
    return {name: fill(templates[name], facts.scope, values).encode() for name in names}


def fill(template: str, scope: str, values: Mapping[str, str]) -> str:
    """The template for one scope. Raises KeyError when it asks for what is not among the values."""
    lines = []
    for line in template.splitlines():
        scoped = _SCOPED.match(line)
        if scoped and scoped[1] != scope:
            continue
        bare = line[scoped.end() :] if scoped else line
        filled = _NAME.sub(lambda found: values[found[1]], bare)
        if filled or not bare:
            lines.append(filled)
    return "\n".join(lines) + "\n"


def _values(facts: UnitFacts) -> dict[str, str]:
    user = facts.scope == "user"
    flag = "--user " if user else ""
    directories = [("--state", facts.state), ("--run", facts.run), ("--secrets", facts.secrets)]
    start = [facts.python, "-m", "aiops.gateway", "--host", facts.host, "--port", str(facts.port)]
    start += [part for pair in directories for part in pair]
    start += ["--stop-within", str(facts.stop_within)]
    cli = [facts.python, "-m", "aiops", *(["--home", facts.home] if facts.home else []), "--yes"]
    hook = [facts.python, "-m", "aiops.host.unit_hook", "--scope", facts.scope, "--run", facts.run]
    hook += ["--within", str(facts.stop_within)]
    writable = sorted({facts.state, facts.run, facts.config, facts.logs, facts.secrets})
    return {
        "flag": flag,
        "journal_flag": "--user -u" if user else "-u",
        "listen": facts.listen,
        "state": facts.state,
        "start": join(start),
        "reload": join([*cli, "apply", "--reason", f"systemctl {flag}reload"]),
        "verify": join([*cli, "verify"]),
        "hook": join(hook),
        "stop_within": str(facts.stop_within),
        "stop_timeout": str(facts.stop_within + STOP_MARGIN_SECONDS),
        "environment": "\n".join(_environment(facts.environment or {})),
        # '-': a directory that does not exist yet must not keep the gateway from starting and saying so.
        "current": quote(f"{facts.state}/current"),
        "writable": join([f"-{path}" for path in writable]),
        "protect_home": "read-only" if _in_home(facts) else "yes",
        "user": facts.user,
        "group": facts.group,
        "systemctl": join([facts.systemctl, *(["--user"] if user else [])]),
        "target": "default.target" if user else "multi-user.target",
        "environment_directory": facts.environment_directory.replace("%", "%%")
        or ("%E/aiops" if user else "/etc/aiops"),
        "program": quote(facts.program),
    }


def _in_home(facts: UnitFacts) -> bool:
    """Whether the program or its files are below a home directory, which ProtectHome= would hide."""
    return any(path.startswith(("/home/", "/root/", "/run/user/")) for path in (facts.python, facts.state, facts.run))


def _environment(variables: Mapping[str, str]) -> list[str]:
    return [f"Environment={quote(f'{name}={value}', variables=False)}" for name, value in sorted(variables.items())]


def join(argv: Sequence[str]) -> str:
    """An argument list as systemd.service(5) reads a command line."""
    return " ".join(quote(argument) for argument in argv)


def quote(text: str, variables: bool = True) -> str:
    """One word. Specifiers are taken literally, and ``$`` too where systemd would expand variables."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%")
    if variables:
        escaped = escaped.replace("$", "$$")
    return f'"{escaped}"' if not text or set(text) & set(" \t'\"\\;") else escaped
