"""``aiops completion bash|zsh|fish``"""

from __future__ import annotations

import click

from aiops.context import Context


@click.command(
    "completion",
    help="Print what lets a shell complete verbs, options, and the names of providers, models and generations.",
    epilog='bash: eval "$(aiops completion bash)" in ~/.bashrc; zsh the same in ~/.zshrc; '
    "fish: aiops completion fish > ~/.config/fish/completions/aiops.fish",
)
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def command(ctx: click.Context, shell: str) -> None:
    from aiops.actions.about.completion import completion

    root = ctx.find_root()
    script = completion(root.command, root.info_name or "aiops", shell)
    ctx.ensure_object(Context).out.answer([script], {"shell": shell, "script": script})
