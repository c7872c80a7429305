"""``aiops provider install``: the unit that runs a provider, put in place from aiops' own template.

What the template does not know is in a file of variables beside the configuration, which people may edit; the
template itself is aiops' and may be replaced, unless somebody edited it.
"""

from __future__ import annotations

import getpass
import hashlib
import ipaddress
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from aiops.actions.change import make
from aiops.actions.change.prepare import Intent, prepare
from aiops.actions.instance import drift
from aiops.actions.instance.asking import Stopwatch
from aiops.actions.instance.held import agreed, tell
from aiops.actions.instance.snapshot import Snapshot
from aiops.actions.instance.units import provider_facts, templates
from aiops.actions.provider.managed import ProviderResult, known
from aiops.apply import audit, writes
from aiops.errors import Precondition, UsageError
from aiops.host import deploy, files, privileges, systemd, unit_files
from aiops.host.deploy import Step, Wanted
from aiops.host.instance import Instance
from aiops.host.systemd import Systemd
from aiops.output import Output
from aiops.render import provider_units
from aiops.render.provider_units import KINDS, Kind
from aiops.spec.edit import edit
from aiops.spec.shapes.model import Provider, Service
from aiops.spec.sources import PROVIDERS

VERB = "provider install"
SECRET_ARGUMENT = "--api-key"  # noqa: S105  everybody on the machine can read a command line


@dataclass(frozen=True)
class InstallIntent:
    """What was asked for. ``model``: what the server loads; ``program``: absolute path of the server."""

    name: str
    model: str | None = None
    arguments: str | None = None
    program: str | None = None
    force: bool = False
    dry_run: bool = False
    assume_yes: bool = False
    reason: str = ""


@dataclass(frozen=True)
class Installation:
    """All that has to be there. ``edited``: the template that is there is not one that aiops wrote."""

    provider: Provider
    unit: str
    manager: Systemd
    template: Path
    content: bytes
    edited: bool
    variables: Path
    text: bytes
    changes: tuple[str, ...]

    @property
    def lines(self) -> tuple[str, ...]:
        return self.changes

    @property
    def digest(self) -> str:
        """Over the very bytes that would be written."""
        total = hashlib.sha256("\0".join((self.unit, *self.changes)).encode())
        total.update(self.content + b"\0" + self.text)
        return total.hexdigest()

    @property
    def asks(self) -> bool:
        return bool(self.changes)

    @property
    def at_boot(self) -> bool:
        """Of providers that take turns the active one is started."""
        return self.provider.status == "active"


def install(instance: Instance, intent: InstallIntent, out: Output) -> ProviderResult:
    """Put the unit in place and have it started at boot; it is not started now. Raises UsageError, Precondition."""
    watch = Stopwatch()

    def propose() -> Installation:
        return _installation(Snapshot.of(instance), intent)

    if intent.dry_run:
        planned = propose()
        tell(planned, out)
        return ProviderResult("planned", f"{planned.unit} would be installed", intent.name, planned.unit, 0.0)
    with agreed(instance, VERB, out, propose, assume_yes=intent.assume_yes, watch=watch) as wanted:
        if wanted.edited:
            out.say(f"your copy is kept as {unit_files.keep_aside(wanted.template)}")
        runs = wanted.manager.units(wanted.unit)[wanted.unit].runs
        steps = _converge(wanted)
        changed = [step for step in steps if step.changed or not step.ok]
        for step in changed or steps:
            out.say(str(step))
        _require_well(wanted, steps)
        named = wanted.provider.service is None and _name_it(instance, wanted, out)
    if runs and any(step.changed for step in steps):
        out.say(
            f"{wanted.unit} runs as it was started; `{wanted.manager.command('restart', wanted.unit)}` when it suits"
        )
    anything = named or any(step.changed for step in steps)
    sentence = f"{wanted.unit} is installed" if anything else f"no change: {wanted.unit} is installed already"
    outcome = "applied" if anything else "unchanged"
    result = ProviderResult(outcome, sentence, intent.name, wanted.unit, watch.seconds)
    audit.record(
        instance.audit_log,
        verb=VERB,
        outcome=result.outcome,
        provider=intent.name,
        unit=wanted.unit,
        reason=intent.reason,
        seconds=round(result.seconds, 3),
    )
    return result


def _installation(now: Snapshot, intent: InstallIntent) -> Installation:
    """Raises Precondition, UsageError."""
    provider = known(now.desired, intent.name)
    kind = _kind(provider)
    service = provider.service or Service(unit=kind.unit(provider.name), scope=systemd.scope())
    if kind.instance(service.unit) is None:
        raise Precondition(
            f"`{provider.name}` is run by {service.unit}, which is not one of aiops' units for {provider.type}",
            f"name it {kind.unit(provider.name)} in providers.yaml, or install your own unit yourself",
        )
    manager = Systemd(service.scope)
    manager.require()
    port = _port(provider)
    if manager.units(service.unit)[service.unit].load == "masked":
        raise Precondition(f"{service.unit} is masked", f"`{manager.command('unmask', service.unit)}` allows it again")
    template, variables = manager.directory / kind.template, manager.variables / kind.variables_file(service.unit)
    there, text = unit_files.read(template), (unit_files.read(variables) or b"").decode()
    facts = provider_facts(now.instance, service.scope, str(manager.variables))
    content = provider_units.render_template(facts, templates(), kind, _program(kind, intent, there))
    present = provider_units.read_variables(text)
    key = now.key_of(provider)
    values = provider_units.variables(provider, port, intent.model, intent.arguments, present, key)
    _require_sense(provider, intent, values, variables)
    changes = [] if there == content else [f"{'+' if there is None else '~'} {template}"]
    if new := provider_units.differences(present, values):
        changes.append(f"{'~' if text else '+'} {variables}: {', '.join(new)}")
    if provider.service is None:
        changes.append(f"~ providers.yaml: {provider.name} is run by {service.unit}")
    edited = there is not None and there != content and not provider_units.is_ours(there)
    if edited and not intent.force:
        raise Precondition(
            f"{template} was not written by aiops, or was edited since",
            f"`{manager.command('edit', service.unit)}` is the place for your own settings; "
            "--force replaces it (your copy is kept beside it)",
        )
    return Installation(
        provider=provider,
        unit=service.unit,
        manager=manager,
        template=template,
        content=content,
        edited=edited,
        variables=variables,
        text=provider_units.with_variables(text, values, service.unit).encode(),
        changes=tuple(changes),
    )


def _kind(provider: Provider) -> Kind:
    kind = KINDS.get(provider.type)
    if kind is None:
        raise Precondition(
            f"aiops has no unit for a provider of type {provider.type}, only for {', '.join(KINDS)}",
            f"write one, and name it in providers.yaml below `{provider.name}:` as `service: {{unit: …}}`",
        )
    return kind


def _port(provider: Provider) -> int:
    """Where clients expect it. Raises Precondition when that is not this machine: the units listen on 127.0.0.1."""
    parts = urlsplit(provider.root or "")
    host = parts.hostname or ""
    try:
        local = ipaddress.ip_address(host).is_loopback
    except ValueError:
        local = host == "localhost"
    if not local or parts.scheme != "http" or parts.path.strip("/"):
        raise Precondition(
            f"`{provider.name}` is at {provider.root}, where a unit of this machine does not listen",
            "its base_url would have to be http://127.0.0.1:PORT",
        )
    return parts.port or 80


def _program(kind: Kind, intent: InstallIntent, there: bytes | None) -> str:
    """What was asked for, what the template that is there starts, or what this shell finds. Raises Precondition."""
    if intent.program is not None:
        if not unit_files.is_program(intent.program):
            raise UsageError(f"--program: {intent.program} is not a program")
        return intent.program
    before = provider_units.program_of(there) if there is not None and provider_units.is_ours(there) else None
    if before and unit_files.is_program(before):
        return before
    found = unit_files.find_program(kind.program)
    if found is None:
        raise Precondition(
            f"there is no {kind.program} on this machine",
            f"install it, or say where it is: --program /opt/…/bin/{kind.program}",
        )
    return found


def _require_sense(provider: Provider, intent: InstallIntent, values: dict[str, str], variables: Path) -> None:
    kind = KINDS[provider.type]
    if not kind.instances and (intent.model is not None or intent.arguments is not None):
        raise UsageError(
            f"--model and --args are not for {provider.type}", f"its settings are the variables in {variables}"
        )
    if not kind.instances:
        return
    if not values["MODEL"]:
        raise UsageError("nothing says what it is to serve", "--model PATH")
    if any(ord(character) < 32 for value in values.values() for character in value):
        raise UsageError("a value has more than one line")
    if any(word.partition("=")[0] == SECRET_ARGUMENT for word in values.get("ARGS", "").split()):
        raise UsageError(
            f"{SECRET_ARGUMENT} on a command line is there for everybody on the machine to read",
            f"put {kind.key}=… into {variables}, or give `{provider.name}` an api_key_file",
        )
    if intent.model is not None and provider.type == "llama_cpp" and not unit_files.is_there(intent.model):
        raise UsageError(f"--model: there is no {intent.model}", "llama.cpp loads a .gguf file")


def _converge(wanted: Installation) -> list[Step]:
    user = wanted.manager.scope == "user"
    with privileges.as_root():
        return deploy.converge(
            Wanted(
                scope=wanted.manager.scope,
                unit_directory=str(wanted.manager.directory),
                units={wanted.template.name: wanted.content},
                directories=deploy.directories({str(wanted.variables.parent): ""}),
                private={str(wanted.variables): wanted.text},
                linger=getpass.getuser() if user else "",
                enable=(wanted.unit,) if wanted.at_boot else (),
                environment=systemd.essentials(),
            )
        )


def _require_well(wanted: Installation, steps: list[Step]) -> None:
    failed = [step for step in steps if not step.ok and not step.name.startswith("linger")]
    if failed:
        hint = f"`{wanted.manager.command('status', wanted.unit)}`"
        raise Precondition(f"{wanted.unit} is not installed: {failed[0].name}: {failed[0].why}", hint)


def _name_it(instance: Instance, wanted: Installation, out: Output) -> bool:
    """Write into providers.yaml which unit it is. Nothing that is served depends on it: no generation is made."""
    name, scope = wanted.provider.name, wanted.manager.scope
    intent = Intent(VERB, edit=lambda sources: edit.set_service(sources, name, wanted.unit, scope), assume_yes=True)
    now = Snapshot.of(instance)  # again: a person may have edited the files while the unit was put in place
    prepared = prepare(now, intent)
    if prepared.is_same and not drift.generated_is_edited(now):
        make.make_held(instance, intent, out)
        return True
    # Edits that are not live yet are left to `apply`.
    path = instance.config / PROVIDERS
    with files.explained(instance.config, "write"):
        writes.put(path, prepared.after[PROVIDERS])
    return True
