"""The warm processes of one pytest session: started with it, shared by its workers, gone with it."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Any

from tests.kit.warm import shim
from tests.kit.warm.forked import through
from tests.kit.warm.identity import PADDING
from tests.kit.warm.product import ROOT

KINDS = ("commands", "masters")
SWITCH = "AIOPS_TEST_REAL_STARTS"
# From the session to its pytest-xdist workers.
DIRECTORY = "AIOPS_TEST_WARM"


class Warm:
    """Two processes with a directory of their own. They import when they are first needed."""

    def __init__(self) -> None:
        self.directory = Path(tempfile.mkdtemp(prefix="aiops-warm-"))
        shim.put_into(self.directory)
        self._processes = [self._start(kind) for kind in KINDS]

    def _start(self, kind: str) -> subprocess.Popen[bytes]:
        environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
        # Listening before it runs: whoever comes early waits.
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        listener.bind(str(self.directory / kind))
        listener.listen(64)
        with listener, (self.directory / f"{kind}.log").open("wb") as log:
            return subprocess.Popen(
                [sys.executable, "-m", "tests.kit.warm", kind, str(listener.fileno()), PADDING],
                pass_fds=[listener.fileno()],
                cwd=ROOT,
                env=environment,
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    @property
    def pids(self) -> list[int]:
        return [process.pid for process in self._processes]

    def stop(self) -> None:
        for process in self._processes:
            with suppress(OSError):
                process.stdin.close()  # type: ignore[union-attr]
        for process in self._processes:
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        shutil.rmtree(self.directory, ignore_errors=True)


class Starts:
    """How this pytest process starts programs. ``masters_for_real``: the test that runs now is about the start."""

    masters_for_real = False

    @staticmethod
    def directory() -> Path | None:
        named = os.environ.get(DIRECTORY)
        return Path(named) if named and not os.environ.get(SWITCH) else None

    def popen(self, argv: list[Any], **options: Any) -> subprocess.Popen[Any]:
        """``subprocess.Popen``, forked from a warm process where that is possible and wanted."""
        directory = self.directory()
        if directory is None:
            return subprocess.Popen(argv, **options)
        masters = str(directory / "masters")
        places = {"commands": str(directory / "commands"), "masters": masters}
        if self.masters_for_real:
            places.pop("masters")
            masters = ""
        return through(places, masters)(argv, **options)

    def run(self, argv: list[Any], timeout: float, **options: Any) -> subprocess.CompletedProcess[Any]:
        """``subprocess.run``, the same way."""
        with self.popen(argv, **options) as child:
            try:
                out, err = child.communicate(timeout=timeout)
            except BaseException:
                child.kill()
                raise
        return subprocess.CompletedProcess(child.args, child.returncode, out, err)

    def path(self, real: Path) -> str:
        """For PATH: the directory of the ``aiops`` that a shell is to find."""
        directory = self.directory()
        return str(real) if directory is None else f"{directory / 'bin'}:{real}"

    def prepare(self) -> None:
        """Have the imports begin, in the time that is left until somebody needs them."""
        directory = self.directory()
        for kind in KINDS if directory else ():
            with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as peer, suppress(OSError):
                peer.connect(str(directory / kind))  # type: ignore[operator]


starts = Starts()
