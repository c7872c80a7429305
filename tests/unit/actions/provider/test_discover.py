"""Who is asked for models before a provider is added: nobody at an address that would be refused."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from aiops.actions.provider.discover import models_of
from aiops.errors import InvalidState, Precondition, VerificationFailed
from aiops.host.instance import Instance, locate
from aiops.host.setup import make_instance
from aiops.verify.discovery import Discovered


@pytest.fixture
def instance(tmp_path: Path) -> Instance:
    made = locate(tmp_path / "home")
    make_instance(made, profile=None, supervisor="process", port=4711)
    return made


def ask(instance: Instance, base_url: str | None) -> Discovered:
    return models_of(instance, "lab", kind="vllm", base_url=base_url, api_key_env=None, api_key_file=None)


@pytest.mark.parametrize(
    ("base_url", "why"),
    [
        (None, "is missing"),
        ("http://[::1", "the URL cannot be read"),
        ("http://127.0.0.1:PORT", "the port `PORT` is not a number"),
        ("127.0.0.1:8000", "has no scheme"),
        ("http://${NOWHERE_SET}", "the environment variable `NOWHERE_SET` is not set"),
        ("http://127.0.0.1:4711", "the gateway's own"),
    ],
)
def test_an_address_that_is_none_is_refused_as_it_is_in_the_files(
    instance: Instance, base_url: str | None, why: str
) -> None:
    with pytest.raises(InvalidState) as refused:
        ask(instance, base_url)
    assert why in refused.value.message
    assert "nobody was asked" in refused.value.hint


def test_a_server_at_an_address_that_is_refused_is_not_asked_and_the_password_not_repeated(instance: Instance) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0)
        with pytest.raises(InvalidState, match="credentials") as refused:
            ask(instance, f"http://user:hunter22@127.0.0.1:{server.getsockname()[1]}")
        with pytest.raises(BlockingIOError):
            server.accept()
    assert "hunter22" not in refused.value.message


@pytest.mark.parametrize("base_url", ["http://169.254.169.254", "http://metadata.google.internal", "http://[fe80::1]"])
def test_a_metadata_service_is_not_asked(instance: Instance, base_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def asked(*_: object) -> Discovered:
        raise AssertionError("it was asked")

    monkeypatch.setattr("aiops.verify.discovery.report", asked)
    with pytest.raises(InvalidState, match="allow_link_local"):
        ask(instance, base_url)


def test_one_that_does_not_answer_is_named(instance: Instance) -> None:
    with pytest.raises(VerificationFailed, match="nobody listens there"):
        ask(instance, "http://127.0.0.1:1")


def test_without_an_instance_nobody_is_asked(tmp_path: Path) -> None:
    with pytest.raises(Precondition, match="there is no instance"):
        ask(locate(tmp_path / "nowhere"), "http://127.0.0.1:1")
