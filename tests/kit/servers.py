"""Real servers of Debian's packages for the tests: on loopback, in a directory of their own, gone with the session."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest


def needed(missing: str | None) -> None:
    """What is not installed is a failure in CI, where .ci/run installs it, and elsewhere a reason to skip tests."""
    if missing is None:
        return
    if os.environ.get("CI"):
        pytest.fail(missing)
    pytest.skip(missing)


class Server:
    """A process in the foreground, with a directory that is its own, as a user without rights. It ends with us."""

    quickly = signal.SIGKILL
    """What ends it at once, whoever is connected."""

    def __init__(self, name: str, user: str) -> None:
        self.directory = Path(tempfile.mkdtemp(prefix=f"aiops-test-{name}-"))
        self.log = self.directory / "log"
        self._account = pwd.getpwnam(user) if os.geteuid() == 0 else None
        self._process: subprocess.Popen[bytes] | None = None
        if self._account:
            os.chown(self.directory, self._account.pw_uid, self._account.pw_gid)

    @property
    def pid(self) -> int:
        assert self._process is not None, "it was not started"
        return self._process.pid

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def argv(self, argv: Sequence[str]) -> list[str]:
        """As that user, and killed when the thread that starts it ends."""
        account, as_user = self._account, list[str]()
        if account:
            as_user = [f"--reuid={account.pw_uid}", f"--regid={account.pw_gid}", "--init-groups"]
        return ["setpriv", *as_user, "--pdeathsig=QUIT", "--", *argv]

    def certificate(self) -> tuple[Path, Path]:
        """A certificate of 127.0.0.1 that vouches for itself, and its key: the server's own files."""
        certificate, key = self.directory / "certificate.pem", self.directory / "key.pem"
        self.run(
            "openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
            "-keyout", str(key), "-out", str(certificate), "-days", "2", "-subj", "/CN=tests",
            "-addext", "subjectAltName=IP:127.0.0.1",
        )  # fmt: skip
        self.directory.chmod(0o755)
        certificate.chmod(0o644)
        key.chmod(0o600)
        return certificate, key

    def run(self, *argv: str) -> None:
        done = subprocess.run(self.argv(argv), cwd=self.directory, capture_output=True, text=True)
        assert done.returncode == 0, f"{argv[0]}: {done.stdout}{done.stderr}"

    def spawn(self, *argv: str) -> None:
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                self.argv(argv), cwd=self.directory, stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )

    def send(self, number: int) -> None:
        os.kill(self.pid, number)

    def end(self, number: int = signal.SIGTERM) -> None:
        if self._process is not None and self.running:
            self._process.send_signal(signal.SIGCONT)
            self._process.send_signal(number)
            try:
                self._process.wait(20)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()

    @contextmanager
    def removed_on_failure(self) -> Iterator[None]:
        try:
            yield
        except BaseException:
            self.remove()
            raise

    def remove(self) -> None:
        self.end(self.quickly)
        shutil.rmtree(self.directory, ignore_errors=True)
