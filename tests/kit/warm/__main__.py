"""``python -m tests.kit.warm KIND LISTENER PADDING``: a warm process. LISTENER is a descriptor, stdin its life."""

from __future__ import annotations

import os
import socket
import sys
from pathlib import Path

from tests.kit.warm import product
from tests.kit.warm.forked import through
from tests.kit.warm.identity import become, finish
from tests.kit.warm.server import Server


def main() -> None:
    kind, listening = sys.argv[1:3]
    warm = os.getpid()
    listener = socket.socket(fileno=int(listening))
    listener.set_inheritable(False)
    # Not as descriptor 0: a fork's own stdin goes there, and imports may look at ours.
    lifeline = os.dup(0)
    os.set_inheritable(lifeline, False)
    with Path(os.devnull).open() as nothing:
        os.dup2(nothing.fileno(), 0)
    before = dict(os.environ)
    ordered = Server(listener, lifeline).run(product.PRELOADS[kind])
    if ordered is None:
        return
    order = ordered.order
    # A program that is started has these from its own imports: LiteLLM says there where its tables of tokens are.
    set_by_imports = {name: value for name, value in os.environ.items() if before.get(name) != value}
    become(order, ordered.descriptors, warm, set_by_imports)
    ordered.begun()
    if order.masters:
        places = {kind: str(Path(order.masters).with_name(kind)) for kind in product.PRELOADS}
        product.let_fork(through(places, order.masters))
    if order.module == product.KEEPER:
        product.let_become_master()
    called = product.main_of(order.module)
    sys.argv = product.arguments_of(order.argv, order.module)
    finish(called)


if __name__ == "__main__":
    main()
