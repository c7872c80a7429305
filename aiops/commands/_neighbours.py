"""Words of other tools, and what to type here instead."""

from __future__ import annotations

# By the group that a word is typed in (nothing: `aiops` itself): what to type, and the words that mean it elsewhere.
# A word that may mean several things is answered with all of them.
NEIGHBOURS: dict[str, dict[str, str]] = {
    "": {
        "init": "setup",
        "import": "migrate convert",
        "up": "start run serve launch boot",
        "down": "stop halt shutdown kill",
        "restart": "reboot bounce",
        "status": "ps info state health",
        "list": "ls ps get",
        "list providers": "providers",
        "list models": "models",
        "ask": "chat prompt query",
        "edit": "config configure set",
        "validate": "lint check",
        "generate": "render build",
        "plan": "preview dry-run changes",
        "apply": "reload refresh deploy sync commit",
        "add-provider": "add create new",
        "add-model": "add create new pull",
        "remove-provider": "delete rm del remove",
        "remove-model": "delete rm del remove",
        "disable": "cordon drain pause maintenance",
        "enable": "uncordon resume unpause",
        "provider install": "install",
        "show": "describe inspect",
        "route explain": "describe explain why",
        "history": "revisions releases versions generations",
        "rollback": "undo revert back",
        "upgrade": "update",
        "verify": "test check",
        "doctor": "diagnose check",
        "logs": "log tail journal",
        "uninstall": "destroy purge",
        "keys": "key token tokens",
        "teams": "team",
        "usage": "spend cost costs",
        "database": "db",
    },
    "keys": {
        "keys create": "add generate new",
        "keys list": "ls get",
        "keys show": "info describe",
        "keys update": "set edit",
        "keys rotate": "regenerate renew",
        "keys block": "disable",
        "keys unblock": "enable",
        "keys revoke": "delete rm remove",
        "keys explain": "why",
    },
    "teams": {
        "teams create": "add new",
        "teams list": "ls get",
        "teams show": "info describe",
        "teams update": "set edit",
        "teams block": "disable",
        "teams unblock": "enable",
        "teams delete": "rm remove revoke",
    },
    "provider": {
        "list providers": "list ls",
        "provider status": "list ls ps get show describe",
        "provider start": "up run restart",
        "provider stop": "down halt kill restart",
        "provider discover": "models",
        "add-provider": "add create new",
        "remove-provider": "remove delete rm uninstall",
        "disable": "disable cordon drain pause",
        "enable": "enable uncordon resume",
    },
}


def neighbours(group: str, word: str) -> list[str]:
    """What to type instead of ``word``, behind ``aiops``; nothing when no other tool has that word."""
    return [meant for meant, words in NEIGHBOURS.get(group, {}).items() if word in words.split()]
