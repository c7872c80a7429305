"""What the routing hook costs: the same generation served with it and without it, side by side."""

from __future__ import annotations

import contextlib
import json
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import httpx
import yaml

from aiops.spec.choosing.lookup import Resolver
from aiops.spec.choosing.rules import Group, Member, PatternRule, RoutingTable, Strategy
from tests.bench.figures import Figure
from tests.bench.gateways import READY_SECONDS, BenchError, Instance, environment, free_port
from tests.bench.session import Session
from tests.bench.sizes import busy

HOOK = "aiops.gateway.routing."
LIMIT = 0.95


def routing(session: Session) -> Iterator[Figure]:
    """Requests per second for a balanced name, a capability and a plain name; LiteLLM alone chooses by weight."""
    with contextlib.ExitStack() as stack:
        east, west = (session.provider(stack, (model,)) for model in ("alpha", "beta"))
        instance = Instance(session.directory / f"home-{session.number()}")
        stack.callback(instance.stop)
        instance.create()
        kind = {"type": "openai_compatible", "status": "active"}
        providers = {
            "east": {**kind, "base_url": east.url, "models": ["alpha"]},
            "west": {**kind, "base_url": west.url, "models": ["beta"]},
        }
        pool = [
            {"provider": "east", "preferred_model": "alpha", "weight": 70},
            {"provider": "west", "preferred_model": "beta", "weight": 30},
        ]
        mappings = {
            "load_balancing": {"pool": {"strategy": "least_loaded", "providers": pool}},
            "capabilities": {"code": {"provider": "east", "fallback": "beta"}},
            "patterns": [{"pattern": "^unlisted-", "provider": "west", "fallback": "alpha"}],
        }
        write(instance, "providers.yaml", {"providers": providers})
        write(instance, "model-mappings.yaml", mappings)
        instance.start()
        bare = Bare(instance, session.directory / f"bare-{session.number()}")
        stack.callback(bare.stop)
        bare.start()
        for name in ("pool", "code", "alpha"):
            yield compared(session, name, instance, bare)


PATTERNS, NAMES = 1_000, 10_000
RESOLVED_WITHIN = 50.0  # µs


def resolution(session: Session) -> Iterator[Figure]:
    """One name among 1,000 patterns and 10,000 models: of each kind of pattern the mean over 10,000 new names."""
    kinds = {
        "anchored": [f"^org{number}/" for number in range(PATTERNS)],
        "anywhere": [rf"family{number}-.*\d+[bB]" for number in range(PATTERNS)],
        "at the end": [f"-finetune{number}$" for number in range(PATTERNS)],
    }
    plain = tuple(f"plain-model-{number}" for number in range(NAMES))
    new = [
        f"org{at % 1700}/family{at % 1900}-{at}x-{at % 70}b-finetune{at % 2300}"
        for at in range(session.rounds(3, 1) * NAMES)
    ]
    for kind, patterns in kinds.items():
        rules = tuple(
            PatternRule(one, Group(one, "pattern", Strategy.DIRECT, (Member(one, "p", None),))) for one in patterns
        )
        resolver = Resolver(RoutingTable(plain=plain, patterns=rules))
        began = time.perf_counter()
        found = sum(resolver.find(name) is not None for name in new)
        each = (time.perf_counter() - began) / len(new)
        loop = [re.compile(one) for one in patterns]
        began = time.perf_counter()
        expected = sum(any(one.search(name) for one in loop) for name in new[:: len(new) // 200])
        alone = (time.perf_counter() - began) / 200
        assert found and expected
        detail = f"{len(new):,} new names, {found:,} match; a loop over Python's `re`: {alone * 1e6:,.0f} µs"
        yield Figure(
            f"routing: one name, {PATTERNS:,} patterns, {kind}", each * 1e6, "µs", RESOLVED_WITHIN, detail=detail
        )


def compared(session: Session, name: str, instance: Instance, bare: Bare) -> Figure:
    """The median over many short rounds that take turns, so that what else the machine does hits both."""
    seconds, shares = 1.5, []
    for url in (instance.url, bare.url):
        busy(url, instance.key, name, 1.0)
    for number in range(session.rounds(25, 7)):
        order = (instance.url, bare.url) if number % 2 else (bare.url, instance.url)
        measured = {url: busy(url, instance.key, name, seconds) for url in order}
        shares.append(measured[instance.url] / measured[bare.url])
    detail = f"{len(shares)} rounds, {min(shares):.3f} to {max(shares):.3f}"
    label = f"routing: `{name}` with the hook, times without"
    return Figure(label, median(shares), "x", LIMIT, at_least=True, detail=detail, samples=tuple(shares))


def write(instance: Instance, name: str, content: object) -> None:
    (instance.home / "config" / name).write_text(yaml.safe_dump(content, sort_keys=False))


@dataclass
class Bare:
    """A copy of an instance whose generation has no routing hook, served by a master of its own."""

    origin: Instance
    home: Path
    port: int = 0
    process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Raise ``BenchError`` when it does not serve."""
        self.port = free_port()
        for part in ("state", "secrets"):
            shutil.copytree(self.origin.home / part, self.home / part, symlinks=True)
        (self.home / "run").mkdir(mode=0o700)
        release = (self.home / "state" / "current").resolve() / "release"
        config = release / "litellm-unified.yaml"
        text = config.read_text()
        rewrite(config, "".join(line for line in text.splitlines(keepends=True) if HOOK not in line))
        rewrite(
            release / "gateway.json",
            json.dumps(json.loads((release / "gateway.json").read_text()) | {"port": self.port}),
        )
        (release / "routing.json").unlink()
        argv = [sys.executable, "-m", "aiops.gateway", "--host", "127.0.0.1", "--port", str(self.port)]
        for part in ("state", "run", "secrets"):
            argv += [f"--{part}", str(self.home / part)]
        with (self.home / "log").open("wb") as log:
            self.process = subprocess.Popen(argv, env=environment(), stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        self._wait()

    def _wait(self) -> None:
        deadline = time.monotonic() + READY_SECONDS
        while time.monotonic() < deadline and self.process and self.process.poll() is None:
            with contextlib.suppress(httpx.HTTPError):
                if httpx.get(f"{self.url}/_health/ready", trust_env=False).status_code == 200:
                    return
            time.sleep(0.1)
        raise BenchError(f"the gateway without the hook does not serve:\n{(self.home / 'log').read_text()[-1500:]}")

    def stop(self) -> None:
        if self.process is not None:
            self.process.terminate()
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()


def rewrite(path: Path, text: str) -> None:
    """A generation is read-only; this is a copy of one."""
    path.parent.chmod(0o700)
    path.chmod(0o600)
    path.write_text(text)
