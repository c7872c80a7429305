"""Keys that clients show: made, and turned into what is stored. The key itself is stored nowhere.

128 random bits cannot be guessed, so a fast hash is enough; it is the one that LiteLLM stores, over the whole string.
"""

from __future__ import annotations

import hashlib
import re
import secrets

PREFIX = "sk-"
LEAST = 16  # characters of a key that somebody else made
_HASH = re.compile(r"[0-9a-f]{64}")


def make() -> str:
    """``sk-`` and 128 random bits: 25 characters, as LiteLLM's."""
    return PREFIX + secrets.token_urlsafe(16)


def hashed(key: str) -> str:
    """sha256 of all of it, hex: what is looked up."""
    return hashlib.sha256(key.encode()).hexdigest()


def name(key: str) -> str:
    """What may be shown of it: ``sk-...abcd``."""
    return f"{PREFIX}...{key[-4:]}"


def is_hash(text: str) -> bool:
    return _HASH.fullmatch(text) is not None


def weakness(key: str) -> str:
    """Why a key that somebody made may not be one; empty when it may. Says nothing of the key."""
    if not key.startswith(PREFIX):
        return f"it does not begin with {PREFIX}"
    if len(key) < LEAST:
        return f"it has {len(key)} characters, at least {LEAST} are needed"
    if any(not 33 <= ord(character) < 127 for character in key):
        return "it holds characters that no HTTP header can carry"
    if len(set(key)) < 8:
        return "it repeats the same few characters"
    return ""
