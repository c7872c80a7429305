"""Secrets at rest: the master key and ``secrets/env``, both 0600. Values never leave this module in a message."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from aiops.errors import InvalidState, Precondition, Problem
from aiops.host import files
from aiops.host.files import read
from aiops.host.instance import Instance
from aiops.spec import env_file
from aiops.spec.sources import PROVIDERS, SETTINGS

if TYPE_CHECKING:
    from aiops.spec.shapes.model import DesiredState, Provider

LEAST_KEY_LENGTH = 20


def make_master_key(instance: Instance) -> bool:
    """Generate a master key unless there is one. True when it was made. Raises OSError."""
    if instance.master_key.exists():
        return False
    import secrets

    files.write(instance.master_key, f"sk-{secrets.token_urlsafe(32)}\n".encode(), 0o600)
    return True


def read_master_key(path: Path) -> str:
    """The master key. Raises InvalidState when it is missing, readable by others, or easy to guess."""
    name = path.name
    try:
        mode = path.stat().st_mode
        key = path.read_bytes().decode("latin-1").strip()  # a key is ASCII: see weakness
    except OSError as error:
        raise InvalidState(
            [Problem(name, 0, f"the master key cannot be read: {error.strerror}", f"expected in {path}, mode 0600")]
        ) from error
    problems = []
    if mode & 0o077:
        problems.append(Problem(name, 0, "others can read the master key", f"`chmod 600 {path}`"))
    if weak := weakness(key):
        make_new = "`python3 -c 'import secrets; print(\"sk-\" + secrets.token_urlsafe(32))'` makes a good one"
        problems.append(Problem(name, 0, f"the master key is weak: {weak}", make_new))
    if problems:
        raise InvalidState(problems)
    return key


def weakness(key: str) -> str:
    """Why nobody should guard a gateway with this key; empty when it is good."""
    if not key:
        return "it is empty"
    if not key.startswith("sk-"):
        return "it does not begin with sk- (LiteLLM would write it to its log)"
    if len(key) < LEAST_KEY_LENGTH:
        return f"it has {len(key)} characters, at least {LEAST_KEY_LENGTH} are needed"
    if len(set(key)) < 8:
        return "it repeats the same few characters"
    if any(not 33 <= ord(character) < 127 for character in key):
        return "it holds characters that no HTTP header can carry"
    return ""


def read_env(instance: Instance) -> dict[str, str]:
    """``secrets/env``: ``NAME=value`` lines. Empty when there is none. Raises InvalidState when it is not text."""
    if not instance.env_file.exists():
        return {}
    try:
        return env_file.parse(instance.env_file.read_text())
    except UnicodeDecodeError as error:
        line = 1 + error.object[: error.start].count(b"\n")
        hint = "write it again as UTF-8: NAME=value, one a line"
        raise InvalidState([Problem(str(instance.env_file), line, "it is not UTF-8 text", hint)]) from None


def require_mounted(instance: Instance, state: DesiredState) -> None:
    """A container sees of this machine what is mounted: of keys, ``secrets/``. Raises InvalidState with each other."""
    if state.settings.supervisor != "container":
        return
    root = instance.secrets.resolve()
    named: list[tuple[str, tuple[str, ...], str]] = []
    if state.settings.master_key_file is not None:
        named.append((SETTINGS, ("master_key_file",), state.settings.master_key_file))
    for name, provider in state.providers.items():
        if provider.status == "active" and provider.api_key_file is not None:
            named.append((PROVIDERS, ("providers", name, "api_key_file"), provider.api_key_file))
    problems = []
    for file, where, written in named:
        path = (instance.secrets / Path(written).expanduser()).resolve()
        if not path.is_relative_to(root):
            what = f"`{'.'.join(where[-2:])}` is outside {root}, where the gateway's container does not see it"
            copy = f"`install -m 600 {path} {root / path.name}`, then `{where[-1]}: {path.name}`"
            problems.append(Problem(file, state.line(file, where), what, copy))
    if problems:
        raise InvalidState(problems)


def environment(instance: Instance) -> dict[str, str]:
    """What ``${VAR}`` and ``api_key_env`` mean for this instance: ``secrets/env`` over this process's environment."""
    return {**os.environ, **read_env(instance)}


def with_secrets(instance: Instance, values: dict[str, str]) -> bytes:
    """``secrets/env`` as it has to be for these variables to be in it."""
    text = instance.env_file.read_text() if instance.env_file.exists() else "# Keys of providers, NAME=value. 0600.\n"
    kept = [line for line in text.splitlines() if (env_file.assigned(line) or ("",))[0] not in values]
    return "\n".join([*kept, *(f"{name}={value}" for name, value in values.items()), ""]).encode()


def not_yet_kept(instance: Instance, names: Iterable[str]) -> dict[str, str]:
    """Variables this shell has and ``secrets/env`` has not: the gateway, started elsewhere, would miss them.

    Raises Precondition naming the variables that are set nowhere.
    """
    kept = read_env(instance)
    wanted = [name for name in names if name not in kept]
    missing = [name for name in wanted if not os.environ.get(name)]
    if missing:
        raise Precondition(
            f"the environment variable{'s' if len(missing) > 1 else ''} {', '.join(missing)} "
            f"{'are' if len(missing) > 1 else 'is'} not set",
            f"`export {missing[0]}=…` in this shell, or put {missing[0]}=… into {instance.env_file}",
        )
    return {name: os.environ[name] for name in wanted}


def provider_keys(instance: Instance, providers: Sequence[Provider], environment: Mapping[str, str]) -> dict[str, str]:
    """API key per provider that has one. A file that cannot be read is left to the gateway to complain about."""
    keys: dict[str, str] = {}
    for provider in providers:
        if provider.api_key_env:
            keys[provider.name] = environment.get(provider.api_key_env, "")
        elif provider.api_key_file:
            content = read(instance.secrets / Path(provider.api_key_file).expanduser())
            keys[provider.name] = (content or b"").decode(errors="replace").strip()
    return {name: key for name, key in keys.items() if key}
