"""The click group. Verbs are imported when they are called; here, and only here, an error becomes an exit code."""

from __future__ import annotations

import gc
import os
import sys
from pathlib import Path

import click

import aiops
from aiops.commands._lazy import LazyGroup
from aiops.context import Context
from aiops.errors import AiopsError, Interrupted
from aiops.output import Output

# verb -> one line for `aiops --help`, so that help imports no verb.
VERBS: dict[str, str] = {
    "init": "Make an instance: commented defaults and a master key.",
    "import": "Make an instance out of an existing LiteLLM install.",
    "up": "Start the gateway.",
    "down": "Drain and stop the gateway.",
    "restart": "Start a new gateway process without refusing a connection.",
    "status": "What serves now, and whether it is what the files say.",
    "env": "Shell variables for clients of this gateway.",
    "logs": "What the gateway said.",
    "add-provider": "Add a provider and its routes, live and proven.",
    "remove-provider": "Remove a provider and its routes.",
    "add-model": "Add one model to a provider.",
    "remove-model": "Remove one model from a provider.",
    "disable": "Take a provider out for maintenance; fallbacks answer.",
    "enable": "Bring a disabled provider back.",
    "provider": "Install, start, stop and look at the units that run providers.",
    "switch": "Change over between two providers of which one can run.",
    "route": "Change how groups choose between deployments; explain where a request goes.",
    "validate": "Check the files; name every problem.",
    "generate": "Render the gateway's configuration and print it.",
    "plan": "What `apply` would do.",
    "apply": "Make hand-edited files live.",
    "upgrade": "Another LiteLLM in the gateway that runs, without losing a request.",
    "rollback": "Go back to an older generation.",
    "history": "Generations: who, what, why, how it ended.",
    "show": "One generation in full.",
    "diff": "What is different between two generations.",
    "verify": "Prove what is served.",
    "doctor": "What is wrong on this machine and how to mend it.",
}


@click.group(
    cls=LazyGroup, verbs=VERBS, home="aiops.commands", context_settings={"help_option_names": ["-h", "--help"]}
)
@click.option(
    "--home", type=click.Path(path_type=Path), envvar="AIOPS_HOME", help="Keep everything below DIR (AIOPS_HOME)."
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object on stdout.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--debug", is_flag=True, help="Show the traceback of an error.")
@click.version_option(aiops.__version__, prog_name="aiops")
@click.pass_context
def group(ctx: click.Context, home: Path | None, as_json: bool, yes: bool, debug: bool) -> None:
    """Operate an LLM gateway: every change proven before users see it, and undone by itself when the proof fails."""
    ctx.obj = Context(home, as_json, yes, debug)


def main() -> None:
    """Entry point of the ``aiops`` command."""
    # Imports make a hundred thousand objects that stay: looking through them for garbage is a tenth of a short verb.
    gc.set_threshold(100_000)
    sys.exit(run(sys.argv[1:]))


def run(arguments: list[str]) -> int:
    """Run one command line; returns the exit code of the contract."""
    out = Output("--json" in arguments)
    try:
        code = group.main(args=arguments, prog_name="aiops", standalone_mode=False)
        return code if isinstance(code, int) else 0
    except (click.exceptions.Abort, KeyboardInterrupt):
        return _fail(out, Interrupted(), arguments)
    except click.ClickException as error:
        if out.as_json:
            out.data({"outcome": "refused", "error": {"code": "usage", "message": error.format_message(), "hint": ""}})
        else:
            error.show()
        return 2
    except AiopsError as error:
        return _fail(out, error, arguments)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except Exception as error:
        if "--debug" in arguments:
            raise
        bug = AiopsError(
            f"a bug in aiops: {type(error).__name__}: {error}", "the same command with --debug shows where"
        )
        return _fail(out, bug, arguments)


def _fail(out: Output, error: AiopsError, arguments: list[str]) -> int:
    if "--debug" in arguments:
        import traceback

        traceback.print_exc()
    problem = {"code": error.name, "message": error.message, "hint": error.hint}
    out.data({**(error.data or {"outcome": error.outcome}), "error": problem})
    out.say(f"error: {error.shown}")
    if error.hint:
        out.say(f"hint: {error.hint}")
    return error.exit_code
