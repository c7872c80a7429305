"""The click group. Verbs are imported when they are called; here, and only here, an error becomes an exit code."""

from __future__ import annotations

import os
import re
import sys
import threading
from contextlib import suppress
from typing import NoReturn

import click

import aiops
from aiops.commands import _everywhere as everywhere
from aiops.commands._lazy import LazyGroup
from aiops.context import Context
from aiops.errors import AiopsError, Interrupted, Precondition, UsageError
from aiops.output import Output

# verb -> one line for `aiops --help`, so that help imports no verb.
VERBS: dict[str, str] = {
    "init": "Make an instance: commented defaults and a master key.",
    "import": "Make an instance out of an existing LiteLLM install.",
    "up": "Start the gateway.",
    "down": "Drain and stop the gateway.",
    "restart": "Start a new gateway process without refusing a connection.",
    "status": "What serves now, and whether it is what the files say.",
    "list": "Providers, models and generations, a line each.",
    "ask": "Ask a model a question; who answered, and how fast.",
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
    "keys": "Keys of your users: make, limit, explain and revoke them.",
    "teams": "Teams that share limits and a budget, and their members.",
    "usage": "What was used and what it cost, by key, team, model or day.",
    "database": "Check and migrate the database of keys and usage.",
    "scale-out": "From one box to several gateways that share a Postgres and a Redis.",
    "scale-in": "Back to one box, with all that is there.",
    "edit": "Open a file in your editor; what you typed is checked and made live.",
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
    "uninstall": "Take away what aiops made; configuration and secrets stay.",
    "help": "Explain a verb.",
    "version": "Of aiops, LiteLLM and Python.",
    "completion": "Let a shell complete verbs, options and names.",
}

SECTIONS: dict[str, list[str]] = {
    "gateway": ["up", "down", "restart", "status", "logs", "list", "ask", "env"],
    "providers": ["add-provider", "remove-provider", "disable", "enable", "provider", "switch"],
    "models": ["add-model", "remove-model", "route"],
    "keys": ["keys", "teams", "usage", "database", "scale-out", "scale-in"],
    "files": ["edit", "validate", "generate", "plan", "apply"],
    "history": ["history", "show", "diff", "rollback"],
    "proof": ["verify", "doctor"],
    "instance": ["init", "import", "upgrade", "uninstall"],
    "aiops": ["help", "version", "completion"],
}


@click.group(
    cls=LazyGroup,
    verbs=VERBS,
    sections=SECTIONS,
    home="aiops.commands",
    subcommand_metavar="VERB [ARGUMENTS]...",
    params=everywhere.options(first=True),
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.version_option(aiops.__version__, prog_name="aiops")
def group() -> None:
    """Operate an LLM gateway: every change proven before users see it, and undone by itself when the proof fails."""


def main() -> None:
    """Run the command line of this process, and end it."""
    _leave(run(sys.argv[1:]))


def _leave(code: int) -> NoReturn:
    """Exit without taking apart what the kernel throws away in one piece: that is another tenth of a short verb."""
    if threading.active_count() == 1:
        with suppress(OSError, ValueError):  # said by the interpreter, at its own end
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(code)
    sys.exit(code)


def run(arguments: list[str]) -> int:
    """Run one command line; returns the exit code of the contract."""
    _open_streams()
    as_json, debug = everywhere.wants(arguments)
    out, context = Output(as_json), Context()

    def failed(error: AiopsError) -> int:
        error.hint = _at(context, error.hint)
        return _fail(out, error, debug)

    try:
        _require_text(arguments)
        code = group.main(args=arguments, prog_name="aiops", standalone_mode=False, obj=context)
        return code if isinstance(code, int) else 0
    except (click.exceptions.Abort, KeyboardInterrupt):
        return failed(Interrupted())
    except click.ClickException as error:
        if out.as_json:
            out.data({"outcome": "refused", "error": {"code": "usage", "message": error.format_message(), "hint": ""}})
        else:
            error.show()
        return 2
    except AiopsError as error:
        return failed(error)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except PermissionError as error:  # where nobody expected one: it is the file's owner who can mend it
        return failed(Precondition(f"{error.filename}: {(error.strerror or '').lower()}", "`ls -ld` shows whose it is"))
    except Exception as error:
        if debug:
            raise
        bug = AiopsError(
            f"a bug in aiops: {type(error).__name__}: {error}", "the same command with --debug shows where"
        )
        return failed(bug)


def _open_streams() -> None:
    """What somebody closed (`<&-`) reads as empty and swallows what is written; nothing else may get its number."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, mode))  # noqa: SIM115, PTH123


def _require_text(arguments: list[str]) -> None:
    """Raises UsageError for bytes that are no UTF-8: they could be written into no file and no answer."""
    for word in arguments:
        if any("\ud800" <= sign <= "\udfff" for sign in word):
            raise UsageError(f"{word!a} is not UTF-8 text", "type it again")


def _at(context: Context, hint: str) -> str:
    """A hint whose commands are for the instance that this command line was about, wherever they were written."""
    if "`aiops " not in hint or context.home is None:
        return hint
    return re.sub(r"`aiops (?!--home)", f"`{context.instance.command} ", hint)


def _fail(out: Output, error: AiopsError, debug: bool) -> int:
    if debug:
        import traceback

        traceback.print_exc()
    problem = {"code": error.name, "message": error.message, "hint": error.hint}
    out.data({**(error.data or {"outcome": error.outcome}), "error": problem})
    out.say(f"error: {error.shown}")
    if error.hint:
        out.say(f"hint: {error.hint}")
    return error.exit_code
