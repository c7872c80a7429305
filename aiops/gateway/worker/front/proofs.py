"""Whether aiops itself asks, by the public port: only who has the master key can make the mark."""

from __future__ import annotations

import hmac
import os
from collections.abc import Iterable

from aiops.gateway.shared import proof
from aiops.gateway.worker.settings import MASTER_KEY_VARIABLE

MARK = proof.HEADER.encode()


def is_proof(headers: Iterable[tuple[bytes, bytes]]) -> bool:
    given = next((value for name, value in headers if name == MARK), None)
    if given is None:
        return False
    key = os.environ.get(MASTER_KEY_VARIABLE, "")
    return bool(key) and hmac.compare_digest(given, proof.mark(key).encode())
