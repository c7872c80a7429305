"""A gateway to break, a poller that plays its users, and what has to be true again afterwards."""

from __future__ import annotations

import contextlib
import http.client
import itertools
import json
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import httpx

from aiops.apply.store import GenerationStore
from aiops.demo.control import Control
from aiops.demo.double import Double
from aiops.host import credentials
from aiops.host import master as control
from aiops.host.instance import GENERATED, Instance, locate, read_sources
from tests.kit.gateway import Gateway
from tests.kit.waiting import until
from tests.kit.warm.product import ROOT
from tests.kit.warm.session import starts

MODEL = "model-of-{}"
LONGEST_OUTAGE = 2.0


@dataclass(frozen=True)
class Fault:
    """``act`` (a method of ``runner.Faults``) happens ``when`` (before, after) a step of the transaction."""

    act: str
    step: str
    when: str

    def __str__(self) -> str:
        return f"{self.act}-{self.when}-{self.step}"


@dataclass(frozen=True)
class Ran:
    """One command line. ``fault``: what the runner wrote into its mark; empty when it did not come to that."""

    code: int
    out: str
    err: str
    seconds: float
    fault: str

    def __str__(self) -> str:
        return f"exit {self.code} after {self.seconds:.2f} s, fault {self.fault!r}\n{self.err}{self.out}"


class Providers:
    """One double behind many ports, because two active providers may not share one."""

    def __init__(self, count: int) -> None:
        import uvicorn

        self.double = Double("openai", Control(models=(), tokens=2))
        self._sockets = [_listening() for _ in range(count)]
        self.urls = [f"http://127.0.0.1:{sock.getsockname()[1]}" for sock in self._sockets]
        config = uvicorn.Config(self.double, log_config=None, access_log=False, lifespan="off", ws="none")
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._server.run, kwargs={"sockets": self._sockets}, daemon=True)
        self._thread.start()

    def serve(self, model: str) -> None:
        self.control(models=(*self.double.control.models, model))

    def control(self, **wanted: Any) -> None:
        """Change how the double behaves; see ``aiops.demo.control.Control``."""
        self.double.control = replace(self.double.control, **wanted)

    def stop(self) -> None:
        self._server.should_exit = True
        self._server.force_exit = True
        self._thread.join(5)


def _listening() -> socket.socket:
    sock = socket.socket()
    sock.bind(("127.0.0.1", 0))
    sock.listen(64)
    return sock


@dataclass
class Watch:
    """What users saw: one entry per request on a connection of its own; ``error`` is empty for a good answer."""

    answers: list[tuple[float, str, str]] = field(default_factory=list)  # monotonic end, generation, error

    @property
    def failed(self) -> list[str]:
        return [error for _, _, error in self.answers if error]

    @property
    def refused(self) -> list[str]:
        return [error for error in self.failed if "ConnectionRefused" in error]

    @property
    def generations(self) -> set[int]:
        return {int(generation) for _, generation, error in self.answers if not error}

    @property
    def longest_outage(self) -> float:
        """Seconds between two good answers, at most."""
        good = [end for end, _, error in self.answers if not error]
        return max((later - earlier for earlier, later in itertools.pairwise(good)), default=float("inf"))


class Faulty(Gateway):
    """A gateway that runs, with a provider ``base``, and whose command lines meet with faults."""

    def __init__(self, home: Path) -> None:
        super().__init__(home)
        self.instance: Instance = locate(home)
        self.providers = Providers(40)
        self._names = itertools.count(1)
        self._mark = home.parent / f"{home.name}.mark"

    def begin(self) -> None:
        self.ok("init", "--supervisor", "process", "--port", str(self.port))
        self.ok("up")
        self.ok(*self.adding_one("base"))
        self._auth = self.auth  # of the file there is none when the disk is gone
        self._base = read_sources(self.instance)

    # --- command lines ----------------------------------------------------------------------------------------

    def run(self, *words: str, fault: Fault | dict[str, Any] | None = None, **variables: str) -> Ran:
        started = time.monotonic()
        with self.start(*words, fault=fault, **variables) as child:
            out, err = child.communicate(timeout=120)
        return Ran(child.returncode, out, err, time.monotonic() - started, self.fault_done())

    def start(
        self, *words: str, fault: Fault | dict[str, Any] | None = None, **variables: str
    ) -> subprocess.Popen[str]:
        self._mark.unlink(missing_ok=True)
        what = json.dumps(asdict(fault) if isinstance(fault, Fault) else fault or {})
        argv = [sys.executable, "-m", "tests.faults.runner", what, str(self._mark), "--"]
        return starts.popen(
            [*argv, "--home", str(self.home), "--yes", *words],
            cwd=ROOT,
            env={**self.env, **variables},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def ok(self, *words: str) -> Ran:
        ran = self.run(*words)
        assert ran.code == 0, f"aiops {' '.join(words)}: {ran}"
        return ran

    def fault_done(self) -> str:
        return self._mark.read_text() if self._mark.exists() else ""

    def wait_for_fault(self) -> None:
        until(self._mark.exists, 20, "the fault")

    def new_name(self) -> str:
        return f"p{next(self._names)}"

    def adding_one(self, name: str) -> list[str]:
        """The words that add a provider which answers."""
        model = MODEL.format(name)
        self.providers.serve(model)
        taken = self.files()["providers.yaml"].decode()
        url = next(url for url in self.providers.urls if url not in taken)
        return ["add-provider", name, "--type", "openai_compatible", "--base-url", url, "--model", model]

    # --- what is there ----------------------------------------------------------------------------------------

    @property
    def current(self) -> int:
        number = GenerationStore(self.instance.state).current()
        assert number is not None
        return number

    @property
    def next_number(self) -> int:
        """Of the generation that the next change makes."""
        return GenerationStore(self.instance.state).next_number()

    @property
    def journal_open(self) -> bool:
        return (self.instance.state / "journal").exists()

    def files(self) -> dict[str, bytes]:
        """Everything an operator looks at."""
        config = self.instance.config
        return {path.name: path.read_bytes() for path in sorted(config.iterdir()) if path.is_file()}

    def kept_keys(self) -> set[str]:
        """Names of the variables in ``secrets/env``."""
        return set(credentials.read_env(self.instance))

    def told(self) -> dict[str, Any]:
        """What the master says of itself, without a command line; nothing when there is none."""
        return status.plain() if (status := control.status(self.instance.run)) else {}

    @property
    def accountant(self) -> int:
        """Its process id, 0 when there is none."""
        return int((self.told().get("accountant") or {}).get("pid") or 0)

    def listed(self, key: str) -> int:
        """With what status this key is told which models there are."""
        return httpx.get(f"{self.url}/v1/models", headers=_bearer(key), timeout=10, trust_env=False).status_code

    def asked(self, key: str) -> int:
        """With what status this key is answered by the provider ``base``."""
        body = {"model": MODEL.format("base"), "messages": [{"role": "user", "content": "hello"}], "max_tokens": 4}
        url = f"{self.url}/v1/chat/completions"
        return httpx.post(url, json=body, headers=_bearer(key), timeout=20, trust_env=False).status_code

    # --- what has to be true ----------------------------------------------------------------------------------

    @contextlib.contextmanager
    def watched(self) -> Iterator[Watch]:
        """Play users: two of them, a new connection for each request."""
        watch, stop = Watch(), threading.Event()

        def user() -> None:
            while not stop.is_set():
                watch.answers.append(self.request())
                stop.wait(0.015)

        threads = [threading.Thread(target=user, daemon=True) for _ in range(2)]
        for thread in threads:
            thread.start()
        try:
            yield watch
        finally:
            stop.set()
            for thread in threads:
                thread.join(10)
            watch.answers.sort()

    def request(self, path: str = "/v1/models") -> tuple[float, str, str]:
        """When it was over, the generation that answered, and what went wrong."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)
        try:
            connection.request("GET", path, headers=self._auth)
            answer = connection.getresponse()
            answer.read()
            generation = answer.getheader("x-aiops-generation", "0")
            return time.monotonic(), generation, "" if answer.status == 200 else f"HTTP {answer.status}"
        except (OSError, http.client.HTTPException) as error:
            return time.monotonic(), "0", f"{type(error).__name__}: {error}"
        finally:
            connection.close()

    def serving(self) -> int:
        _, generation, error = self.request()
        assert not error, error
        return int(generation)

    def require_consistent(self) -> None:
        """The files, the pointer and what serves are one generation; nothing is left of anything else."""
        deadline = time.monotonic() + 8
        while (wrong := self._wrong()) and time.monotonic() < deadline:
            time.sleep(0.02)
        assert not wrong, wrong

    def _wrong(self) -> list[str]:
        wrong = []
        current = self.current
        generation = GenerationStore(self.instance.state).get(current)
        status = self.told()
        groups = [(group["generation"], group["role"]) for group in status.get("groups", [])]
        alive = set(self.pids())
        accountant = (status.get("accountant") or {}).get("pid")
        known = {
            status.get("pid"),
            accountant,
            *(w["pid"] for group in status.get("groups", []) for w in group["workers"]),
        }
        sockets = {int(path.stem) for path in self.instance.run.glob("*.fd")}
        leftovers = [str(path) for path in self.instance.state.rglob(".*")]
        leftovers += [str(path) for path in self.instance.config.glob(".*")]
        for told, holds in {
            "the sources are not those of the current generation": read_sources(self.instance) == generation.sources(),
            "the published file is not the current one": self.instance.generated.read_bytes()
            == generation.release()[GENERATED],
            "the outcome is not `applied`": generation.applied,
            "the journal is open": not self.journal_open,
            f"groups are {groups}, current is {current}": groups == [(current, "serving")],
            f"a change is going on: {status.get('change')}": not status.get("change"),
            f"processes {alive}, the master knows {known}": alive == known,
            f"sockets of {sockets}": sockets == alive - {status.get("pid"), accountant},
            f"left behind: {leftovers}": not leftovers,
        }.items():
            if not holds:
                wrong.append(told)
        _, served, error = self.request()
        if error or int(served) != current:
            wrong.append(f"served by {served} ({error}), current is {current}")
        return wrong

    # --- between cases ----------------------------------------------------------------------------------------

    def recover(self) -> None:
        """A master again, if there is none, and few providers: the cases must not slow each other down."""
        if not self.told():
            self.ok("up")
        if (
            self.journal_open
            or len(self.files()["providers.yaml"].splitlines()) > len(self._base["providers.yaml"].splitlines()) + 60
        ):
            for name, content in self._base.items():
                (self.instance.config / name).write_bytes(content)
            self.ok("apply")

    def end(self) -> None:
        super().end()
        self.providers.stop()
        self._mark.unlink(missing_ok=True)


def _bearer(key: str) -> dict[str, str]:
    return {"authorization": f"Bearer {key}"}


@contextlib.contextmanager
def gateway(disk: int = 0) -> Iterator[Faulty]:
    """A running instance. ``disk``: bytes of a file system of its own, in memory.

    The name of its directory is short: paths of unix sockets are.
    """
    directory = Path(tempfile.mkdtemp(prefix="aiops-f-"))
    home = directory / "h"
    home.mkdir()
    if disk:
        subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={disk}", "aiops-faults", str(home)], check=True)
    made = Faulty(home)
    try:
        made.begin()
        yield made
    finally:
        made.end()
        if disk:
            subprocess.run(["umount", "--lazy", str(home)], check=True)
        shutil.rmtree(directory, ignore_errors=True)
