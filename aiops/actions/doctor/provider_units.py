"""What ``aiops doctor`` looks at in the units that run providers."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import urlsplit

from aiops.actions.doctor.finding import Finding
from aiops.actions.instance.snapshot import Snapshot
from aiops.errors import AiopsError
from aiops.host import unit_files
from aiops.host.instance import Instance
from aiops.host.provider_unit import ProviderUnit
from aiops.host.systemd import Systemd
from aiops.render import provider_units
from aiops.render.provider_units import KINDS, Kind
from aiops.spec.shapes.model import Provider, Service


def provider_findings(instance: Instance) -> Iterator[Finding]:
    """What is wrong with units that providers name; those of disabled ones need not be there."""
    try:
        providers = Snapshot.of(instance).desired.providers.values()
    except AiopsError:
        return  # the files cannot be loaded: that is a finding of its own
    told = set()
    for provider in providers:
        if provider.service is not None and provider.status != "template":
            for finding in _of(instance, provider, provider.service):
                if finding.what not in told:  # of a template that several share
                    yield finding
                told.add(finding.what)


def _of(instance: Instance, provider: Provider, service: Service) -> Iterator[Finding]:
    unit, manager = ProviderUnit(service), Systemd(service.scope)
    install = f"{instance.command} provider install {provider.name}"
    if why := unit.why_unknown():
        yield Finding(False, f"{unit}, which runs {provider.name}, cannot be asked for: {why}", "")
        return
    kind, now = KINDS.get(provider.type), unit.now()
    ours = kind is not None and kind.instance(service.unit) is not None
    if now.load == "masked":
        yield Finding(False, f"{unit} is masked", manager.command("unmask", unit.name))
    elif now.load == "not-found":
        if provider.status == "active":
            missing = f"{unit}, which runs {provider.name}, is missing"
            yield Finding(False, missing, install if ours else f"put it into {manager.directory}")
        return
    elif now.load != "loaded":
        yield Finding(False, f"{unit} cannot be loaded ({now.load})", manager.command("status", unit.name))
    if now.active == "failed":
        yield Finding(False, f"{unit}, which runs {provider.name}, has failed ({now.result})", unit.look_hint())
    if now.needs_reload:
        yield Finding(False, f"{unit} was changed and systemd has not read it yet", manager.command("daemon-reload"))
    if kind is not None and ours:
        yield from _files(provider, kind, service, manager, install)


def _files(provider: Provider, kind: Kind, service: Service, manager: Systemd, install: str) -> Iterator[Finding]:
    """The template and the variables, as far as aiops wrote them."""
    template = unit_files.read(manager.directory / kind.template)
    if template is None or not provider_units.is_signed(template):
        return  # somebody else's, who knows what it reads
    if not provider_units.is_ours(template):
        what = f"{kind.template} was edited by hand"
        mend = (
            f"move what you want into a drop-in (`{manager.command('edit', service.unit)}`), then `{install} --force`"
        )
        yield Finding(False, what, mend)
    variables = manager.variables / kind.variables_file(service.unit)
    try:
        present = provider_units.read_variables((unit_files.read(variables) or b"").decode())
    except OSError:
        return
    if kind.instances and not present:
        if provider.status == "active":
            missing = f"{variables} is missing: {service.unit} cannot start"
            yield Finding(False, missing, f"{install} --model PATH")
    elif kind.instances and present.get("PORT") != str(urlsplit(provider.root or "").port or 80):
        what = f"{variables} has PORT={present.get('PORT', '')}, but clients of {provider.name} go to {provider.root}"
        yield Finding(False, what, install)
