"""``python -m tests.kit.warm KIND SOCKET PADDING``: one of the two warm processes. Its stdin ends with the session."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from tests.kit.warm import product
from tests.kit.warm.forked import through
from tests.kit.warm.identity import become, finish
from tests.kit.warm.server import Server


def main() -> None:
    kind, place = sys.argv[1:3]
    warm = os.getpid()
    # Not as descriptor 0: a fork's own stdin goes there, and imports may look at ours.
    lifeline = os.dup(0)
    os.set_inheritable(lifeline, False)
    with Path(os.devnull).open() as nothing:
        os.dup2(nothing.fileno(), 0)
    received = Server(place, lifeline).run(product.PRELOADS[kind])
    if received is None:
        return
    order, descriptors = received
    become(order, descriptors, warm)
    if order.masters:
        product.let_fork(through({"masters": order.masters}))
    called = product.main_of(order.module)
    sys.argv = product.arguments_of(order.argv, order.module)
    finish(called)


if __name__ == "__main__":
    main()
