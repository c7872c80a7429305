"""The whole of an import, from the bytes that were found to the bytes of an instance."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from aiops.errors import InvalidState, Problem
from aiops.importing import decisions
from aiops.importing.decisions import Aside, Settled, settle
from aiops.importing.generated import Expected, compare
from aiops.importing.keys import Secrets
from aiops.importing.litellm_config import translate_config
from aiops.importing.litellm_settings import MASTER_KEY, Settings, read_settings
from aiops.importing.mappings import translate_mappings
from aiops.importing.ports import gateway_port, translate_ports
from aiops.importing.providers import translate_providers
from aiops.importing.report import Entry, Fate, Ledger, Report
from aiops.importing.rewrite import Rewrite
from aiops.spec.edit.edit import Scalar, set_value
from aiops.spec.load.screen import hide_secrets
from aiops.spec.shapes.options import referred
from aiops.spec.shapes.urls import REFERENCE
from aiops.spec.sources import MAPPINGS, PORTS, PROVIDERS, SETTINGS, Sources
from aiops.spec.yaml.yaml12 import Document, Path, dotted, parse


@dataclass(frozen=True)
class Found:
    """What there is to import. ``generated`` and ``config`` are (name, bytes) of a LiteLLM configuration.

    ``env``: the variables that references may mean. ``defaults``: the commented files of a new instance.
    """

    files: Mapping[str, bytes]
    env: Mapping[str, str] = field(repr=False)
    defaults: Sources
    config: tuple[str, bytes] | None = None
    generated: tuple[str, bytes] | None = None
    settings: Mapping[tuple[str, ...], Scalar] = field(default_factory=dict)
    remarks: tuple[str, ...] = ()


@dataclass(frozen=True)
class Imported:
    """An instance on paper. ``problems``: what still has to be mended before it can serve."""

    sources: Sources
    secrets: Secrets
    report: Report
    problems: tuple[Problem, ...] = ()

    def with_remarks(self, *remarks: str) -> Imported:
        """The same with more to say."""
        return replace(self, report=replace(self.report, remarks=(*self.report.remarks, *remarks)))


def import_all(found: Found) -> Imported:
    """Given what was found, return an instance. Raises InvalidState when a file cannot be read as YAML."""
    return _Import(found).run()


class _Import:
    def __init__(self, found: Found) -> None:
        self.found = found
        self.secrets = Secrets()
        self.settings = Settings()
        self.remarks = list(found.remarks)
        self.ledgers: dict[str, Ledger] = {}
        self.edits: list[Entry] = []
        self.new: list[Entry] = []
        self.origins: dict[tuple[str, Path], Path] = {}
        self.sources: dict[str, bytes] = dict(found.defaults)

    def run(self) -> Imported:
        documents = self._parsed()
        if self.found.config is not None:
            self._config(documents[self.found.config[0]])
        else:
            self._directory(documents)
        self._settings()
        self._keep_referred()
        self._hide()
        settled = settle(self.sources, {**self.found.env, **self.secrets.env})
        self._report_asides(settled, documents)
        entries = [entry for ledger in self.ledgers.values() for entry in ledger.entries()]
        entries += self.new
        entries += [
            Entry(problem.file, problem.line, "", Fate.DECISION, _sentence(problem), "", _sentence(problem))
            for problem in settled.problems
        ]
        report = Report(tuple(entries), tuple(self.edits), tuple(self.remarks))
        return Imported(settled.sources, self.secrets, report, settled.problems)

    def _parsed(self) -> dict[str, Document]:
        """Every file that counts. Raises InvalidState with the problems of all of them."""
        contents = dict(self.found.files)
        for named in (self.found.config, self.found.generated):
            if named is not None:
                contents[named[0]] = named[1]
        documents = {name: parse(name, content) for name, content in contents.items()}
        problems = [problem for document in documents.values() for problem in document.problems]
        if problems:
            raise InvalidState(problems, "nothing was made; mend the files and import again")
        self.ledgers = {name: Ledger(document) for name, document in documents.items()}
        return documents

    def _config(self, document: Document) -> None:
        ledger = self.ledgers[document.file]
        written = translate_config(ledger, self.secrets, self.found.env)
        self.sources |= written.sources(document.file)
        self.settings = written.settings
        self.origins = dict(written.origins)
        if any(line.lstrip().startswith("#") for line in document.text.splitlines()):
            self.remarks.append(f"the comments of {document.file} were not carried over: the files are written anew")

    def _directory(self, documents: Mapping[str, Document]) -> None:
        for name in (PROVIDERS, MAPPINGS, PORTS):
            if name not in self.found.files:
                continue
            rewrite, ledger = Rewrite(name, self.found.files[name]), self.ledgers[name]
            if name == PROVIDERS:
                translate_providers(rewrite, ledger, self.secrets)
            elif name == MAPPINGS:
                translate_mappings(rewrite, ledger)
            else:
                translate_ports(rewrite, ledger)
            self.sources[name] = rewrite.finish()
            if rewrite.comments_lost:
                self.remarks.append(
                    f"{name} is written with aliases or the like: it was written anew, without comments"
                )
        if SETTINGS in self.found.files:
            self.sources[SETTINGS] = self.found.files[SETTINGS]
            for key in documents[SETTINGS].data:
                self.ledgers[SETTINGS].kept((key,))
        if PORTS in documents and (port := gateway_port(documents[PORTS].data)) is not None:
            self.settings.values[("gateway", "port")] = port
        if self.found.generated is not None:
            self._generated()

    def _generated(self) -> None:
        assert self.found.generated is not None
        ledger = self.ledgers[self.found.generated[0]]
        read_settings(ledger, self.secrets, self.settings)
        data = {name: parse(name, self.sources[name]).data for name in (PROVIDERS, MAPPINGS)}
        expected = Expected.of(data[PROVIDERS], data[MAPPINGS], self.found.env)
        for path, what in compare(ledger, expected):
            line = ledger.document.line(path)
            self.edits.append(Entry(ledger.file, line, dotted(path), Fate.DECISION, what, "", dotted(path)))
        count = len(self.edits)
        how = f"{count} edit{'s' * (count != 1)} made by hand" if count else "nothing in it was edited by hand"
        self.remarks.append(f"{ledger.file} was generated from these sources: {how}")
        if self.settings.drop_params:
            self._drop_params()
        rewrite = Rewrite(MAPPINGS, self.sources[MAPPINGS])
        for section, values in (("routing_rules", self.settings.rules), ("special_cases", self.settings.special)):
            if not isinstance(rewrite.get((section,), {}), Mapping | None):
                continue  # `load` reports it, and there is no room for more in it
            for key, value in values.items():
                if rewrite.get((section, key)) is None:
                    rewrite.put((section, key), value)
        self.sources[MAPPINGS] = rewrite.finish()

    def _drop_params(self) -> None:
        """What LiteLLM had for all is an option of each provider."""
        rewrite = Rewrite(PROVIDERS, self.sources[PROVIDERS])
        for name, entry in rewrite.mapping("providers").items():
            options = entry.get("options", {}) if isinstance(entry, Mapping) else None
            if isinstance(options, Mapping) and "drop_params" not in options:
                rewrite.put(("providers", name, "options", "drop_params"), value=True)
        self.sources[PROVIDERS] = rewrite.finish()

    def _settings(self) -> None:
        """What the sources say of the gateway itself, then what the command line says."""
        name = self.settings.master_key_env
        if name is not None and self.found.env.get(name):
            self.secrets.master_key = self.found.env[name]
        elif name is not None:
            for ledger in self.ledgers.values():
                if ledger.judged(MASTER_KEY) is not None:
                    why = f"the environment variable `{name}` is not set here: a new key was made"
                    ledger.decide(MASTER_KEY, why, "secrets/master_key")
        for path, value in {**self.settings.values, **self.found.settings}.items():
            if value is not None:
                self.sources = dict(set_value(self.sources, SETTINGS, path, value).sources)

    def _keep_referred(self) -> None:
        """The variables that providers refer to, while they are known: the gateway is started somewhere else."""
        kept = []
        for entry in _providers(parse(PROVIDERS, self.sources[PROVIDERS]).data):
            url = entry.get("base_url")
            wanted = [match[1].partition(":-")[0] for match in REFERENCE.finditer(url if isinstance(url, str) else "")]
            wanted += referred(tuple(_options(entry)))
            for name in [*wanted, str(entry.get("api_key_env"))]:
                if self.found.env.get(name) and name not in self.secrets.env:
                    self.secrets.env[name] = self.found.env[name]
                    kept.append(name)
        if kept:
            self.remarks.append(f"{', '.join(sorted(kept))}: set here, and kept in secrets/env")

    def _hide(self) -> None:
        """A key that stands in a comment or a description is no better kept there."""
        for name, content in self.sources.items():
            text = content.decode()
            if (hidden := hide_secrets(text)) != text:
                self.sources[name] = hidden.encode()
                self.remarks.append(f"{name}: what looked like a key in a comment or a text is `***` now")

    def _report_asides(self, settled: Settled, documents: Mapping[str, Document]) -> None:
        lines = decisions.comment_lines(settled.sources)
        told: set[tuple[str, Path]] = set()
        for aside in settled.asides:
            line = lines.get((aside.file, aside.sentence), 0)
            place = self._origin(aside, documents)
            # The first is the cause: what else came of the same place only followed from it.
            if place is None or place in told:
                key = dotted(aside.path)
                self.new.append(Entry(aside.file, line, key, Fate.DECISION, aside.sentence, "set aside", key))
            else:
                told.add(place)
                to = f"{aside.file}:{line}, set aside as a comment" if line else f"taken out of {aside.file}"
                self.ledgers[place[0]].overrule(place[1], Fate.DECISION, aside.sentence, to)

    def _origin(self, aside: Aside, documents: Mapping[str, Document]) -> tuple[str, Path] | None:
        """(file, path) of what was set aside; None when it stands for no single key of what was imported."""
        if self.found.config is not None:
            path = self.origins.get((aside.file, aside.path))
            return None if path is None else (self.found.config[0], path)
        if aside.file not in documents:
            return None
        path = decisions.source_path(documents[aside.file], aside)
        return (aside.file, path) if documents[aside.file].node(path) is not None else None


def _providers(data: Any) -> Iterator[Mapping[str, Any]]:
    entries = data.get("providers") if isinstance(data, Mapping) else None
    for entry in entries.values() if isinstance(entries, Mapping) else ():
        if isinstance(entry, Mapping):
            yield entry


def _options(entry: Mapping[str, Any]) -> Iterator[Any]:
    """What stands below each ``options`` of a provider."""
    models = entry.get("models")
    for each in (entry, *(models if isinstance(models, tuple) else ())):
        if isinstance(each, Mapping):
            yield each.get("options")


def _sentence(problem: Problem) -> str:
    return problem.message + (f" ({problem.hint})" if problem.hint else "")
