"""How a request of aiops itself is told from those of users, on the port that both use: only the operator can make it.

Proofs are no traffic: they are not counted, use up nobody's limit, and are no news for the log.
"""

from __future__ import annotations

import hashlib
import hmac

HEADER = "x-aiops-proof"


def mark(master_key: str) -> str:
    """What ``HEADER`` says in a proof. It tells nothing of the key."""
    return hmac.new(master_key.encode(), b"aiops proof", hashlib.sha256).hexdigest()
