"""What a provider's unit is made of: the template of its type, and the variables that the template reads.

A template is shared by all providers of a type; it ends with the digest of what is above, which tells one that was
edited, or that somebody else wrote, from one that may be replaced.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace

from aiops.render.units import UnitFacts, render_units
from aiops.spec import env_file
from aiops.spec.env_file import Dialect
from aiops.spec.shapes.model import Provider

_MARK = "# Written by aiops. sha256 of all above: "
_INSTANCE = re.compile(r"[A-Za-z0-9_][A-Za-z0-9:_.-]*")
_PLAIN = re.compile(r"[A-Za-z0-9_./:=,@%+~ -]*")
_HIDDEN = re.compile(r"_(KEY|TOKEN|SECRET|PASSWORD)$")


@dataclass(frozen=True)
class Kind:
    """How one type of server is run. ``stem``: the unit's name up to ``@`` or ``.service``; ``key``: the variable from
    which it takes the key that clients have to send."""

    stem: str
    instances: bool
    program: str
    key: str = ""

    @property
    def template(self) -> str:
        """The file's name."""
        return f"{self.stem}@.service" if self.instances else f"{self.stem}.service"

    def unit(self, name: str) -> str:
        """The usual unit of a provider of this name."""
        return f"{self.stem}@{name}.service" if self.instances else self.template

    def instance(self, unit: str) -> str | None:
        """What is between ``@`` and ``.service`` ("" where there is one instance); None for a unit of another kind."""
        if not self.instances:
            return "" if unit == self.template else None
        name = unit.removeprefix(f"{self.stem}@").removesuffix(".service")
        return name if unit == self.unit(name) and _INSTANCE.fullmatch(name) else None

    def variables_file(self, unit: str) -> str:
        """The name of the file with the variables of that unit."""
        name = self.instance(unit)
        return f"{self.stem}-{name}.env" if name else f"{self.stem}.env"


KINDS: Mapping[str, Kind] = {
    "ollama": Kind("ollama", False, "ollama"),
    "vllm": Kind("vllm", True, "vllm", "VLLM_API_KEY"),
    "llama_cpp": Kind("llama-cpp", True, "llama-server", "LLAMA_API_KEY"),
}
PROVIDER_UNITS = tuple(kind.template for kind in KINDS.values())


def render_template(facts: UnitFacts, templates: Mapping[str, str], kind: Kind, program: str) -> bytes:
    """The unit file. ``program``: absolute path of the server."""
    name = kind.template
    return sign(render_units(replace(facts, program=program), templates, (name,))[name])


def sign(content: bytes) -> bytes:
    return content + f"{_MARK}{hashlib.sha256(content).hexdigest()}\n".encode()


def is_ours(content: bytes) -> bool:
    """Whether some version of aiops wrote exactly this."""
    body, mark, digest = content.rpartition(_MARK.encode())
    return bool(mark) and sign(body) == body + mark + digest


def is_signed(content: bytes) -> bool:
    """Whether aiops wrote it in the first place, edited since or not."""
    return _MARK.encode() in content


def program_of(content: bytes) -> str | None:
    """The program that a unit written by aiops starts."""
    found = re.search(r"^ExecStart=(?:\"([^\"]+)\"|(\S+))", content.decode(errors="replace"), re.MULTILINE)
    return (found[1] or found[2]).replace("%%", "%").replace("$$", "$") if found else None


def variables(
    provider: Provider, port: int, model: str | None, arguments: str | None, present: Mapping[str, str], key: str | None
) -> dict[str, str]:
    """What has to be in the variables file. ``present`` stays unless it is asked for differently."""
    kind = KINDS[provider.type]
    wanted = {kind.key: key} if key and kind.key else {}
    if not kind.instances:
        return {"OLLAMA_HOST": f"127.0.0.1:{port}", **wanted}
    wanted = {"MODEL": model or present.get("MODEL", ""), "PORT": str(port), **wanted}
    if provider.type == "vllm":
        arguments = _named(provider, wanted["MODEL"], present.get("ARGS", "") if arguments is None else arguments)
    return wanted if arguments is None else {**wanted, "ARGS": arguments}


def _named(provider: Provider, model: str, arguments: str) -> str:
    """vLLM serves a model under the path it was loaded from; users ask for the names in providers.yaml."""
    names = [each.name for each in provider.models]
    if not names or names == [model] or "--served-model-name" in arguments:
        return arguments
    return f"{arguments} --served-model-name {' '.join(names)}".strip()


def read_variables(text: str) -> dict[str, str]:
    """NAME -> value of the file with a unit's variables."""
    return env_file.parse(text, Dialect.SYSTEMD)


def with_variables(text: str, values: Mapping[str, str], unit: str) -> str:
    """The file with these values; other lines and comments stay as they are. An empty text becomes a new file."""
    lines = text.splitlines() or [
        f"# Variables of {unit}: `aiops provider install` sets these; others may stand beside."
    ]
    left = dict(values)
    for index, line in enumerate(lines):
        name, value = env_file.assigned(line, Dialect.SYSTEMD) or ("", "")
        if name in values:
            left.pop(name, None)
            if value != values[name]:
                lines[index] = f"{name}={_quoted(values[name])}"
    return "\n".join([*lines, *(f"{name}={_quoted(value)}" for name, value in left.items())]) + "\n"


def differences(before: Mapping[str, str], after: Mapping[str, str]) -> list[str]:
    """What is set anew, for people: keys of servers are not shown."""
    changed = [(name, value) for name, value in after.items() if before.get(name) != value]
    return [f"{name}={'***' if _HIDDEN.search(name) else value}" for name, value in changed]


def _quoted(value: str) -> str:
    if _PLAIN.fullmatch(value):
        return value
    return '"' + re.sub(r'(["\\$`])', r"\\\1", value) + '"'
