"""What doctor says about ports, with real listeners."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Iterator
from typing import Any

import pytest

from aiops.actions.doctor.ports import port_findings
from aiops.spec.load.load import load


@pytest.fixture
def taken() -> Iterator[int]:
    """A port that this very process listens on."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        sock.listen(1)
        yield sock.getsockname()[1]


@pytest.fixture
def free() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
        return port


def found(registry: dict[str, Any], **providers: dict[str, Any]) -> list[tuple[bool, str, str]]:
    entries = {name: {"type": "vllm", "models": [name], **facts} for name, facts in providers.items()}
    sources = {
        "aiops.yaml": b"gateway: {port: 1}",
        "providers.yaml": json.dumps({"providers": entries}).encode(),
        "ports.yaml": json.dumps(registry or {"reserved": {}}).encode(),
    }
    return [(finding.ok, finding.what, finding.mend) for finding in port_findings(load(sources, {}), "aiops")]


def test_who_listens_on_a_registered_port_is_named_by_pid(taken: int) -> None:
    [(ok, what, _)] = found({"grafana": {"port": taken, "description": "graphs"}})
    assert ok
    assert what.startswith(f"port {taken} (grafana: graphs): pid {os.getpid()} (")


def test_a_port_of_a_unit_that_somebody_else_holds_is_a_conflict_with_what_listens(taken: int) -> None:
    [(ok, what, mend)] = found({"grafana": {"port": taken, "service": "grafana.service"}})
    assert not ok
    assert what.startswith(f"port {taken} (grafana) belongs to grafana.service (ports.yaml), but pid {os.getpid()} (")
    assert mend == "stop that one, or correct ports.yaml"


def test_a_required_service_that_nobody_runs_is_missed_and_another_is_not(free: int) -> None:
    check = f"curl -f http://127.0.0.1:{free}"
    registry = {"redis": {"port": free, "required": True, "service": "redis.service", "health_check": check}}
    assert found(registry) == [
        (False, f"port {free} (redis): nobody listens there", f"start redis.service; then `{check}`")
    ]
    assert found({"redis": {"port": free}}) == []


def test_a_reserved_port_belongs_to_nobody_yet(taken: int, free: int) -> None:
    [(ok, what, _)] = found({"reserved": {"later": {"port": taken}, "much_later": {"port": free}}})
    assert not ok
    assert what.startswith(f"port {taken} (later) is reserved in ports.yaml, but pid {os.getpid()} (")


def test_a_provider_is_looked_for_without_a_registry_too(taken: int, free: int) -> None:
    here = found(
        {},
        one={"base_url": f"http://127.0.0.1:{taken}", "service": {"unit": "one.service"}},
        two={"base_url": f"http://localhost:{free}"},
        three={"base_url": f"http://192.0.2.1:{free}"},
        four={"base_url": f"http://127.0.0.1:{free}", "status": "disabled"},
    )
    assert [(ok, what.split(", but")[0]) for ok, what, _ in here] == [
        (False, f"port {taken} (one) belongs to one.service (providers.yaml)"),
        (False, f"port {free} (two): nobody listens there"),
    ]


def test_a_provider_and_its_entry_are_one_finding(taken: int) -> None:
    registry = {"vllm_qwen": {"port": taken}}
    assert len(found(registry, **{"vllm-qwen": {"base_url": f"http://127.0.0.1:{taken}"}})) == 1
