"""``router_settings``, ``litellm_settings``, ``general_settings`` and the rest -> what aiops calls them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from aiops.importing.keys import Clear, Reference, Secrets, read_key, sent_key
from aiops.importing.litellm_keys import GENERAL, LITELLM, NEVER_READ, ROUTER, SECTIONS
from aiops.importing.numbers import number
from aiops.importing.report import Fate, Ledger
from aiops.spec.choosing.rules import ALIASES, Strategy
from aiops.spec.load.screen import holds_secret
from aiops.spec.yaml.yaml12 import Path

_TABLES = {"router_settings": ROUTER, "litellm_settings": LITELLM, "general_settings": GENERAL}
_LITELLM_ALLOWED_FAILS = 3  # litellm.constants: DEFAULT_ALLOWED_FAILS
_LITELLM_COOLDOWN = 5.0  # seconds; litellm.constants: DEFAULT_COOLDOWN_TIME_SECONDS
# LiteLLM's proxy: openai.DEFAULT_MAX_RETRIES, litellm.request_timeout (seconds).
_LITELLM_DEFAULTS: Mapping[tuple[str, ...], int] = {("gateway", "retries"): 2, ("gateway", "request_timeout"): 6000}
_WINS = {"retries": "router_settings", "request_timeout": "litellm_settings"}
"""Which section LiteLLM goes by when both have it: its router's tries, and the seconds of each try."""
_WAYS = {"context_window_fallbacks": "context_window", "content_policy_fallbacks": "content_policy"}
_BELOW = {key: f".{key}" for key in _WAYS.values()}
LITELLM_SECTIONS = frozenset((*_TABLES, "model_list", "environment_variables", *SECTIONS))
"""What a LiteLLM configuration may have at the top."""
MASTER_KEY: Path = ("general_settings", "master_key")


@dataclass
class Settings:
    """``values``: keys of aiops.yaml. ``chains``, by the key of ``fallback_chains`` and the name, and ``aliases`` come
    with the place where they were written, an alias also with what is to be said of it.

    ``enforced``: whether rpm and tpm of a deployment are limits. ``drop_params``: whether parameters that a provider
    does not know are left out.

    ``master_key_env``: the variable that holds the gateway's key, when it is not in clear.
    """

    values: dict[tuple[str, ...], int | float] = field(default_factory=dict)
    chains: dict[tuple[str, str], tuple[list[str], Path]] = field(default_factory=dict)
    enforced: bool = False
    drop_params: bool = False
    aliases: dict[str, tuple[str, Path, str]] = field(default_factory=dict)
    rules: dict[str, Any] = field(default_factory=dict)
    special: dict[str, Any] = field(default_factory=dict)
    master_key_env: str | None = None


def read_settings(ledger: Ledger, secrets: Secrets, settings: Settings) -> None:
    """Judge every section but ``model_list``."""
    data: Mapping[str, Any] = ledger.document.data
    reader = _Reader(ledger, secrets, settings)
    for section, value in data.items():
        if section in _TABLES:
            if not isinstance(value, Mapping) or not value:
                ledger.dropped((section,), "it says nothing: empty")
            for key, item in value.items() if isinstance(value, Mapping) else ():
                reader.read(section, key, item)
        elif section == "environment_variables":
            reader.environment(value)
        elif section in NEVER_READ:
            ledger.dropped((section,), NEVER_READ[section])
        elif section != "model_list" and value in (None, "", (), {}):
            ledger.dropped((section,), "it says nothing: empty")
        elif section != "model_list":
            ledger.decide((section,), SECTIONS.get(section, "aiops has nothing like this section"))
    reader.cooldowns()
    for path, value in _LITELLM_DEFAULTS.items():
        settings.values.setdefault(path, value)


class _Reader:
    def __init__(self, ledger: Ledger, secrets: Secrets, settings: Settings) -> None:
        self.ledger, self.secrets, self.settings = ledger, secrets, settings
        self.fails: tuple[int, Path] | None = None
        self.cooldown: tuple[float, Path] | None = None
        self.sources: dict[tuple[str, ...], Path] = {}

    def read(self, section: str, key: str, value: Any) -> None:
        """One setting; most mean the same in ``router_settings`` and ``litellm_settings``."""
        path = (section, key)
        if key == "fallbacks":
            self._fallbacks(path, value)
        elif key in _WAYS:
            self._fallbacks(path, value, _WAYS[key])
        elif key == "drop_params" and isinstance(value, bool):
            self.settings.drop_params = value
            if value:
                self.ledger.translated(path, "an option of every provider here", "options.drop_params")
            else:
                self.ledger.dropped(path, "so it is without it")
        elif key == "default_fallbacks":
            self._chain("default", value, path)
        elif key == "model_group_alias":
            self._aliases(path, value)
        elif key == "routing_strategy":
            self._strategy(path, value)
        elif key in ("timeout", "request_timeout"):
            self._value(path, ("gateway", "request_timeout"), value, 86400)
        elif key == "stream_timeout":
            self._value(path, ("gateway", "stream_timeout"), value, 86400)
        elif key == "num_retries":
            self._value(path, ("gateway", "retries"), value, 10)
        elif key in ("allowed_fails", "cooldown_time"):
            self._cooldown(path, value)
        elif key == "optional_pre_call_checks":
            self._checks(path, value)
        elif path == MASTER_KEY:
            self._master_key(path, value)
        else:
            self._other(section, path, value)

    def _other(self, section: str, path: Path, value: Any) -> None:
        key = str(path[-1])
        known = _TABLES[section].get(key)
        if value in (None, "", (), {}, False) and (known is None or known[0] is Fate.DECISION):
            self.ledger.dropped(path, "it says nothing: empty, or off")
        elif known is not None:
            self.ledger.note(path, *known)
        elif holds_secret(key) or key.startswith("redis"):
            self.ledger.decide(path, "aiops has nothing that would use it; the value was not copied")
        else:
            self.ledger.decide(path, f"aiops has no key for LiteLLM's `{section}.{key}`")

    def _value(self, path: Path, to: tuple[str, ...], value: Any, most: float) -> None:
        found, called = _number(value), ".".join(to)
        if found is None or not (0 <= found <= most) or (found == 0 and most > 10):
            self.ledger.decide(path, f"not a number between 0 and {most:g}")
            return
        other = self.sources.get(to)
        if other is not None and self.settings.values[to] != found:
            if other[0] == path[0]:
                self.ledger.decide(path, f"written twice with different values; the first counts for `{called}`")
                return
            loser = path if _WINS.get(to[-1], other[0]) != path[0] else other
            winner = other if loser == path else path
            self.ledger.dropped(loser, f"LiteLLM went by `{'.'.join(map(str, winner))}`")
            if loser == path:
                return
        self.settings.values[to], self.sources[to] = found, path
        self.ledger.translated(path, f"called `{called}` here", f"aiops.yaml: {called}")

    def _cooldown(self, path: Path, value: Any) -> None:
        found = number(value)
        if found is None or found < 0:
            self.ledger.decide(path, "not a number of at least 0")
        elif path[-1] == "allowed_fails":
            self.fails = (int(found), path)
        else:
            self.cooldown = (found, path)

    def _strategy(self, path: Path, value: Any) -> None:
        names: Mapping[str, str] = {**{each.value: each.value for each in Strategy}, **ALIASES}
        if isinstance(value, str) and value in names:
            self.settings.rules["default_strategy"] = str(Strategy(names[value]))
            self.settings.enforced |= value.startswith("usage-based")
            self.ledger.translated(path, "of every name with several deployments", "routing_rules.default_strategy")
        else:
            self.ledger.decide(path, "no strategy of aiops is called that; without one requests are shared at random")

    def _fallbacks(self, path: Path, value: Any, key: str = "chain") -> None:
        if value in (None, (), {}):
            self.ledger.dropped(path, "it says nothing: empty")
        for name, chain, where in _pairs(value, path):
            self._chain("default" if name == "*" else name, chain, where, key)

    def _chain(self, name: str, chain: Any, path: Path, key: str = "chain") -> None:
        names = [chain] if isinstance(chain, str) else list(chain) if isinstance(chain, tuple) else []
        if not names and chain in (None, ()):
            self.ledger.dropped(path, "it says nothing: empty")
        elif not names or not all(isinstance(each, str) for each in names):
            self.ledger.decide(path, "a fallback with parameters of its own; aiops names models only")
        elif (key, name) in self.settings.chains and self.settings.chains[key, name][0] != names:
            self.ledger.dropped(path, "a second chain for the same model; LiteLLM took the first")
        else:
            self.settings.chains.setdefault((key, name), (list(dict.fromkeys(names)), path))
            self.ledger.translated(path, "a chain here", f"fallback_chains.{name}" + _BELOW.get(key, ""))

    def _aliases(self, path: Path, value: Any) -> None:
        listed = isinstance(value, tuple)
        for alias, target, where in _pairs(value, path):
            name = target.get("model") if isinstance(target, Mapping) else target
            if not isinstance(name, str):
                self.ledger.decide(where, "an alias without a model")
                continue
            why = "a second name for the same"
            if listed:
                why += "; as a list it crashed LiteLLM at the first request"
            elif isinstance(target, Mapping) and target.get("hidden"):
                why += "; it is listed too, as every name that is served"
            self.settings.aliases[alias] = (name, where, why)

    def _checks(self, path: Path, value: Any) -> None:
        self.settings.enforced |= isinstance(value, tuple) and "enforce_model_rate_limits" in value
        if value in (None, ()):
            self.ledger.dropped(path, "it says nothing: empty")
        elif value == ("enforce_model_rate_limits",):
            self.ledger.translated(path, "every `rate_limit` holds here")
        else:
            self.ledger.decide(path, "of these checks aiops has `enforce_model_rate_limits`, and it is always on")

    def _master_key(self, path: Path, value: Any) -> None:
        key = sent_key(value)
        if isinstance(key, Reference):
            self.settings.master_key_env = key.name
            more = " (as it stood, the text itself was the key)" if str(value).startswith(("env/", "$")) else ""
            self.ledger.translated(path, f"the gateway's key is a file of its own{more}", "secrets/master_key")
        elif isinstance(key, Clear):
            self.secrets.master_key = key.value
            self.ledger.translated(path, "a key in clear: moved out of the file", "secrets/master_key")
        else:
            self.ledger.translated(path, "no key was set; a gateway of aiops always has one", "secrets/master_key")

    def environment(self, value: Any) -> None:
        """``environment_variables``: LiteLLM sets them; here they are in ``secrets/env``."""
        for name, item in value.items() if isinstance(value, Mapping) else ():
            path = ("environment_variables", name)
            text = str(item) if isinstance(item, str | int | float) and not isinstance(item, bool) else ""
            if isinstance(read_key(text), Reference) or not text:
                self.ledger.dropped(path, "it sets nothing")
            elif "\n" in text:
                self.ledger.decide(path, "a value of several lines; put it into a file and name that: `api_key_file`")
            else:
                self.secrets.env.setdefault(name, text)
                self.ledger.translated(path, "moved out of the file", f"secrets/env: {name}")

    def cooldowns(self) -> None:
        """``allowed_fails`` and ``cooldown_time`` are one thing here."""
        if self.fails is None and self.cooldown is None:
            return
        fails = self.fails[0] if self.fails else _LITELLM_ALLOWED_FAILS
        seconds = self.cooldown[0] if self.cooldown else _LITELLM_COOLDOWN
        self.settings.special["error_based_routing"] = {
            "enabled": True,
            "error_threshold": fails + 1,
            "cooldown_seconds": seconds,
        }
        for found in (self.fails, self.cooldown):
            if found is not None:
                why = (
                    "a provider is avoided after so many failures in a row (LiteLLM: within a minute), and a failure is"
                )
                why += " answered by the next in the chain at once, without a second try"
                self.ledger.note(found[1], Fate.TRANSLATED, why, "special_cases.error_based_routing")


def _pairs(value: Any, path: Path) -> Iterator[tuple[str, Any, Path]]:
    """(name, value, where) of a mapping, or of a list of mappings."""
    if isinstance(value, Mapping):
        for name, item in value.items():
            yield name, item, (*path, name)
    for index, each in enumerate(value if isinstance(value, tuple) else ()):
        if isinstance(each, Mapping):
            for name, item in each.items():
                yield name, item, (*path, index, name)


def _number(value: Any) -> int | float | None:
    if isinstance(value, str):
        try:
            value = float(value)
        except ValueError:
            return None
    found = number(value)
    return int(found) if found is not None and float(found).is_integer() else found
