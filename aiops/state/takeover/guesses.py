"""Keys that anybody could guess: the examples of the documentation, short numbers, and what their rows call them. PURE.

The key itself is nowhere, only its hash: what a stranger would try first is tried here.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import cache
from hashlib import sha256

# Of LiteLLM's documentation and configurations that people copy, and what they make of them.
_EXAMPLES = [
    "sk-1234",
    "sk-12345",
    "sk-123456",
    "sk-1234567",
    "sk-12345678",
    "sk-123456789",
    "sk-1234567890",
    "sk-12345678901234567890",
    "sk-0000",
    "sk-test",
    "sk-test123",
    "sk-testkey",
    "sk-test-key",
    "sk-dev",
    "sk-admin",
    "sk-master",
    "sk-master-key",
    "sk-litellm",
    "sk-litellm-master-key",
    "sk-litellm-key",
    "sk-litellm-1234",
    "sk-proxy",
    "sk-local",
    "sk-localhost",
    "sk-dummy",
    "sk-fake",
    "sk-fake-key",
    "sk-anything",
    "sk-xxx",
    "sk-none",
    "sk-empty",
    "sk-key",
    "sk-my-key",
    "sk-secret",
    "sk-password",
    "sk-changeme",
    "sk-default",
    "sk-demo",
    "sk-example",
    "sk-openai",
    "sk-abc",
    "sk-abcd",
    "sk-abc123",
    "sk-abcdef",
    "sk-user",
    "sk-guest",
    "sk-public",
    "sk-internal",
    "sk-prod",
    "sk-staging",
    "sk-ollama",
    "sk-no-key-required",
    "sk-1234abcd",
    "sk-tXL0wt5-lOOVK9sfY2UacA",
]
_NUMBERS = 5  # digits at most


def guessed(token: str, names: Iterable[str | None]) -> bool:
    """Whether the key of this sha256 (hex) is one that follows from ``names``, or from nothing at all."""
    return token in _common() or any(_hash(each) == token for each in _of(names))


@cache
def _common() -> frozenset[str]:
    numbers = (f"sk-{n:0{width}d}" for width in range(1, _NUMBERS + 1) for n in range(10**width))
    return frozenset(map(_hash, (*_EXAMPLES, *numbers)))


def _of(names: Iterable[str | None]) -> Iterator[str]:
    for name in {each for each in names if each}:
        for spelled in {name, name.lower(), name.replace(" ", "-").lower()}:
            for ending in ("", "-key", "-1234", "123", "-test", "-dev", "-prod"):
                yield f"sk-{spelled}{ending}"
        if name.startswith("sk-"):
            yield name  # somebody wrote the key into its own row


def _hash(key: str) -> str:
    return sha256(key.encode()).hexdigest()
