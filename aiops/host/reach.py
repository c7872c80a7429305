"""Whether somebody listens at an address: a connection is opened and closed, nothing is asked."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Collection

Address = tuple[str, int]


def unreachable(addresses: Collection[Address], limit: float) -> dict[Address, str]:
    """Those that cannot be connected to within ``limit`` seconds, all tried at once, and why."""
    found: dict[Address, str] = {}
    # Not a pool: its threads are waited for at the end, and a name server may take as long as it likes.
    tries = [threading.Thread(target=_try, args=(each, limit, found), daemon=True) for each in set(addresses)]
    for each in tries:
        each.start()
    until = time.monotonic() + limit
    for each in tries:
        each.join(max(0.0, until - time.monotonic()))
    return dict(found)


def _try(address: Address, limit: float, found: dict[Address, str]) -> None:
    found[address] = f"no answer within {limit:g} s"
    try:
        socket.create_connection(address, limit).close()
    except TimeoutError:
        return
    except OSError as error:
        found[address] = (error.strerror or str(error)).lower()
    else:
        del found[address]
