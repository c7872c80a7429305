"""Taking over what somebody has: find it, have it translated, and make an instance of it all at once."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aiops.errors import Precondition, UsageError
from aiops.host import credentials, files
from aiops.host.instance import GENERATED, MAX_SOURCE_BYTES, Instance
from aiops.host.setup import defaults
from aiops.importing.importer import Found, Imported, import_all
from aiops.importing.litellm_settings import LITELLM_SECTIONS
from aiops.output import Output
from aiops.spec import env_file
from aiops.spec.edit.edit import Scalar
from aiops.spec.env_file import Dialect
from aiops.spec.sources import MAPPINGS, PORTS, PROVIDERS, SETTINGS
from aiops.spec.yaml import yaml12

REPORT = "import-report.txt"
_BACKUPS = ("*.bak*", "*.backup*", "*.old", "*.orig", "*~", "*.yaml.[0-9]*", "*.yaml-[0-9]*")
_BACKUP_FOLDERS = ("backups", "backup", ".backups")


@dataclass(frozen=True)
class Takeover:
    """What was thought out, and what it makes: relative to the instance, contents and modes."""

    imported: Imported
    config: Mapping[Path, bytes]
    private: Mapping[Path, bytes]
    report: Path

    @property
    def serves(self) -> bool:
        """Whether anything can be asked for: a model that is listed, a name, or a rule that covers names."""
        sources = self.imported.sources
        providers = yaml12.parse(PROVIDERS, sources[PROVIDERS]).data.get("providers") or {}
        rules = yaml12.parse(MAPPINGS, sources[MAPPINGS]).data if MAPPINGS in sources else {}
        found = [rules.get(name) for name in ("exact_matches", "load_balancing", "capabilities", "patterns")]
        found += [(rules.get("routing_rules") or {}).get("default_provider")]
        return any(found) or any(
            isinstance(each, Mapping) and each.get("models") and each.get("status", "active") == "active"
            for each in (providers.values() if isinstance(providers, Mapping) else ())
        )


@dataclass(frozen=True)
class Taken:
    """``made``: the files there are now; None when it was only thought through."""

    instance: Instance
    takeover: Takeover
    made: tuple[Path, ...] | None

    @property
    def valid(self) -> bool:
        """Whether the files can be served as they are."""
        return not self.takeover.imported.problems

    def lines(self) -> list[str]:
        report, config, command = self.takeover.imported.report, self.instance.config, self.instance.command
        if self.made is None:
            return [report.text().rstrip("\n")]
        if not self.valid:
            end = f"imported into {config}; mend what is named above, then `{command} validate`"
        elif not self.takeover.serves:
            end = f"made {config}, but no model to serve came of it: {self.takeover.report} says why"
        else:
            end = f"imported into {config}, all of it in {self.takeover.report}; next: `{command} up`"
        return [report.summary(), end]

    def to_json(self) -> dict[str, Any]:
        return {
            "outcome": "planned" if self.made is None else "applied",
            "made": [str(each) for each in self.made or ()],
            "valid": self.valid,
            "report": self.takeover.imported.report.to_json(),
        }


def take_over(
    instance: Instance,
    path: Path,
    settings: Mapping[tuple[str, ...], Scalar],
    out: Output,
    *,
    report: Path | None = None,
    dry_run: bool = False,
) -> Taken:
    """``aiops import``: an instance out of what is at ``path``. ``report``: where the account of it is written too.

    Raises UsageError, InvalidState, Precondition, and then nothing is left of it.
    """
    if not dry_run:
        require_none(instance)
    thought = plan(instance, look(path, settings))
    if report is not None:  # first: when it cannot be written, there is no instance yet to be in the way
        with files.explained(report, "write"):
            files.write(report.absolute(), thought.imported.report.text().encode())
    if dry_run:
        return Taken(instance, thought, None)
    made = carry_out(instance, thought)
    for line in (*(f"made {each}" for each in made), *thought.imported.report.changed()):
        out.say(line)
    return Taken(instance, thought, tuple(made))


def look(path: Path, settings: Mapping[tuple[str, ...], Scalar]) -> Found:
    """Everything at ``path``: a LiteLLM configuration, or a directory with ``providers.yaml``.

    Raises UsageError when it is neither, Precondition when it cannot be read.
    """
    with files.explained(path, "read"):
        if path.is_dir():
            return _directory(path, settings)
        if not path.exists():
            raise UsageError(f"there is nothing at {path}", "give a LiteLLM config.yaml, or a directory with its files")
        content = _read(path)
        document = yaml12.parse(path.name, content)
        if not document.problems and not LITELLM_SECTIONS & document.data.keys():
            raise UsageError(
                f"{path} is no LiteLLM configuration: none of its keys is one that LiteLLM knows",
                f"`aiops import {path.parent}` imports a directory with {PROVIDERS}",
            )
        return Found(
            {},
            {**os.environ, **_dotenv(path.parent)},
            defaults(),
            config=(path.name, content),
            settings=settings,
            remarks=tuple(_backups(path.parent, path.stem)),
        )


def _directory(path: Path, settings: Mapping[tuple[str, ...], Scalar]) -> Found:
    if not (path / PROVIDERS).exists() and (path / "config" / PROVIDERS).exists():
        path = path / "config"
    contents = {name: _read(path / name) for name in (SETTINGS, PROVIDERS, MAPPINGS, PORTS) if (path / name).is_file()}
    generated = sorted(
        (each for each in path.glob("*.y*ml") if each.is_file() and each.name not in contents and _is_litellm(each)),
        key=lambda each: (each.name != GENERATED, each.name),
    )
    if PROVIDERS not in contents:
        if len(generated) == 1:
            return look(generated[0], settings)
        names = ", ".join(each.name for each in generated)
        raise UsageError(
            f"{path} has no {PROVIDERS}" + (f", and several LiteLLM configurations: {names}" if names else ""),
            f"`aiops import {path / generated[0].name}`" if generated else "give a LiteLLM config.yaml itself",
        )
    unread = [f"{each.name}: another LiteLLM configuration; it was not read" for each in generated[1:]]
    return Found(
        contents,
        {**os.environ, **_dotenv(path)},
        defaults(),
        generated=(generated[0].name, _read(generated[0])) if generated else None,
        settings=settings,
        remarks=(*unread, *_backups(path)),
    )


def _read(path: Path) -> bytes:
    if path.stat().st_size > MAX_SOURCE_BYTES:
        raise Precondition(f"{path} has more than {MAX_SOURCE_BYTES // 1024 // 1024} MiB", "is that the right file?")
    return path.read_bytes()


def _is_litellm(path: Path) -> bool:
    """Whether a YAML file has LiteLLM's ``model_list`` at the top. What cannot be read is none."""
    with suppress(OSError, Precondition):
        document = yaml12.parse(path.name, _read(path))
        return isinstance(document.data, Mapping) and "model_list" in document.data
    return False


def _dotenv(directory: Path) -> dict[str, str]:
    """What a ``.env`` sets, if there is one."""
    path = directory / ".env"
    return env_file.parse(_read(path).decode(errors="replace"), Dialect.DOTENV) if path.is_file() else {}


def _backups(directory: Path, stem: str = "") -> Iterator[str]:
    """Which backups lie about: named, not read."""
    names = {each.name for pattern in _BACKUPS for each in directory.glob(pattern) if each.name.startswith(stem)}
    if names:
        yield f"backups, not read: {', '.join(sorted(names))}"
    for folder in (directory / name for name in _BACKUP_FOLDERS):
        if folder.is_dir():
            count = sum(each.is_file() for each in folder.rglob("*"))
            yield f"backups, not read: {folder.name}/ with {count} file{'s' * (count != 1)}"


def plan(instance: Instance, found: Found) -> Takeover:
    """Think the import through; nothing is made. Raises InvalidState for files that are no YAML."""
    imported = import_all(found)
    config = {instance.config / name: content for name, content in imported.sources.items()}
    private: dict[Path, bytes] = {}
    if imported.secrets.env:
        private[instance.env_file] = credentials.with_secrets(instance, imported.secrets.env)
    remarks: list[str] = []
    key = imported.secrets.master_key
    if key is not None and (weak := credentials.weakness(key)):
        remarks.append(f"the gateway's key was not taken over: {weak}. A new one was made; clients need it")
    elif key is not None:
        private[instance.master_key] = f"{key}\n".encode()
    imported = imported.with_remarks(*remarks)
    return Takeover(imported, config, private, instance.state / REPORT)


def require_none(instance: Instance) -> None:
    """Raises Precondition when there is an instance already."""
    if instance.exists:
        raise Precondition(
            f"there is an instance in {instance.config} already; nothing was changed",
            "`aiops --home ANOTHER_DIRECTORY import …` makes one beside it; `--dry-run` only shows the report",
        )


def in_the_way(takeover: Takeover) -> list[Path]:
    """Files that would be overwritten by something else. What an interrupted import left is the same and is not."""
    return [
        path
        for path, content in {**takeover.config, **takeover.private}.items()
        if path.exists() and path.read_bytes() != content
    ]


def carry_out(instance: Instance, takeover: Takeover) -> list[Path]:
    """Make the instance; returns what was made. Raises Precondition, and then nothing is left of it."""
    require_none(instance)
    if blocking := in_the_way(takeover):
        raise Precondition(
            f"{', '.join(map(str, blocking))} would be overwritten; nothing was changed",
            "`aiops --home ANOTHER_DIRECTORY import …`, or move what is there",
        )
    made: list[Path] = []
    existed = {path for path in _directories(instance) if path.exists()}
    try:
        with files.explained(instance.config, "make the instance in"):
            instance.make_directories()
            for path, content in takeover.private.items():
                _put(path, content, made, 0o600)
            if credentials.make_master_key(instance):
                made.append(instance.master_key)
            _put(takeover.report, takeover.imported.report.text().encode(), made, 0o600)
            # aiops.yaml last: it is what says that there is an instance.
            for path in sorted(takeover.config, key=lambda each: (each.name == SETTINGS, each)):
                _put(path, takeover.config[path], made, None)
    except BaseException:
        _undo(instance, made, existed)
        raise
    return made


def _put(path: Path, content: bytes, made: list[Path], mode: int | None) -> None:
    if not path.exists():
        made.append(path)
    files.write(path, content, mode)


def _directories(instance: Instance) -> list[Path]:
    below = [instance.config, instance.state, instance.run, instance.logs, instance.secrets]
    return [*below, *([instance.home] if instance.home else [])]


def _undo(instance: Instance, made: list[Path], existed: set[Path]) -> None:
    for path in made:
        with suppress(OSError):
            path.unlink()
    for directory in _directories(instance):
        if directory not in existed:
            with suppress(OSError):
                directory.rmdir()
