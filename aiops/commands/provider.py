"""``aiops provider install|start|stop|status|discover``"""

from __future__ import annotations

import click

from aiops.actions.change.prepare import Intent
from aiops.actions.provider import install as provider_install
from aiops.actions.provider import run as provider_service
from aiops.commands._mutating import mutating, run
from aiops.context import Context
from aiops.spec.edit import edit


@click.group("provider", help="Install, start, stop and look at the units of providers, and learn from them.")
def command() -> None:
    pass


@command.command("install", help="Put the unit of a provider in place, by its type: ollama, vllm or llama_cpp.")
@click.argument("name")
@click.option("--model", metavar="PATH", help="What vLLM or llama.cpp loads; as it was when not given.")
@click.option("--args", "arguments", metavar="TEXT", help="More arguments for the server, as one text.")
@click.option("--program", metavar="PATH", help="The server itself; found by its name when not given.")
@click.option("--force", is_flag=True, help="Also replace a unit that was edited; a copy is kept.")
@mutating()
@click.pass_obj
def install(
    context: Context,
    name: str,
    model: str | None,
    arguments: str | None,
    program: str | None,
    force: bool,
    dry_run: bool,
    reason: str,
) -> None:
    intent = provider_install.InstallIntent(
        name,
        model,
        arguments,
        program,
        force=force,
        dry_run=dry_run,
        assume_yes=context.assume_yes,
        reason=reason,
    )
    outcome = provider_install.install(context.instance, intent, context.out)
    context.out.result(outcome.sentence)
    context.out.data(outcome.to_json())


@command.command("start", help="Start the unit of a provider and wait until it serves its models.")
@click.argument("name")
@click.option(
    "--timeout",
    type=click.FloatRange(0, min_open=True),
    default=provider_service.SERVE_SECONDS,
    show_default=True,
    metavar="SECONDS",
    help="How long it may take to load.",
)
@mutating()
@click.pass_obj
def start(context: Context, name: str, timeout: float, dry_run: bool, reason: str) -> None:
    outcome = provider_service.start(
        context.instance,
        name,
        limit=timeout,
        dry_run=dry_run,
        assume_yes=context.assume_yes,
        reason=reason,
        out=context.out,
    )
    context.out.result(outcome.sentence)
    context.out.data(outcome.to_json())


@command.command("stop", help="Stop the unit of a provider. Refused while it answers users.")
@click.argument("name")
@click.option(
    "--drain",
    type=click.FloatRange(0),
    default=provider_service.DRAIN_SECONDS,
    show_default=True,
    metavar="SECONDS",
    help="How long requests of an earlier generation may take to finish.",
)
@click.option("--force", is_flag=True, help="Also while it answers users.")
@mutating()
@click.pass_obj
def stop(context: Context, name: str, drain: float, force: bool, dry_run: bool, reason: str) -> None:
    outcome = provider_service.stop(
        context.instance,
        name,
        drain=drain,
        force=force,
        dry_run=dry_run,
        assume_yes=context.assume_yes,
        reason=reason,
        out=context.out,
    )
    context.out.result(outcome.sentence)
    context.out.data(outcome.to_json())


@command.command("discover", help="Write what a provider says of its models, where nothing is written yet.")
@click.argument("name")
@mutating()
@click.pass_obj
def discover(context: Context, name: str, dry_run: bool, reason: str) -> None:
    from aiops.actions.provider.discover import report_of

    context.instance.require()
    report = report_of(context.instance, name)
    for note in report.notes:
        context.out.say(note)
    run(
        context,
        Intent(
            "provider discover",
            reason,
            lambda sources: edit.learn(sources, name, report.models, report.parallel),
            dry_run=dry_run,
            assume_yes=context.assume_yes,
        ),
    )


@command.command("status", help="Units, health and models of one provider, or of all.")
@click.argument("name", required=False)
@click.pass_obj
def status(context: Context, name: str | None) -> None:
    states = provider_service.status(context.instance, name)
    for state in states:
        context.out.result(str(state))
    if not states:
        context.out.result("there are no providers")
    context.out.data({"providers": [state.to_json() for state in states]})
