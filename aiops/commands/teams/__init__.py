"""``aiops teams create|list|show|update|block|unblock|delete|add-member|remove-member``"""

from __future__ import annotations

import click

from aiops.commands._lazy import LazyGroup

VERBS = {
    "create": "Make a team, with limits and a budget over all its keys.",
    "list": "A line for each team, the newest first.",
    "show": "What a team may and has used; its members and keys.",
    "update": "Other limits, another alias.",
    "block": "Refuse all its keys until it is unblocked.",
    "unblock": "Let its keys in again.",
    "delete": "Take it away; its keys are revoked with it.",
    "add-member": "A user with a share of its budget; again: another share.",
    "remove-member": "A user who is no member any more.",
}


@click.group(
    "teams",
    cls=LazyGroup,
    verbs=VERBS,
    home=__name__,
    help="Teams: keys that share limits and a budget, and the members that share it.",
)
def command() -> None:
    pass
