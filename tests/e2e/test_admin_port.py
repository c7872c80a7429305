"""The management API on a port of its own: given, moved and taken away by changes that nobody notices."""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import Iterator
from pathlib import Path

import httpx
import openai
import pytest
from litellm.proxy.client import Client as ManagementClient
from litellm.proxy.client.exceptions import UnauthorizedError

from aiops.demo.child import DemoProvider
from tests.docs.console import Shell, commands
from tests.kit.gateway import GENERATION, Gateway, Poller, serving
from tests.kit.waiting import free_port, until
from tests.kit.warm.product import BIN, ROOT
from tests.load import BackgroundLoad, Mix, Target

COMMENTED = "  # admin_port: 4001"
MIX = Mix(pause=0.01, idle_seconds=0.7)


@pytest.fixture(scope="module")
def served(one: DemoProvider) -> Iterator[Gateway]:
    """Two workers."""
    with serving(one.url, "alpha", workers=2) as gateway:
        yield gateway


@pytest.fixture
def plain(served: Gateway) -> Iterator[Gateway]:
    """Without an admin port before, and after."""
    text = served.source("aiops.yaml").read_text()
    yield served
    served.source("aiops.yaml").write_text(text)
    served.must("apply")


def moves(gateway: Gateway, old: str, new: str) -> None:
    gateway.edit("aiops.yaml", old, new)
    gateway.must("apply")


def at(port: int, host: str = "127.0.0.1") -> str:
    return f"http://{host}:{port}"


def teams(gateway: Gateway, base: str) -> httpx.Response:
    return httpx.get(f"{base}/team/list", headers=gateway.auth, timeout=20, trust_env=False)


def refuses(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) != 0


@pytest.mark.shows("aiops.yaml: gateway.admin_port")
def test_keys_are_made_there_with_litellms_own_client_and_nowhere_else(plain: Gateway) -> None:
    admin = free_port()
    moves(plain, COMMENTED, f"  admin_port: {admin}")
    made = ManagementClient(at(admin), plain.key).keys.generate(key_alias="made-there", models=["alpha"])
    users = openai.OpenAI(base_url=f"{plain.url}/v1", api_key=made["key"])
    answered = users.chat.completions.create(
        model="alpha", messages=[{"role": "user", "content": "hello"}], max_tokens=4
    )
    assert answered.choices[0].message.content
    elsewhere = httpx.post(f"{plain.url}/key/generate", json={}, headers=plain.auth, trust_env=False)
    assert elsewhere.status_code == 404
    assert "on the admin port" in elsewhere.json()["error"]["message"]
    with pytest.raises(UnauthorizedError):
        ManagementClient(at(admin), "sk-nobody-has-this-key").keys.list()
    not_here = httpx.post(
        f"{at(admin)}/v1/chat/completions", json={"model": "alpha"}, headers=plain.auth, trust_env=False
    )
    assert not_here.status_code == 404 and "gateway.port" in not_here.json()["error"]["message"]
    assert plain.status["gateway"]["admin_url"] == at(admin)
    assert f"the management API at {at(admin)}" in plain.say("status").out
    checks = {check["id"]: check["status"] for check in plain.must("verify")["checks"]}
    assert {checks[name] for name in checks if name.startswith("admin:")} == {"pass"}
    assert "admin:not-public" in checks


def test_the_port_is_given_moved_and_taken_away_while_nobody_notices(plain: Gateway, one: DemoProvider) -> None:
    first, second = free_port(), free_port()
    one.control(tokens=6, chunk_delay=0.02)
    target = Target(plain.url, plain.key, "alpha", 6)
    forever = httpx.Limits(keepalive_expiry=None)
    with BackgroundLoad(target, MIX) as load, httpx.Client(headers=plain.auth, limits=forever, trust_env=False) as kept:
        moves(plain, COMMENTED, f"  admin_port: {first}")
        assert kept.get(f"{at(first)}/team/list").status_code == 200
        administrators = _Administrators(plain, first)
        with administrators:
            moves(plain, f"  admin_port: {first}", f"  admin_port: {second}")
            until(lambda: set(administrators.statuses) - {"200"}, 20, "the old port being refused")
        late = set(administrators.statuses) - {"200"}
        assert all("Connect" in kind or "reset" in kind or "Read" in kind for kind in late), administrators.statuses
        assert teams(plain, at(second)).status_code == 200
        again = kept.get(f"{at(first)}/team/list")  # a connection that was kept goes over, and is still for this
        assert (again.status_code, again.headers[GENERATION]) == (200, str(plain.generation))
        with _Administrators(plain, second) as unmoved:
            moves(plain, "  # drain_seconds: 3600", "  drain_seconds: 3000")  # the port stays
        assert unmoved.clean, unmoved.statuses
        moves(plain, f"  admin_port: {second}", COMMENTED)
        until(lambda: refuses(second), 20, "the port's end")
        assert teams(plain, plain.url).status_code == 200
    assert load.report.clean, load.report.as_dict()
    assert load.report.streams > 20
    moves(plain, "  drain_seconds: 3000", "  # drain_seconds: 3600")


class _Administrators(Poller):
    """Ask the management API again and again."""

    def __init__(self, gateway: Gateway, port: int) -> None:
        super().__init__(gateway)
        self._at = at(port)

    def _ask(self) -> httpx.Response:
        return teams(self._gateway, self._at)


@pytest.mark.shows("aiops.yaml: gateway.admin_host")
def test_it_listens_where_it_is_told(plain: Gateway) -> None:
    admin = free_port()
    moves(plain, f"{COMMENTED}\n", f"  admin_port: {admin}\n  admin_host: 127.0.0.2\n")
    assert teams(plain, at(admin, "127.0.0.2")).status_code == 200
    assert refuses(admin)


def test_a_port_that_is_taken_is_refused_with_its_line_and_who_has_it(plain: Gateway) -> None:
    before = plain.snapshot()
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        text = plain.source("aiops.yaml").read_text()
        plain.edit("aiops.yaml", COMMENTED, f"  admin_port: {port}")
        line = plain.source("aiops.yaml").read_text().splitlines().index(f"  admin_port: {port}") + 1
        refused = plain.cli("apply")
        assert refused.code == 4
        assert refused.message.startswith(f"aiops.yaml:{line}: port {port} is taken by pid {os.getpid()}")
        assert "`gateway.admin_port`" in refused.hint
        plain.source("aiops.yaml").write_text(text)
    assert plain.snapshot() == before
    assert teams(plain, plain.url).status_code == 200


def test_the_two_ports_do_not_change_places_in_one_step(plain: Gateway) -> None:
    admin = free_port()
    moves(plain, COMMENTED, f"  admin_port: {admin}")
    text = plain.source("aiops.yaml").read_text()
    swapped = text.replace(f"  admin_port: {admin}", f"  admin_port: {plain.port}")
    plain.source("aiops.yaml").write_text(swapped.replace(f"  port: {plain.port}", f"  port: {admin}", 1))
    refused = plain.cli("apply")
    assert refused.code == 4 and "in two steps" in refused.hint, refused
    plain.source("aiops.yaml").write_text(text)
    assert teams(plain, at(admin)).status_code == 200


def test_a_master_that_is_killed_leaves_the_port_to_the_next_one_and_nobody_is_refused(plain: Gateway) -> None:
    admin = free_port()
    moves(plain, COMMENTED, f"  admin_port: {admin}")
    with _Administrators(plain, admin) as administrators, Poller(plain) as users:
        os.kill(plain.master, signal.SIGKILL)
        plain.up()
        before = plain.generation
        plain.must("restart")
    assert set(administrators.statuses) <= {"200", "503"}, administrators.statuses  # the accountant is another one
    assert users.clean, users.statuses
    assert plain.generation == before
    assert teams(plain, at(admin)).status_code == 200
    moves(plain, f"  admin_port: {admin}", COMMENTED)
    until(lambda: refuses(admin), 20, "the port's end")


def test_every_command_of_the_page(plain: Gateway, tmp_path: Path) -> None:
    env = {
        **plain.env,
        "PATH": f"{BIN}:{plain.env['PATH']}",
        "AIOPS_HOME": str(plain.home),
        "PORT": str(plain.port),
        "ADMIN_PORT": str(free_port()),
    }
    shell = Shell(tmp_path, env)
    for command in commands((ROOT / "docs" / "management-api.md").read_text()):
        shell.run(command)
