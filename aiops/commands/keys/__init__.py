"""``aiops keys create|list|show|update|rotate|block|unblock|revoke|import|explain``"""

from __future__ import annotations

import click

from aiops.commands._lazy import LazyGroup

VERBS = {
    "create": "Make a key; it is shown once, alone on stdout.",
    "list": "A line for each key, the newest first.",
    "show": "What a key may, and what it has used of that.",
    "update": "Other limits, another alias, another team.",
    "rotate": "Another key in its place; the old one may stay valid for a while.",
    "block": "Refuse it until it is unblocked.",
    "unblock": "Let it in again.",
    "revoke": "Refuse it for good; says who refuses it since when.",
    "import": "Take over keys and what they spent from a LiteLLM database.",
    "explain": "Whether its next request would pass, and what is left on whose counter.",
}


@click.group(
    "keys",
    cls=LazyGroup,
    verbs=VERBS,
    home=__name__,
    help="Keys of your users: made, limited, explained, revoked. They work on the running gateway within a second.",
)
def command() -> None:
    pass
