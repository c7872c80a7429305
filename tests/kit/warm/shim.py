"""What a shell finds as ``aiops`` in a session with warm processes: it has the real one forked, and waits for it."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

from tests.kit.warm.forked import through
from tests.kit.warm.product import AIOPS, ROOT

TEXT = """#!{python} -IS
import sys
sys.path.insert(0, {root!r})
from tests.kit.warm.shim import main
main({directory!r})
"""


def put_into(directory: Path) -> None:
    """Make ``bin/aiops`` beside the sockets of the warm processes."""
    path = directory / "bin" / AIOPS.name
    path.parent.mkdir()
    path.write_text(TEXT.format(python=sys.executable, root=str(ROOT), directory=str(directory)))
    path.chmod(0o755)


def main(directory: str) -> None:
    places = {"commands": f"{directory}/commands"}
    child = through(places, f"{directory}/masters")([str(AIOPS), *sys.argv[1:]])
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda received, _: child.send_signal(received))
    code = child.wait()
    if code < 0:
        signal.signal(-code, signal.SIG_DFL)
        os.kill(os.getpid(), -code)
    sys.exit(code)
