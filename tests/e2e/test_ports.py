"""The port registry on a running instance: optional, part of every generation, and never a reason to end anybody."""

from __future__ import annotations

from pathlib import Path

from aiops.demo.child import DemoProvider
from tests.kit.gateway import Gateway


def registry(gateway: Gateway) -> Path:
    return gateway.home / "config" / "ports.yaml"


def test_a_new_instance_has_no_registry_and_needs_none(empty: Gateway) -> None:
    assert not registry(empty).exists()
    assert empty.cli("validate", "--offline").code == 0


def test_a_port_that_belongs_to_another_is_refused_with_both_lines(gateway: Gateway, one: DemoProvider) -> None:
    registry(gateway).write_text(f"# mine\ngrafana: {{port: {one.port}}}\n")
    try:
        refused = gateway.cli("validate", "--offline")
        assert refused.code == 3
        assert f"`one` is on port {one.port}, but ports.yaml (line 2) gives it to `grafana`" in refused.message
        registry(gateway).write_text(f"one: {{port: {one.port}, service: one.service}}\n")
        assert gateway.cli("validate", "--offline").code == 0
        findings = gateway.cli("doctor").data["findings"]
        [conflict] = [each["what"] for each in findings if f"port {one.port} (one)" in each["what"]]
        assert "belongs to one.service (ports.yaml), but pid " in conflict
        assert gateway.ask("alpha").status_code == 200, "whoever listens is left alone"
    finally:
        registry(gateway).unlink()


def test_a_rollback_restores_the_registry_or_takes_it_away(gateway: Gateway, two: DemoProvider) -> None:
    before = gateway.generation
    registry(gateway).write_text("reserved:\n  later: {port: 9}\n")
    gateway.must(*gateway.adding("two", two.url, "gamma"))
    with_it = gateway.generation
    assert (gateway.home / "state" / "current" / "sources" / "ports.yaml").exists()
    gateway.must("rollback", before, "--reason", "without", "--force")
    assert not registry(gateway).exists()
    gateway.must("rollback", with_it, "--reason", "with", "--force")
    assert registry(gateway).read_text() == "reserved:\n  later: {port: 9}\n"
